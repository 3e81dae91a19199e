package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage may lie beside what is alive before it is collected. Go's
// default is as much again, which is right for a heap of some megabytes. The
// groups of a view may take a gigabyte: they hold no pointers, so that a
// collection costs little, and a second gigabyte would buy nothing.
const (
	defaultGCPercent = 100
	leastGCPercent   = 20
	garbageRoom      = 128 << 20
	garbageEvery     = 250 * time.Millisecond
)

// boundGarbage adjusts the collector to the size of the heap until ctx ends,
// unless the environment says how it is to work.
func boundGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	go func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		percent := defaultGCPercent
		ticker := time.NewTicker(garbageEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			metrics.Read(live)
			if want := gcPercent(live[0].Value.Uint64()); want != percent {
				percent = want
				debug.SetGCPercent(percent)
			}
		}
	}()
}

// gcPercent gives the share of a heap of live bytes that may be added to it
// before a collection, in steps of five: setting it stops the program for a
// moment.
func gcPercent(live uint64) int {
	const step = 5
	percent := int(100 * garbageRoom / max(live, 1))
	return min(max(percent/step*step, leastGCPercent), defaultGCPercent)
}
