package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/bench/workload"
)

// seed is of all made events: every run sees the same ones.
const seed = 20260101

// Set is a group of runs whose results are kept in one file.
type Set struct {
	Name string
	Doc  string
	run  func(ctx context.Context, e *Env, f *File)
}

// Sets is what can be asked for.
var Sets = []Set{
	{"y", "Y: views per campaign and window; limit and afternoon program beside it", runYahoo(100, 10, 10_000_000)},
	{"s", "S: the skeleton's job; limit and afternoon program beside it", runSkeleton},
	{"u", "U: updates of 1 thousand and 100 thousand keys; PostgreSQL alone beside it", runUpdates(5_000_000, 1_000, 100_000)},
	{"u-large", "U with 1 and 10 million keys", runUpdates(12_000_000, 1_000_000, 10_000_000)},
	{"y1m", "Y with a million campaigns of one ad", runYahoo(1_000_000, 1, 10_000_000)},
	{"latency", "L: Y and U at fixed rates, update and final, default settings and commit_interval 10 ms", runLatency},
	{"stalls", "Y at a fixed rate beside the limit program at the same time, for long: stalls", runStalls},
	{"partitions", "CPU per event from 1 to 64 partitions", runPartitions},
	{"windows", "CPU per event from 1 to 10,000 open windows", runWindows},
	{"columns", "cost per byte from 10 to 200 columns and from 100 B to 10 kB", runColumns},
	{"views", "CPU per event from 1 to 8 views over one topic", runViews},
	{"peers", "Y and S beside Apache Spark local[2]: tuned with keyed upserts, and rows appended batch by batch", runPeers},
	{"restart", "memory at rest; restart after a kill with 1 and 10 million open groups", runRestart},
}

// Groups are names for several sets.
var Groups = map[string][]string{
	"bench":  {"y", "s", "u"},
	"full":   {"y", "s", "u", "u-large", "y1m"},
	"growth": {"partitions", "windows", "columns", "views", "restart"},
	"smoke":  {"y", "s", "u"},
}

// Run runs a set.
func (e *Env) Run(ctx context.Context, s Set) *File {
	f := newFile(ctx, e, s.Name)
	e.say("set %s: %s", s.Name, s.Doc)
	s.run(ctx, e, f)
	return f
}

// next tells whether there is time for another run, and says if not.
func (e *Env) next(ctx context.Context, f *File, what string) bool {
	if ctx.Err() == nil && !e.out() {
		return true
	}
	f.LeftOut = append(f.LeftOut, what)
	return false
}

// compare runs contenders over one topic, in turn.
func (e *Env) compare(ctx context.Context, f *File, w workload.Workload, events int64, contenders ...Contender) {
	if e.Events > 0 {
		events = e.Events
	}
	contenders = slices.DeleteFunc(contenders, func(c Contender) bool { return !e.wants(c.Name) })
	topic, err := e.fill(ctx, w, e.Partitions, events)
	if err != nil {
		f.fail(w.Name(), err)
		return
	}
	defer topic.drop(context.WithoutCancel(ctx))
	var cuts []int64 // of the product's last run
	for round := 1; round <= e.Repeat; round++ {
		for _, c := range contenders {
			if !e.next(ctx, f, fmt.Sprintf("%s, %s, round %d", w.Name(), c.Name, round)) {
				continue
			}
			if c.Kind == upserts.Kind && cuts == nil {
				f.fail(w.Name(), errors.New("no run of the product gave the epochs for PostgreSQL alone"))
				continue
			}
			d := e.drain(ctx, c, topic, round, cuts)
			if c.Kind == productKind && d.Error == "" {
				cuts = d.cuts
			}
			f.Drains = append(f.Drains, d)
		}
	}
}

func runYahoo(campaigns, ads, events int64) func(context.Context, *Env, *File) {
	return func(ctx context.Context, e *Env, f *File) {
		w := &workload.Yahoo{Seed: seed, Campaigns: campaigns, Ads: ads, Clock: workload.CatchUp(10 * time.Millisecond), Partitions: int64(e.Partitions)}
		e.compare(ctx, f, w, events, product(1), product(2), limit(1), limit(2), afternoon)
	}
}

func runSkeleton(ctx context.Context, e *Env, f *File) {
	w := &workload.Skeleton{Seed: seed, Clock: workload.CatchUp(workload.SkeletonStep)}
	e.compare(ctx, f, w, 10_000_000, product(1), product(2), limit(1), limit(2), afternoon)
}

func runUpdates(events int64, keys ...int64) func(context.Context, *Env, *File) {
	return func(ctx context.Context, e *Env, f *File) {
		for _, n := range keys {
			if e.Events > 0 && n > e.Events {
				f.LeftOut = append(f.LeftOut, fmt.Sprintf("U with %d keys: fewer events", n))
				continue
			}
			for _, zipf := range []bool{false, true} {
				e.compare(ctx, f, &workload.Updates{Seed: seed, Keys: n, Zipf: zipf}, events, product(1), product(2), upserts)
			}
		}
	}
}

// shortInterval is the commit interval that is measured beside the default.
const shortInterval = 10 * time.Millisecond

func quick(c Contender) Contender {
	c.Interval = shortInterval
	c.Name += ", 10 ms"
	return c
}

func runLatency(ctx context.Context, e *Env, f *File) {
	normal, ten := product(2), quick(product(2))
	for round := 1; round <= e.Repeat; round++ {
		for _, rate := range e.Rates {
			for _, step := range []struct {
				live       live
				contenders []Contender
			}{
				{e.liveYahoo(rate, e.Duration, false), []Contender{normal, ten, limit(2)}},
				{e.liveUpdates(rate, e.Duration), []Contender{normal, ten, limit(2)}},
				{e.liveYahoo(rate, e.Duration, true), []Contender{normal, ten}},
			} {
				e.liveRuns(ctx, f, step.live, round, step.contenders...)
			}
		}
	}
}

// runStalls runs the product and the limit program at the same time: what
// halts the machine halts both.
func runStalls(ctx context.Context, e *Env, f *File) {
	contenders := []Contender{product(2), limit(2)}
	for _, rate := range e.Rates {
		if !e.next(ctx, f, fmt.Sprintf("%d events/s", rate)) {
			continue
		}
		runs := make([]Latency, len(contenders))
		var all sync.WaitGroup
		for i, c := range contenders {
			l := e.liveYahoo(rate, e.Duration, false)
			l.database, l.beside = fmt.Sprintf("%s_%d", database, i), true
			all.Go(func() { runs[i] = e.latency(ctx, c, l, 1) })
		}
		all.Wait()
		f.Latencies = append(f.Latencies, runs...)
	}
}

func (e *Env) liveRuns(ctx context.Context, f *File, l live, round int, contenders ...Contender) {
	for _, c := range contenders {
		if e.wants(c.Name) && e.next(ctx, f, fmt.Sprintf("%d events/s, emit %s, %s, round %d", l.rate, l.emit, c.Name, round)) {
			f.Latencies = append(f.Latencies, e.latency(ctx, c, l, round))
		}
	}
}

// point is one place on a curve of growth.
type point struct {
	x          int64
	workload   workload.Workload
	partitions int
	events     int64
}

// grow runs the product at each point, in turn.
func (e *Env) grow(ctx context.Context, f *File, dimension string, points ...point) {
	topics := make([]*filled, len(points))
	for i, p := range points {
		if e.Events > 0 {
			p.events = max(1, e.Events*p.events/points[0].events)
		}
		var err error
		if topics[i], err = e.fill(ctx, p.workload, p.partitions, p.events); err != nil {
			f.fail(p.workload.Name(), err)
			return
		}
		defer topics[i].drop(context.WithoutCancel(ctx))
	}
	for round := 1; round <= e.Repeat; round++ {
		for i, p := range points {
			if e.next(ctx, f, fmt.Sprintf("%s %d, round %d", dimension, p.x, round)) {
				f.Growth = append(f.Growth, Growth{Dimension: dimension, X: p.x, Drain: e.drain(ctx, product(1), topics[i], round, nil)})
			}
		}
	}
}

func runPartitions(ctx context.Context, e *Env, f *File) {
	w := &workload.Skeleton{Seed: seed, Clock: workload.CatchUp(workload.SkeletonStep)}
	var points []point
	for _, n := range []int{1, 4, 16, 64} {
		points = append(points, point{int64(n), w, n, 5_000_000})
	}
	e.grow(ctx, f, "partitions", points...)
}

// openGroups is how many groups there are at each number of windows.
const openGroups = 10_000

func runWindows(ctx context.Context, e *Env, f *File) {
	var points []point
	for _, n := range []int64{1, 100, 10_000} {
		points = append(points, point{n, &workload.OpenWindows{Windows: n, Groups: openGroups}, e.Partitions, 5_000_000})
	}
	e.grow(ctx, f, "open windows", points...)
}

func runColumns(ctx context.Context, e *Env, f *File) {
	const bytes = 1_000_000_000 // of each topic
	var columns, sizes []point
	for _, n := range []int{10, 50, 200} {
		w := &workload.Wide{Columns: n, Text: 12}
		columns = append(columns, point{int64(n), w, e.Partitions, int64(bytes / workload.Size(w))})
	}
	for _, n := range []int{100, 1000, 10_000} {
		const columns = 4
		w := &workload.Wide{Columns: columns, Text: n/columns - 9}
		sizes = append(sizes, point{int64(n), w, e.Partitions, int64(bytes / workload.Size(w))})
	}
	e.grow(ctx, f, "columns", columns...)
	e.grow(ctx, f, "bytes of an event", sizes...)
}

func runViews(ctx context.Context, e *Env, f *File) {
	var points []point
	for _, n := range []int{1, 2, 4, 8} {
		points = append(points, point{int64(n), &workload.Wide{Columns: 10, Text: 12, Views: n}, e.Partitions, 4_000_000})
	}
	e.grow(ctx, f, "views", points...)
}

func runRestart(ctx context.Context, e *Env, f *File) {
	rest := e.rest(ctx, &workload.Skeleton{Seed: seed, Clock: workload.CatchUp(workload.SkeletonStep)})
	f.Rest = &rest
	for _, groups := range []int64{1_000_000, 10_000_000} {
		if e.Events > 0 && groups > e.Events {
			groups = e.Events
		}
		if e.next(ctx, f, fmt.Sprintf("restart with %d groups", groups)) {
			f.Restarts = append(f.Restarts, e.restart(ctx, groups))
		}
	}
}
