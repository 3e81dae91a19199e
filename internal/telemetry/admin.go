package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of the admin listener.
const (
	// adminHeaderTimeout is how long a client may take to send its header.
	adminHeaderTimeout = 5 * time.Second
	// adminMaxHeaderBytes is more than any scraper sends.
	adminMaxHeaderBytes = 16 << 10
	// adminShutdown is how long a running scrape may take at the end.
	adminShutdown = 2 * time.Second
)

// Admin is the second listener: metrics at /metrics and Go's profiles under
// /debug/pprof/. It has no keys; whoever reaches it reads the process's
// memory, so it binds to loopback unless AllowRemote is set.
type Admin struct {
	listener net.Listener
	server   *http.Server
}

// AdminConfig says where the admin listener listens.
type AdminConfig struct {
	Addr        string // host:port, port 0 for a free one
	AllowRemote bool   // bind to an address that others can reach
	Registry    *prometheus.Registry
}

// NewAdmin binds the admin listener. Serve must be called to answer.
func NewAdmin(c AdminConfig) (*Admin, error) {
	tcp, err := net.ResolveTCPAddr("tcp", c.Addr)
	if err != nil {
		return nil, fmt.Errorf("admin address %q: %w", c.Addr, err)
	}
	if !c.AllowRemote && !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("admin address %q can be reached by others, and profiles show the process's memory: use 127.0.0.1", c.Addr)
	}
	l, err := net.ListenTCP("tcp", tcp)
	if err != nil {
		return nil, fmt.Errorf("listen for admin on %s: %w", c.Addr, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", MetricsHandler(c.Registry))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return &Admin{listener: l, server: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: adminHeaderTimeout,
		MaxHeaderBytes:    adminMaxHeaderBytes,
	}}, nil
}

// Addr is where the listener listens, host:port.
func (a *Admin) Addr() string { return a.listener.Addr().String() }

// Serve answers until ctx ends, then lets running requests finish. It is nil
// after an orderly stop.
func (a *Admin) Serve(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminShutdown)
		defer cancel()
		stopped <- a.server.Shutdown(grace)
	})
	err := a.server.Serve(a.listener)
	if stop() { // ctx is still running: the listener failed
		return fmt.Errorf("serve admin: %w", err)
	}
	if err := <-stopped; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop admin listener: %w", err)
	}
	return a.server.Close()
}

// Close gives the address back when Serve was never called. After Serve it
// does nothing.
func (a *Admin) Close() { _ = a.listener.Close() }

// MetricsHandler answers with the metrics of a registry, in Prometheus's
// formats.
func MetricsHandler(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r})
}
