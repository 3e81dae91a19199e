package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// backoffMin and backoffMax bound the pause between tries of a request.
	backoffMin = 100 * time.Millisecond
	backoffMax = 3 * time.Second
)

// server is one cluster: its client, and how the last contact went.
type server struct {
	name   string
	config Config
	client *kgo.Client
	admin  *kadm.Client
	health health
}

func newServer(name string, c Config, more ...kgo.Opt) (*server, error) {
	v := &server{name: name, config: c}
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	v.client, err = kgo.NewClient(append(append(opts, kgo.WithHooks(&v.health)), more...)...)
	if err != nil {
		return nil, fmt.Errorf("configure the Kafka client: %w", err)
	}
	v.admin = kadm.NewClient(v.client)
	return v, nil
}

// retry does what until it succeeds, fails for good, or ctx ends.
func (v *server) retry(ctx context.Context, what string, do func(context.Context) error) error {
	for pause := backoffMin; ; pause = min(2*pause, backoffMax) {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !transient(err) {
			return v.explain(what, err)
		}
		v.health.set(err)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return v.explain(what, fmt.Errorf("%w (%w)", err, context.Cause(ctx)))
		}
	}
}

// explain names the operation, the cluster and what to look at.
func (v *server) explain(what string, err error) error {
	hint := ""
	var dial *net.OpError
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		hint = ": the user lacks a right (ACL) on it"
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		hint = ": check user and password (KAFKA_SASL_*)"
	case errors.As(err, &dial):
		hint = ": is the broker running, and is the address right (KAFKA_BROKERS)?"
	}
	return fmt.Errorf("%s on Kafka %v: %w%s", what, v.config.Brokers, err, hint)
}

// transient tells errors that heal by themselves: a broker or the network is
// away, a leader moves, a deadline of one request has passed.
func transient(err error) bool {
	var (
		op      *net.OpError
		syscall *os.SyscallError
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
		return false
	case kerr.IsRetriable(kerrOf(err)), kgo.IsRetryableBrokerErr(err):
		return true
	case errors.As(err, &op), errors.As(err, &syscall):
		return true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded):
		return true
	}
	return false
}

// kerrOf finds Kafka's own error in err, nil if there is none.
func kerrOf(err error) error {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k
	}
	return nil
}

// health is how the last contact with a cluster went: the client tells it by
// hooks, from its own goroutines.
type health struct {
	mu  sync.Mutex
	err error
}

func (h *health) set(err error) {
	h.mu.Lock()
	h.err = err
	h.mu.Unlock()
}

func (h *health) get() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// OnBrokerConnect hears of connections.
func (h *health) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		h.set(fmt.Errorf("connect to broker %s:%d: %w", meta.Host, meta.Port, err))
	}
}

// OnBrokerE2E hears of requests that were answered, or not.
func (h *health) OnBrokerE2E(meta kgo.BrokerMetadata, _ int16, e kgo.BrokerE2E) {
	switch err := e.Err(); {
	case err == nil:
		h.set(nil)
	case !errors.Is(err, context.Canceled):
		h.set(fmt.Errorf("request to broker %s:%d: %w", meta.Host, meta.Port, err))
	}
}
