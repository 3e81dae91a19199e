package harness

import (
	"fmt"
	"slices"
	"strings"
)

// table is written as Markdown.
type table struct {
	b strings.Builder
}

func (t *table) head(names ...string) {
	t.row(names...)
	t.b.WriteString("|" + strings.Repeat(" --- |", len(names)) + "\n")
}

func (t *table) row(cells ...string) {
	t.b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// Print gives a set's tables.
func Print(f *File) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n", f.about())
	for _, text := range []string{drainTable(f.Drains), latencyTable(f.Latencies), growthTable(f.Growth), memoryTable(f)} {
		if text != "" {
			b.WriteString(text + "\n")
		}
	}
	for _, text := range f.LeftOut {
		fmt.Fprintf(&b, "Left out: %s.\n\n", text)
	}
	return b.String()
}

// about says when, where and how a set was run.
func (f *File) about() string {
	return fmt.Sprintf("Set `%s`, %s, commit `%s`; %d rounds, %d partitions, compression %s; %s, %d cores, %.0f GB; Kafka %s with %s of heap, PostgreSQL %s, %s.",
		f.Set, f.Date.Format("2006-01-02"), f.Commit, f.Config.Repeat, f.Config.Partitions, f.Config.Compression,
		f.Machine.CPU, f.Machine.Cores, float64(f.Machine.MemoryMB)/1024, f.Machine.Kafka, f.Config.KafkaHeap, f.Machine.Postgres, f.Machine.Go)
}

// group collects runs that belong together, in the order in which they came.
func group[T any, K comparable](runs []T, key func(T) K) (keys []K, by map[K][]T) {
	by = map[K][]T{}
	for _, r := range runs {
		k := key(r)
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
		by[k] = append(by[k], r)
	}
	return keys, by
}

// of collects a figure of the runs that succeeded.
func of[T any](runs []T, failed func(T) bool, figure func(T) float64) values {
	var v values
	for _, r := range runs {
		if !failed(r) {
			v = append(v, figure(r))
		}
	}
	return v
}

func drained(runs []Drain, figure func(Drain) float64) values {
	return of(runs, func(d Drain) bool { return d.Error != "" }, figure)
}

type line struct{ workload, contender string }

// drainTable is the table of metrics A, B and D.
func drainTable(drains []Drain) string {
	if len(drains) == 0 {
		return ""
	}
	var t table
	t.head("workload", "contender", "guarantee", "million events/s", "thousand rows/s", "CPU s per million: itself", "broker", "PostgreSQL", "peak MiB", "WAL bytes/event", "WAL bytes/row")
	keys, by := group(drains, func(d Drain) line { return line{d.Workload, d.Contender} })
	for _, k := range keys {
		runs := by[k]
		cell := func(format string, unit float64, figure func(Drain) float64) string {
			return drained(runs, figure).figure(format, unit)
		}
		if failed := failures(runs); failed != "" {
			t.row(k.workload, k.contender, runs[0].Guarantee, failed, "", "", "", "", "", "", "")
			continue
		}
		t.row(k.workload, k.contender, runs[0].Guarantee,
			cell("%.2f", 1e6, func(d Drain) float64 { return d.Rate }),
			cell("%.1f", 1e3, func(d Drain) float64 { return d.RowRate }),
			cell("%.2f", 1, func(d Drain) float64 { return d.Engine }),
			cell("%.2f", 1, func(d Drain) float64 { return d.Broker }),
			cell("%.2f", 1, func(d Drain) float64 { return d.Postgres }),
			cell("%.0f", 1, func(d Drain) float64 { return d.PeakMB }),
			cell("%.1f", 1, func(d Drain) float64 { return d.WALPerEvent }),
			cell("%.0f", 1, func(d Drain) float64 { return d.WALPerRow }))
	}
	return t.b.String()
}

// failures tells that runs failed: one is enough to show no figure.
func failures(runs []Drain) string {
	n := 0
	for _, d := range runs {
		if d.Error != "" {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d runs failed", n, len(runs))
}

// latencyTable is the table of metric C.
func latencyTable(all []Latency) string {
	if len(all) == 0 {
		return ""
	}
	var t table
	t.head("workload", "emit", "events/s", "contender", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "greatest ms", "stalls over 500 ms", "seconds", "CPU s per million", "WAL bytes/event")
	type key struct {
		workload, emit, contender string
		rate                      int64
	}
	keys, by := group(all, func(l Latency) key { return key{l.Workload, l.Emit, l.Contender, l.Rate} })
	for _, k := range keys {
		runs := by[k]
		cell := func(format string, figure func(Latency) float64) string {
			return of(runs, func(l Latency) bool { return l.Error != "" }, figure).figure(format, 1)
		}
		if slices.ContainsFunc(runs, func(l Latency) bool { return l.Error != "" }) {
			t.row(k.workload, k.emit, fmt.Sprint(k.rate), k.contender, "failed", "", "", "", "", "", "", "", "")
			continue
		}
		stalls, seconds := 0, 0.0
		for _, l := range runs {
			stalls += l.Stalls
			seconds += l.Seconds
		}
		t.row(k.workload, k.emit, fmt.Sprint(k.rate), k.contender,
			cell("%.1f", func(l Latency) float64 { return l.P50 }), cell("%.1f", func(l Latency) float64 { return l.P90 }),
			cell("%.1f", func(l Latency) float64 { return l.P99 }), cell("%.1f", func(l Latency) float64 { return l.P999 }),
			cell("%.1f", func(l Latency) float64 { return l.Max }), fmt.Sprint(stalls), fmt.Sprintf("%.0f", seconds),
			cell("%.1f", func(l Latency) float64 { return l.Engine }), cell("%.0f", func(l Latency) float64 { return l.WALPerEvent }))
	}
	return t.b.String()
}

type place struct {
	dimension string
	x         int64
}

// growthTable shows what grows with what.
func growthTable(all []Growth) string {
	if len(all) == 0 {
		return ""
	}
	var t table
	t.head("what grows", "to", "million events/s", "CPU s per million", "CPU ns per byte", "peak MiB", "WAL bytes/row")
	keys, by := group(all, func(g Growth) place { return place{g.Dimension, g.X} })
	for _, k := range keys {
		var runs []Drain
		for _, g := range by[k] {
			runs = append(runs, g.Drain)
		}
		if failed := failures(runs); failed != "" {
			t.row(k.dimension, fmt.Sprint(k.x), failed, "", "", "", "")
			continue
		}
		t.row(k.dimension, fmt.Sprint(k.x),
			drained(runs, func(d Drain) float64 { return d.Rate }).figure("%.2f", 1e6),
			drained(runs, func(d Drain) float64 { return d.Engine }).figure("%.2f", 1),
			drained(runs, perByte).figure("%.2f", 1),
			drained(runs, func(d Drain) float64 { return d.PeakMB }).figure("%.0f", 1),
			drained(runs, func(d Drain) float64 { return d.WALPerRow }).figure("%.0f", 1))
	}
	return t.b.String()
}

// perByte is nanoseconds of the engine's CPU for a byte of input.
func perByte(d Drain) float64 { return d.Engine * 1000 / d.EventBytes }

// memoryTable shows memory at rest and restarts.
func memoryTable(f *File) string {
	if f.Rest == nil && len(f.Restarts) == 0 {
		return ""
	}
	var t table
	t.head("what", "measured", "greatest memory MiB")
	if f.Rest != nil {
		t.row("at rest, one pipeline", orFailed(fmt.Sprintf("%.0f MiB", f.Rest.NowMB), f.Rest.Error), fmt.Sprintf("%.0f", f.Rest.PeakMB))
	}
	for _, r := range f.Restarts {
		t.row(fmt.Sprintf("restart after SIGKILL with %s open groups", millions(r.Groups)), orFailed(fmt.Sprintf("%.1f s", r.Seconds), r.Error), fmt.Sprintf("%.0f", r.PeakMB))
	}
	return t.b.String()
}

func orFailed(text, err string) string {
	if err != "" {
		return "failed"
	}
	return text
}
