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
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

// Server answers HTTP requests. Make it with New, bind it with Listen, run it
// with Serve.
type Server struct {
	config    Config
	key       apiKey
	keys      *keyring
	tokens    *tokens // nil where none are taken
	sessions  sessions
	running   running
	byKey     limiter
	byAddress limiter
	gates     gates
	cert      *certificate // nil without TLS
	remote    bool         // the address can be reached by others
	catalog   *catalog.Catalog
	router    *router
	api       huma.API
	handler   http.Handler
	topics    map[string]*topic
	ingests   chan struct{} // a token for each body in memory
	document  document      // the OpenAPI document as last generated
	hub       *hub          // nil where no engine runs
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
	standby standby

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
	s := &Server{
		config:  c,
		key:     key,
		keys:    &keyring{db: c.Pool, log: c.Log},
		gates:   newGates(int(c.Pool.Config().MaxConns)),
		catalog: catalog.New(c.Pool, c.Schema),
		topics:  topics(c.Pipeline),
		ingests: make(chan struct{}, maxIngests),
		stopped: make(chan struct{}),
	}
	if s.tokens, err = newTokens(c.Tokens); err != nil {
		return nil, err
	}
	if s.cert, err = openCertificate(c.CertFile, c.CertKeyFile, c.Log); err != nil {
		return nil, err
	}
	if err := s.checkKeys(); err != nil {
		return nil, err
	}
	if c.Pipeline != nil && c.Status != nil {
		s.hub = newHub(s, c.Pipeline)
	}
	s.posting, s.queries = newPosting(), newQueries(c.QueryRole)
	s.routes()
	s.handler = s.relay(s.guard(s.router))
	return s, nil
}

// checkKeys refuses an address that others can reach when there is no key. The
// database's keys are read here first, so that a server on loopback knows
// whether it asks for any when the database is away later.
func (s *Server) checkKeys() error {
	tcp, err := net.ResolveTCPAddr("tcp", s.config.Addr)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", s.config.Addr, err)
	}
	s.remote = !tcp.IP.IsLoopback()
	ctx, cancel := context.WithTimeout(context.Background(), keysTimeout)
	defer cancel()
	set, err := s.keys.get(ctx, keysAge)
	if !s.remote || s.key.set || s.tokens != nil || s.config.Unprotected {
		return nil // what fails here is told when a key is asked for
	}
	if err != nil {
		return err
	}
	if !set.usable(time.Now()) {
		return noKeys(s.config.Addr)
	}
	return nil
}

// Listen binds the address, so that Addr tells it before Serve is called.
func (s *Server) Listen() error {
	tcp, err := net.ResolveTCPAddr("tcp", s.config.Addr)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", s.config.Addr, err)
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
	limits := s.config.Limits
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: limits.HeaderTimeout,
		ReadTimeout:       limits.RequestTimeout,
		WriteTimeout:      limits.WriteTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.HeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxHTTP2Streams},
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
	hubs.Go(func() { s.recheck(hubCtx) })
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		s.stopping.Store(true)
		close(s.stopped)
		s.standby.stop()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	limited := newLimitListener(l, limits.Connections, limits.ConnectionsEach)
	var err error
	if s.cert != nil {
		server.TLSConfig = s.cert.config()
		err = server.ServeTLS(limited, "", "")
	} else {
		err = server.Serve(limited)
	}
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

// TLS tells whether the server speaks it.
func (s *Server) TLS() bool { return s.cert != nil }
