// Command micro times the parts of the hot path, each beside the best
// alternative that does the same work, so that a regression shows:
//
//	go run ./micro            all parts
//	go run ./micro -part json one of them: json, expr, groups, state
//
// Each line is the best of many short runs in nanoseconds an item, and their
// median: on a machine that others load too, the best is what repeats.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

const (
	// runs and shortest: as many runs as fit in budget, but at least so many.
	shortest = 20
	budget   = 700 * time.Millisecond
)

// line is one row of the table.
type line struct {
	part, what, by string
	items          int    // that one run does
	bytes          int    // that one run reads, 0 where that says nothing
	run            func() // does the work once
	note           string
}

func main() {
	part := flag.String("part", "", "json, expr, groups or state; empty: all")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "part\twhat\tby\tbest ns\tmedian ns\tM/s\tMB/s\tallocations\t")
	for _, group := range []func() []line{decoders, kernels, tables, states} {
		for _, l := range group() {
			if *part == "" || *part == l.part {
				l.print(w)
			}
		}
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (l line) print(w *tabwriter.Writer) {
	l.run() // to learn, to grow
	var times []time.Duration
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for start := time.Now(); len(times) < shortest || time.Since(start) < budget; {
		t := time.Now()
		l.run()
		times = append(times, time.Since(t))
	}
	runtime.ReadMemStats(&after)
	slices.Sort(times)
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(l.items) }
	best := per(times[0])
	speed := ""
	if l.bytes > 0 {
		speed = fmt.Sprintf("%.0f", float64(l.bytes)/times[0].Seconds()/1e6)
	}
	allocations := float64(after.Mallocs-before.Mallocs) / float64(len(times)*l.items)
	fmt.Fprintf(w, "%s\t%s\t%s%s\t%.1f\t%.1f\t%.2f\t%s\t%.2f\t\n", l.part, l.what, l.by, l.note, best, per(times[len(times)/2]), 1e3/best, speed, allocations)
}

// must gives v, and ends the program where there is an error: what is timed
// has to work.
func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return v
}
