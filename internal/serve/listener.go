package serve

import (
	"net"
	"sync"
)

// limitListener lets a number of connections be open at once, and of one
// address but loopback a smaller one.
type limitListener struct {
	net.Listener
	tokens chan struct{}
	each   int
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	count map[string]int // by address
}

func newLimitListener(l net.Listener, n, each int) *limitListener {
	return &limitListener{Listener: l, tokens: make(chan struct{}, n), each: each, closed: make(chan struct{}), count: map[string]int{}}
}

// Accept waits for a connection and for room. Of an address that has its
// share, connections are closed at once, so that others need not wait behind
// them.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.tokens <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.tokens
			return nil, err
		}
		address := addressOf(c.RemoteAddr().String())
		if !l.enter(address) {
			c.Close()
			continue
		}
		return &limitedConn{Conn: c, release: sync.OnceFunc(func() {
			l.leave(address)
			<-l.tokens
		})}, nil
	}
}

func (l *limitListener) enter(address string) bool {
	if address == "" {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count[address] >= l.each {
		return false
	}
	l.count[address]++
	return true
}

func (l *limitListener) leave(address string) {
	if address == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count[address]--; l.count[address] == 0 {
		delete(l.count, address)
	}
}

// Close stops accepting.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

// Close frees the connection's room.
func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
