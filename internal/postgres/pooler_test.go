package postgres

import (
	"log/slog"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// pooler serves many clients by few sessions, in transaction mode: a client
// has a session from its first message until the server says that it is in no
// transaction. Like PgBouncer it hands out the session that was used last.
type pooler struct {
	t     *testing.T
	url   string // of the database
	mu    sync.Mutex
	idle  []*pgproto3.Frontend
	conns []net.Conn
	wg    sync.WaitGroup
}

// borrow gives a session; the caller returns it by give.
func (p *pooler) borrow() (*pgproto3.Frontend, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		session := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return session, nil
	}
	conn, err := pgconn.Connect(p.t.Context(), p.url)
	if err != nil {
		return nil, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, err
	}
	p.conns = append(p.conns, hijacked.Conn)
	return hijacked.Frontend, nil
}

func (p *pooler) give(session *pgproto3.Frontend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, session)
}

func (p *pooler) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	client := pgproto3.NewBackend(conn, conn)
	if _, err := client.ReceiveStartupMessage(); err != nil {
		return
	}
	client.Send(&pgproto3.AuthenticationOk{})
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if client.Flush() != nil {
		return
	}
	var session *pgproto3.Frontend
	for {
		message, err := client.Receive()
		if err != nil {
			return
		}
		if _, ok := message.(*pgproto3.Terminate); ok {
			return
		}
		if session == nil {
			if session, err = p.borrow(); err != nil {
				p.t.Error(err)
				return
			}
		}
		session.Send(message)
		switch message.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
		default:
			continue
		}
		if session.Flush() != nil {
			return
		}
		idle, err := p.answer(client, session)
		if err != nil {
			return
		}
		if idle {
			session = nil
		}
	}
}

// answer hands on what a session says until it is ready again, and tells
// whether it is in no transaction. Then the session is given back, before the
// client can know.
func (p *pooler) answer(client *pgproto3.Backend, session *pgproto3.Frontend) (idle bool, err error) {
	for {
		message, err := session.Receive()
		if err != nil {
			return false, err
		}
		client.Send(message)
		if ready, ok := message.(*pgproto3.ReadyForQuery); ok {
			if idle = ready.TxStatus == 'I'; idle {
				p.give(session)
			}
			return idle, client.Flush()
		}
	}
}

func TestPoolerInTransactionModeIsRefused(t *testing.T) {
	u, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &pooler{t: t, url: u.String()}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	u.Host = listener.Addr().String()
	_, err = Open(t.Context(), Config{URL: u.String(), Pipeline: "p", Logger: slog.New(slog.DiscardHandler)})
	wantError(t, err, "pooler in transaction mode", "session mode")
	_ = listener.Close()
	p.wg.Wait()
	for _, c := range p.conns {
		_ = c.Close()
	}
}
