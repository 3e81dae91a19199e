package standby

import (
	"bytes"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// proxy stands between a process and PostgreSQL. Frozen, it keeps all
// connections open, takes what is sent, answers keepalives, and passes nothing
// on: both ends believe that the other one is there.
type proxy struct {
	url, target string
	wg          sync.WaitGroup

	mu       sync.Mutex
	conns    []net.Conn
	atCommit bool          // freeze when a COMMIT is to be passed on
	frozen   chan struct{} // closed when it is frozen
	thawed   chan struct{} // closed when it passes on again
}

func newProxy(t *testing.T, database string) *proxy {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: u.Host, frozen: make(chan struct{}), thawed: make(chan struct{})}
	u.Host = listener.Addr().String()
	p.url = u.String()
	p.wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.thaw()
		p.wg.Wait()
	})
	return p
}

// freezeAtCommit freezes everything when the next COMMIT comes: its transaction
// is open, and holds its locks.
func (p *proxy) freezeAtCommit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.atCommit = true
}

func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freezeLocked()
}

func (p *proxy) freezeLocked() {
	select {
	case <-p.frozen:
	default:
		close(p.frozen)
	}
}

// thaw passes on what has waited.
func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.thawed:
	default:
		close(p.thawed)
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client, true); _ = server.Close() })
	both.Go(func() { p.pass(client, server, false); _ = client.Close() })
	both.Wait()
}

func (p *proxy) pass(to, from net.Conn, toServer bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.mu.Lock()
			if toServer && p.atCommit && bytes.Contains(buffer[:n], []byte("COMMIT")) {
				p.freezeLocked()
			}
			p.mu.Unlock()
			select {
			case <-p.frozen:
				<-p.thawed
			default:
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			select {
			case <-p.frozen:
				<-p.thawed
			default:
			}
			return
		}
	}
}

// TestHalfOpen cuts the leader off from the database without either noticing:
// idle, and in the middle of a commit that holds the pipeline's row locked. The
// one that stands by takes over, and what the other one sends late counts for
// nothing.
func TestHalfOpen(t *testing.T) {
	for _, c := range []struct {
		name   string
		freeze func(*proxy)
	}{{"at any moment", (*proxy).freeze}, {"in a commit", (*proxy).freezeAtCommit}} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			p := newProxy(t, f.url)
			first, second := f.start(p.url, "--standby"), f.start(f.url, "--standby")
			l := f.load()
			f.committing(0)
			before := f.generation()
			c.freeze(p)
			<-p.frozen
			took := f.committing(before)
			p.thaw()
			if r := first.Wait(); r.Code != 1 || !strings.Contains(r.Stderr, "another engine has taken over this pipeline") {
				t.Errorf("the one that was cut off: %s", r)
			}
			f.judge(l, second)
			t.Logf("takeover from a half-open connection after %d ms", took.Milliseconds())
		})
	}
}
