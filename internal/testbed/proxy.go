package testbed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"

	"github.com/millstream-dev/millstream/internal/pipetest"
)

// proxy stands between an engine and PostgreSQL and loses connections: all at
// once, or the one that commits, before its COMMIT reaches the server or before
// the answer comes back. It understands where messages begin and end, and no
// more.
type proxy struct {
	url      string
	target   string // host:port
	session  string // what a session that commits says when it introduces itself
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	next  pipetest.Cut // of the next commit, "" for none
	conns map[net.Conn]bool
}

// Messages of PostgreSQL's protocol that the proxy looks at.
const (
	sslRequest    = 80877103
	gssRequest    = 80877104
	parseMessage  = 'P' // from the client: a statement
	completeAnswr = 'C' // from the server: a statement's command tag
	maxHead       = 1 << 20
)

// startProxy starts a proxy before a database for the engine of a pipeline.
func startProxy(database, pipeline string) (*proxy, error) {
	u, err := url.Parse(database)
	if err != nil {
		return nil, err
	}
	p := &proxy{target: u.Host, session: "\x00application_name\x00millstream/" + pipeline + "\x00", conns: map[net.Conn]bool{}}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	u.Host = p.listener.Addr().String()
	p.url = u.String()
	p.wg.Go(func() {
		for {
			client, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(client) })
		}
	})
	return p, nil
}

// close ends all connections.
func (p *proxy) close() error {
	err := p.listener.Close()
	p.cut(pipetest.CutNow)
	p.wg.Wait()
	return err
}

// cut loses all connections now, or one in the next commit.
func (p *proxy) cut(where pipetest.Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if where != pipetest.CutNow {
		p.next = where
		return
	}
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) pending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next != ""
}

// take gives the cut that a commit is to meet.
func (p *proxy) take() pipetest.Cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.next
	p.next = ""
	return next
}

func (p *proxy) hold(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
}

func (p *proxy) leave(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *proxy) serve(client net.Conn) {
	p.hold(client)
	defer p.leave(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	p.hold(server)
	defer p.leave(server)
	commits, err := p.greet(client, server)
	if err != nil {
		return
	}
	answered := make(chan struct{}) // closed: COMMIT was passed on, and its answer is to be lost
	var both sync.WaitGroup
	both.Go(func() {
		defer server.Close()
		defer client.Close()
		if commits {
			p.ask(server, client, answered)
		} else {
			_, _ = io.Copy(server, client)
		}
	})
	both.Go(func() {
		defer server.Close()
		defer client.Close()
		if commits {
			answer(client, server, answered)
		} else {
			_, _ = io.Copy(client, server)
		}
	})
	both.Wait()
}

// greet passes on how a client introduces itself, and tells whether its session
// commits for a pipeline: that is its name.
func (p *proxy) greet(client, server net.Conn) (commits bool, err error) {
	for {
		head, err := packet(client)
		if err != nil {
			return false, err
		}
		if code := binary.BigEndian.Uint32(head[4:]); code == sslRequest || code == gssRequest {
			if _, err := client.Write([]byte{'N'}); err != nil {
				return false, err
			}
			continue
		}
		_, err = server.Write(head)
		return strings.Contains(string(head), p.session), err
	}
}

// packet reads a message that has no type: its length, itself included, and
// the rest.
func packet(from io.Reader) ([]byte, error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n < 8 || n > maxHead {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	message := make([]byte, n)
	copy(message, head)
	_, err := io.ReadFull(from, message[8:])
	return message, err
}

// errCut ends passing on.
var errCut = errors.New("cut")

// ask passes on what the client says, and meets its COMMIT.
func (p *proxy) ask(server, client net.Conn, answered chan<- struct{}) {
	_ = pass(server, client, func(kind byte, body []byte) error { // that it ends is all there is to know
		if kind != parseMessage || !strings.HasSuffix(string(body[:max(0, len(body)-2)]), "\x00COMMIT\x00") {
			return nil
		}
		switch p.take() {
		case pipetest.CutBefore:
			return errCut
		case pipetest.CutAfter:
			close(answered)
		}
		return nil
	})
}

// answer passes on what the server says, until it has answered a COMMIT whose
// answer is to be lost.
func answer(client, server net.Conn, answered <-chan struct{}) {
	_ = pass(client, server, func(kind byte, body []byte) error {
		select {
		case <-answered:
			if kind == completeAnswr && string(body) == "COMMIT\x00" {
				return errCut
			}
		default:
		}
		return nil
	})
}

// pass passes on messages. What look refuses is not passed on, nor anything
// after it.
func pass(to io.Writer, from io.Reader, look func(kind byte, body []byte) error) error {
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(from, head); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(head[1:])
		if n < 4 {
			return fmt.Errorf("a message of %d bytes", n)
		}
		message := append(head[:5:5], make([]byte, n-4)...)
		if _, err := io.ReadFull(from, message[5:]); err != nil {
			return err
		}
		if err := look(head[0], message[5:]); err != nil {
			return err
		}
		if _, err := to.Write(message); err != nil {
			return err
		}
	}
}
