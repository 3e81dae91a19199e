package postgres

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// What a proxy does with the next COMMIT that it sees.
type severing int

const (
	pass     severing = iota
	unsent            // the connections are closed before COMMIT reaches the server
	answered          // the server has answered, the client doesn't get to know
	halfOpen          // the client's side is closed, the server's stays open, COMMIT unseen
)

// proxy stands between a client and PostgreSQL and cuts connections at
// COMMIT. It understands where messages begin and end.
type proxy struct {
	url    string
	target string

	mu    sync.Mutex
	next  severing
	conns []net.Conn
	wg    sync.WaitGroup
	cuts  chan severing // told after each severing
}

func newProxy(t *testing.T, databaseURL string) *proxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: u.Host, cuts: make(chan severing, 10)}
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
		p.wg.Wait()
	})
	return p
}

// arm says what to do at the next COMMIT.
func (p *proxy) arm(c severing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = c
}

func (p *proxy) take() severing {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.next
	p.next = pass
	return c
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	mute := make(chan struct{}) // closed: the client gets no more answers
	p.wg.Go(func() { p.answers(client, server, mute) })
	var head [8]byte
	if n, err := io.ReadFull(client, head[:4]); err != nil || n < 4 {
		_ = server.Close()
		return
	}
	startup := make([]byte, binary.BigEndian.Uint32(head[:4])-4)
	if _, err := io.ReadFull(client, startup); err != nil {
		_ = server.Close()
		return
	}
	_, _ = server.Write(append(head[:4:4], startup...))
	for {
		message, err := readMessage(client)
		if err != nil {
			_ = server.Close()
			return
		}
		if message[0] == 'P' && bytes.Contains(message, []byte("\x00COMMIT\x00")) {
			switch c := p.take(); c {
			case unsent:
				_, _ = client.Close(), server.Close()
				p.cuts <- c
				return
			case halfOpen:
				_ = client.Close()
				p.cuts <- c
				return
			case answered:
				close(mute)
			}
		}
		if _, err := server.Write(message); err != nil {
			_ = client.Close()
			return
		}
	}
}

// answers hands the server's messages on. Muted, it waits for the answer to
// COMMIT, and closes both sides.
func (p *proxy) answers(client, server net.Conn, mute chan struct{}) {
	for {
		message, err := readMessage(server)
		if err != nil {
			_ = client.Close()
			return
		}
		select {
		case <-mute:
			if message[0] == 'C' && bytes.Contains(message, []byte("COMMIT\x00")) {
				_, _ = client.Close(), server.Close()
				p.cuts <- answered
				return
			}
		default:
			_, _ = client.Write(message)
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	message := make([]byte, 1+binary.BigEndian.Uint32(head[1:]))
	copy(message, head[:])
	_, err := io.ReadFull(r, message[5:])
	return message, err
}
