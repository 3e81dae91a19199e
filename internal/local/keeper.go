package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// restarts is how often a server that ends by itself is started again
	// within restartWindow: one that ends more often than that has a cause
	// which a start does not mend.
	restarts      = 5
	restartWindow = 10 * time.Minute
	// firstPause is before the second start in a window, and each later one is
	// twice as long, up to lastPause. The first is made at once: a server that
	// somebody killed comes up like any other.
	firstPause = 500 * time.Millisecond
	lastPause  = 8 * time.Second
)

var errClosed = errors.New("closed")

// keeper starts the server again when it ends by itself: killed from outside,
// by the kernel for want of memory, by a crash. The port, the password and the
// data are the same, so that connections need only be made again.
//
//	running ──ended──▶ down ──started──▶ running
//	                    └──too often──▶ given up
type keeper struct {
	server *Postgres
	log    *slog.Logger
	first  time.Duration // the second start's pause
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when nobody keeps the server any more

	starts []time.Time // of the window; owned by run

	mu     sync.Mutex
	state  error // nil while the server runs
	gaveUp error
}

// keep watches the server until it is closed.
func (p *Postgres) keep(o PostgresOptions) *keeper {
	ctx, cancel := context.WithCancelCause(context.Background())
	k := &keeper{server: p, log: o.Log, first: o.firstPause, cancel: cancel, done: make(chan struct{})}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	if k.first == 0 {
		k.first = firstPause
	}
	go k.run(ctx)
	return k
}

// stop ends the keeping. The server that runs then, if any, is the caller's.
func (k *keeper) stop() {
	if k == nil {
		return
	}
	k.cancel(errClosed)
	<-k.done
}

func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.server.child.ended:
		}
		if ctx.Err() != nil { // Close has ended it
			return
		}
		if err := k.revive(ctx, k.server.child.err); err != nil {
			if ctx.Err() == nil {
				k.set(err, err)
			}
			return
		}
		k.set(nil, nil)
	}
}

// revive starts the server again, until it runs or has been tried too often.
func (k *keeper) revive(ctx context.Context, cause error) error {
	if cause == nil {
		cause = errors.New("it was stopped")
	}
	for {
		began := time.Now()
		n, ok := k.admit(began)
		if !ok {
			return fmt.Errorf("PostgreSQL has ended %d times within %v and is not started again: %w: see %s", restarts+1, restartWindow, cause, k.server.Log())
		}
		k.set(fmt.Errorf("PostgreSQL has ended (%w) and is being started again, %d of at most %d times within %v", cause, n, restarts, restartWindow), nil)
		k.log.Error("PostgreSQL has ended; it is being started again", "cause", cause, "restart", n, "at_most", restarts, "within", restartWindow.String(), "log", k.server.Log())
		if err := wait(ctx, k.pause(n)); err != nil {
			return err
		}
		err := k.server.launchOn(ctx, k.server.port)
		if err == nil {
			k.log.Warn("PostgreSQL runs again", "after_ms", time.Since(began).Milliseconds())
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		cause = err
	}
}

// admit counts a start, unless there have been too many: n is its number in
// the window.
func (k *keeper) admit(now time.Time) (n int, ok bool) {
	for len(k.starts) > 0 && now.Sub(k.starts[0]) > restartWindow {
		k.starts = k.starts[1:]
	}
	if len(k.starts) == restarts {
		return 0, false
	}
	k.starts = append(k.starts, now)
	return len(k.starts), true
}

// pause is how long the nth start of a window waits.
func (k *keeper) pause(n int) time.Duration {
	if n == 1 {
		return 0
	}
	return min(k.first<<min(n-2, restarts), lastPause)
}

func (k *keeper) set(state, gaveUp error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state, k.gaveUp = state, gaveUp
}

func (k *keeper) health() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

func (k *keeper) failure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gaveUp
}
