package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/danielgtaylor/huma/v2"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

// Server answers HTTP requests. Make it with New, bind it with Listen, run it
// with Serve.
type Server struct {
	config   Config
	key      apiKey
	catalog  *catalog.Catalog
	router   *router
	api      huma.API
	handler  http.Handler
	topics   map[string]*topic
	ingests  chan struct{} // a token for each body in memory
	document document      // the OpenAPI document as last generated
	hub      *hub          // nil where no engine runs
	// statusStreams counts the connections that watch the status.
	statusStreams atomic.Int64
	stopping      atomic.Bool
	stopped       chan struct{} // closed when streams are to end
	zones         struct {      // PostgreSQL's time zones by their names in lower case
		mu    sync.Mutex
		names map[string]string // guarded by mu
	}
	posting *posting
	queries *queries

	mu       sync.Mutex
	listener net.Listener // guarded by mu
}

// New makes a server and checks its configuration: the key can be read, and
// an address that others can reach has one.
func New(c Config) (*Server, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	key, err := readKey(&c)
	if err != nil {
		return nil, err
	}
	if _, err := checkAddr(c.Addr, key.set || c.Unprotected); err != nil {
		return nil, err
	}
	s := &Server{
		config:  c,
		key:     key,
		catalog: catalog.New(c.Pool, c.Schema),
		topics:  topics(c.Pipeline),
		ingests: make(chan struct{}, maxIngests),
		stopped: make(chan struct{}),
	}
	if c.Pipeline != nil && c.Status != nil {
		s.hub = newHub(s, c.Pipeline)
	}
	s.posting, s.queries = newPosting(), newQueries(c.QueryRole)
	s.routes()
	s.handler = s.guard(s.router)
	return s, nil
}

// Listen binds the address, so that Addr tells it before Serve is called.
func (s *Server) Listen() error {
	tcp, err := checkAddr(s.config.Addr, s.key.set || s.config.Unprotected)
	if err != nil {
		return err
	}
	l, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.config.Addr, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	return nil
}

// Addr is where the server listens, host:port; "" before Listen.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Handler is the server without its listener.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers until ctx ends, then lets running requests finish for
// shutdownTimeout and cuts off the rest. It is nil after an orderly stop.
func (s *Server) Serve(ctx context.Context) error {
	s.mu.Lock()
	l := s.listener
	s.mu.Unlock()
	if l == nil {
		return errors.New("serve: Listen has not been called")
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
	defer s.posting.unanswered.Wait()
	hubCtx, stopHub := context.WithCancel(ctx)
	var hubs sync.WaitGroup
	defer func() {
		stopHub()
		hubs.Wait()
	}()
	if s.hub != nil {
		hubs.Go(func() { s.hub.run(hubCtx) })
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		s.stopping.Store(true)
		close(s.stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	err := server.Serve(newLimitListener(l, maxConnections))
	if stop() {
		return fmt.Errorf("serve on %s: %w", s.Addr(), err)
	}
	if err := <-stopped; err != nil {
		_ = server.Close() // cuts off what is still running
		if !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("stop serving: %w", err)
		}
		s.config.Log.Warn("requests cut off at the end", "after", shutdownTimeout)
	}
	return nil
}

// limitListener lets a number of connections be open at once.
type limitListener struct {
	net.Listener
	tokens chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitListener(l net.Listener, n int) *limitListener {
	return &limitListener{Listener: l, tokens: make(chan struct{}, n), closed: make(chan struct{})}
}

// Accept waits for a connection and for room.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.tokens <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.tokens
		return nil, err
	}
	return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.tokens })}, nil
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
