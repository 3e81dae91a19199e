package generate

import (
	"context"
	"math"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
)

// pace says when events are due: event i at start + i/rate.
type pace struct {
	clock engine.Clock
	rate  float64 // events per second; 0: all are due at once
	start time.Time
}

// due waits until an event after the sent ones is due, and gives how many
// are.
func (p *pace) due(ctx context.Context, sent int64) (int64, error) {
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if p.rate == 0 {
			return math.MaxInt64, nil
		}
		elapsed := p.clock.Now().Sub(p.start)
		if n := int64(elapsed.Seconds()*p.rate) + 1 - sent; n > 0 {
			return n, nil
		}
		next := time.Duration(float64(sent) / p.rate * float64(time.Second))
		// Rounded up, so that the event is due when the timer fires.
		wait := next - elapsed + time.Nanosecond
		if between := float64(time.Second) / p.rate; between < float64(tick) {
			wait = max(wait, tick)
		}
		fired, stop := p.clock.NewTimer(wait)
		select {
		case <-fired:
		case <-ctx.Done():
			stop()
			return 0, context.Cause(ctx)
		}
	}
}
