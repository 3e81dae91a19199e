package topics

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// tick is how often a paced producer looks for events that are due: what is
// due meanwhile goes out in one batch, as a producer with a short linger does.
const tick = time.Millisecond

// Schedule says when events are due: event i at Start + i/Rate.
type Schedule struct {
	Start time.Time
	Rate  int64 // events a second
}

// Due is the moment at which event i is to be sent.
func (s Schedule) Due(i int64) time.Time {
	return s.Start.Add(time.Duration(i/s.Rate)*time.Second + time.Duration(i%s.Rate)*time.Second/time.Duration(s.Rate))
}

// dueBy is how many events are due at t.
func (s Schedule) dueBy(t time.Time) int64 {
	d := t.Sub(s.Start)
	if d < 0 {
		return 0
	}
	return int64(d/time.Second)*s.Rate + int64(d%time.Second)*s.Rate/int64(time.Second) + 1
}

// Pace writes n events as they become due. A send that is slow delays none of
// the due times, only the sending: what came due meanwhile follows at once.
func (t *Topic) Pace(ctx context.Context, events Events, n int64, s Schedule, how Compression) error {
	group, ctx := errgroup.WithContext(ctx)
	for p := range t.Partitions {
		group.Go(func() error { return t.pacePartition(ctx, events, int64(p), n, s, how) })
	}
	return group.Wait()
}

func (t *Topic) pacePartition(ctx context.Context, events Events, p, n int64, s Schedule, how Compression) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(t.addr)) // a connection of its own, so that partitions don't wait for each other
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return err
	}
	clock := time.NewTicker(tick)
	defer clock.Stop()
	var b batch
	var value []byte
	for next := p; next < n; {
		due := min(s.dueBy(time.Now()), n)
		if next >= due {
			select {
			case <-clock.C:
			case <-ctx.Done():
				return errors.Join(ctx.Err(), context.Cause(ctx))
			}
			continue
		}
		b.reset(time.Now().UnixMilli())
		for next < due && len(b.buf) < targetBatch {
			value = events.Append(value[:0], next)
			b.add(value)
			next += int64(t.Partitions)
		}
		if err := t.produce(ctx, client, int32(p), &b, how); err != nil {
			return err
		}
	}
	return nil
}
