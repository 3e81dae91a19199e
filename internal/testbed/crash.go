package testbed

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/pipetest"
)

// start starts the engine: in this process, or where it is to crash in one of
// its own. An armed point may be passed by starting; then the next one is
// started without it.
func (s *subject) start(ctx context.Context) error {
	if !s.setup.Crashes {
		return s.startHere(ctx)
	}
	c, err := s.startChild(ctx, s.armed)
	if errors.Is(err, errKilled) && s.armed != "" {
		s.armed = ""
		c, err = s.startChild(ctx, "")
	}
	if err != nil {
		if c != nil {
			c.kill()
		}
		return err
	}
	s.child = c
	return nil
}

// Settle waits until all that was sent, and all that the clock decides, is in
// the tables.
func (s *subject) Settle(ctx context.Context) error {
	if s.child == nil {
		return s.settleHere(ctx)
	}
	return s.order(ctx, order{Settle: true})
}

// order has the engine's process do something. Where it crashes meanwhile, as
// it was asked to, another one does it.
func (s *subject) order(ctx context.Context, o order) error {
	err := s.child.ask(ctx, o)
	if !errors.Is(err, errKilled) || s.armed == "" {
		return err
	}
	s.armed = ""
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("start after the crash: %w", err)
	}
	if o.Arm != "" { // that was it
		return nil
	}
	return s.child.ask(ctx, o)
}

// Crash ends the engine as SIGKILL does and starts another, at once or the next
// time that it passes a point.
func (s *subject) Crash(ctx context.Context, point string) error {
	s.armed = point
	if point != "" && !strings.HasPrefix(point, "start.") {
		return s.order(ctx, order{Arm: point})
	}
	s.child.kill()
	s.child = nil
	return s.start(ctx)
}

// Cut loses the engine's connections to PostgreSQL.
func (s *subject) Cut(_ context.Context, where pipetest.Cut) error {
	s.proxy.cut(where)
	return nil
}

// Pending tells whether a crash or cut that was asked for is still to come.
func (s *subject) Pending() bool {
	return s.armed != "" || s.proxy != nil && s.proxy.pending()
}

// engineURL is where the engine reaches the database.
func (s *subject) engineURL() string {
	if s.proxy != nil {
		return s.proxy.url
	}
	return s.url
}
