package harness

import (
	"slices"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/bench/machine"
)

// sampleEvery is how often CPU times are read: their own unit is 10 ms.
const sampleEvery = 25 * time.Millisecond

// use is what three process trees have used by a moment.
type use struct {
	at                       time.Time
	engine, broker, postgres time.Duration
}

// sampler reads what is used while a contender runs.
type sampler struct {
	env  *Env
	pid  int
	stop chan struct{}
	done sync.WaitGroup

	uses []use
	peak int64 // bytes of the engine: the sum of its processes' peaks
}

func (e *Env) sample(pid int) *sampler {
	s := &sampler{env: e, pid: pid, stop: make(chan struct{})}
	s.done.Go(s.run)
	return s
}

func (s *sampler) run() {
	clock := time.NewTicker(sampleEvery)
	defer clock.Stop()
	for {
		s.look()
		select {
		case <-clock.C:
		case <-s.stop:
			return
		}
	}
}

func (s *sampler) look() {
	if machine.MemoryOf(s.pid).Peak == 0 {
		return // it has ended: its last times are known
	}
	var peak int64
	for _, pid := range machine.Tree(s.pid) {
		peak += machine.MemoryOf(pid).Peak
	}
	s.peak = max(s.peak, peak)
	s.uses = append(s.uses, use{
		at: time.Now(), engine: machine.CPU(s.pid), broker: machine.CPU(s.env.Kafka.PID), postgres: machine.CPU(s.env.Postgres.PID),
	})
}

// finish ends the sampling; it may be called once.
func (s *sampler) finish() {
	close(s.stop)
	s.done.Wait()
}

// at interpolates what was used by t.
func (s *sampler) at(t time.Time) use {
	n, _ := slices.BinarySearchFunc(s.uses, t, func(u use, t time.Time) int { return u.at.Compare(t) })
	switch {
	case len(s.uses) == 0:
		return use{at: t}
	case n == 0:
		return s.uses[0]
	case n == len(s.uses):
		return s.uses[n-1]
	}
	a, b := s.uses[n-1], s.uses[n]
	share := float64(t.Sub(a.at)) / float64(b.at.Sub(a.at))
	between := func(a, b time.Duration) time.Duration { return a + time.Duration(share*float64(b-a)) }
	return use{at: t, engine: between(a.engine, b.engine), broker: between(a.broker, b.broker), postgres: between(a.postgres, b.postgres)}
}
