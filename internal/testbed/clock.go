// Package testbed is a running pipeline under test: a real broker, a real
// database, an engine, and a clock that stands still until it is told to go
// on. `millstream test` and the project's own suites run on it.
package testbed

import (
	"sync"
	"time"
)

// Clock is an engine.Clock that goes on only when it is told to.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*timer]struct{}
}

type timer struct {
	at time.Time
	c  chan time.Time
}

// NewClock gives a clock that stands at now.
func NewClock(now time.Time) *Clock {
	return &Clock{now: now, timers: map[*timer]struct{}{}}
}

// Now is where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// NewTimer gives a channel that receives once the clock has been advanced by
// d; at once if d is not positive.
func (c *Clock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{at: c.now.Add(d), c: make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- c.now
		return t.c, func() {}
	}
	c.timers[t] = struct{}{}
	return t.c, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, t)
	}
}

// Advance moves the clock on and fires the timers that are due.
func (c *Clock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }

// Set sets the clock. Moved on, it fires the timers that are due; set back, as
// when a machine's clock is corrected, they are due after as long as before.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	back := min(0, now.Sub(c.now))
	c.now = now
	for t := range c.timers {
		t.at = t.at.Add(back)
		if !t.at.After(c.now) {
			t.c <- c.now
			delete(c.timers, t)
		}
	}
}
