package harness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-dev/millstream/bench/contender"
	"github.com/millstream-dev/millstream/bench/machine"
	"github.com/millstream-dev/millstream/bench/topics"
	"github.com/millstream-dev/millstream/bench/workload"
)

// Rest is the product's memory with nothing to do.
type Rest struct {
	PeakMB float64 `json:"peak_mb"`
	NowMB  float64 `json:"now_mb"`
	Error  string  `json:"error,omitempty"`
}

// restWait is how long nothing happens before the memory is read.
const restWait = 10 * time.Second

// rest runs the product on an empty topic.
func (e *Env) rest(ctx context.Context, w workload.Workload) Rest {
	var out Rest
	err := func() error {
		f, err := e.fill(ctx, w, e.Partitions, 0)
		if err != nil {
			return err
		}
		defer f.drop(context.WithoutCancel(ctx))
		url, err := e.prepare(ctx, database, w)
		if err != nil {
			return err
		}
		r, err := e.launch(ctx, product(e.Facts.Cores), task{workload: w, topic: f.Name, database: url, open: true})
		if err != nil {
			return err
		}
		defer r.settle()
		select {
		case <-time.After(restWait):
		case <-r.ended:
			return fmt.Errorf("it ended: %w", r.failure())
		case <-ctx.Done():
		}
		m := machine.MemoryOf(r.cmd.Process.Pid)
		out.PeakMB, out.NowMB = float64(m.Peak)/(1<<20), float64(m.Now)/(1<<20)
		return r.stop()
	}()
	if err != nil {
		out.Error = err.Error()
	}
	e.say("memory at rest: %.0f MB, at most %.0f MB %s", out.NowMB, out.PeakMB, out.Error)
	return out
}

// Restart is how long the product takes to be back after a kill: from the
// start of the process to the commit of an event that waits for it.
type Restart struct {
	Groups  int64   `json:"groups"`
	Seconds float64 `json:"seconds,omitempty"`
	PeakMB  float64 `json:"peak_mb,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// restart drains a topic of as many events as there are keys, kills the
// product, adds an event and starts the product again.
func (e *Env) restart(ctx context.Context, groups int64) Restart {
	out := Restart{Groups: groups}
	if err := e.restartInto(ctx, &out); err != nil {
		out.Error = err.Error()
	}
	e.say("restart with %s open groups: %.2f s, at most %.0f MB %s", millions(groups), out.Seconds, out.PeakMB, out.Error)
	return out
}

func (e *Env) restartInto(ctx context.Context, out *Restart) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*e.Timeout, errors.New("the run took too long"))
	defer cancel()
	w := &workload.Updates{Seed: seed, Keys: out.Groups}
	f, err := e.fill(ctx, w, e.Partitions, out.Groups)
	if err != nil {
		return err
	}
	defer f.drop(context.WithoutCancel(ctx))
	url, err := e.prepare(ctx, database, w)
	if err != nil {
		return err
	}
	t := task{workload: w, topic: f.Name, database: url, open: true}
	c := product(e.Facts.Cores)
	r, err := e.launch(ctx, c, t)
	if err != nil {
		return err
	}
	err = r.await(ctx, out.Groups, e.Timeout)
	r.kill()
	r.settle()
	if err != nil {
		return err
	}
	if _, err := f.Fill(ctx, later{w, out.Groups}, int64(f.Partitions), e.Compression); err != nil {
		return err
	}
	began := time.Now()
	if r, err = e.launch(ctx, c, t); err != nil {
		return err
	}
	err = r.await(ctx, out.Groups+int64(f.Partitions), e.Timeout)
	if err = r.end(err); err != nil {
		return err
	}
	out.PeakMB = float64(r.sampler.peak) / (1 << 20)
	out.Seconds = firstBeyond(r.log.commits, out.Groups).Sub(began).Seconds()
	return e.check(ctx, url, w, out.Groups+int64(f.Partitions))
}

// later are the events after the first n.
type later struct {
	topics.Events
	n int64
}

func (l later) Append(dst []byte, i int64) []byte { return l.Events.Append(dst, i+l.n) }

// firstBeyond gives the time of the first commit with more than n events.
func firstBeyond(commits []contender.Commit, n int64) time.Time {
	for _, c := range commits {
		if c.Events > n {
			return c.At
		}
	}
	return time.Time{}
}

// await waits until so many events are committed.
func (r *running) await(ctx context.Context, n int64, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%d events were not committed within %v", n, limit))
	defer cancel()
	for {
		events, err := r.log.events()
		if err != nil || events >= n {
			return err
		}
		select {
		case <-r.log.changed:
		case <-r.ended:
			return fmt.Errorf("it ended with %d of %d events committed: %w", events, n, r.failure())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
