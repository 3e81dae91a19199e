package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/bench/contender"
	"github.com/millstream-dev/millstream/bench/topics"
)

// TestDrainIsTimedFromAFifth: what is committed before 20 % of the events, and
// the CPU time until then, do not count.
func TestDrainIsTimedFromAFifth(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	r := &running{log: newLog(), sampler: &sampler{peak: 64 << 20}}
	for _, c := range []contender.Commit{{At: at(1), Events: 100, Rows: 10}, {At: at(5), Events: 250, Rows: 20}, {At: at(6), Events: 600, Rows: 50}, {At: at(7), Events: 1000, Rows: 95}, {At: at(9), Events: 1000, Rows: 95}} {
		r.log.add(c)
	}
	for s := range 10 {
		r.sampler.uses = append(r.sampler.uses, use{at: at(float64(s)), engine: time.Duration(s) * 500 * time.Millisecond})
	}
	d := Drain{Events: 1000}
	if err := d.measure(r, 5000); err != nil {
		t.Fatal(err)
	}
	if d.Rate != 375 || d.RowRate != 37.5 || d.Seconds != 2 {
		t.Errorf("rate %v, rows %v, seconds %v", d.Rate, d.RowRate, d.Seconds)
	}
	if got, want := fmt.Sprintf("%.3f", d.Engine), fmt.Sprintf("%.3f", 1.0/750*1e6); got != want {
		t.Errorf("CPU %s, want %s", got, want)
	}
	if d.WALPerEvent != 5 || d.PeakMB != 64 || d.Commits != 4 {
		t.Errorf("WAL %v, peak %v, commits %d", d.WALPerEvent, d.PeakMB, d.Commits)
	}
	short := Drain{Events: 1001}
	if err := short.measure(r, 0); err == nil {
		t.Error("commits that end before the last event give a figure")
	}
}

// TestStalls: neighbouring slow probes are one stall, and what was due in the
// warm-up does not count.
func TestStalls(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var probes []probe
	for i, ms := range []int{9000, 1, 2, 3, 700, 600, 4, 501, 5, 6} {
		due := start.Add(time.Duration(i) * 2 * time.Second)
		probes = append(probes, probe{due, due.Add(time.Duration(ms) * time.Millisecond)})
	}
	out := Latency{Seconds: 20, Rate: 1}
	err := out.measure(&running{log: newLog(), sampler: &sampler{}}, probes, topics.Schedule{Start: start, Rate: 1}, 20)
	if err != nil {
		t.Fatal(err)
	}
	if out.Stalls != 2 || out.Probes != 7 || out.P50 != 6 || out.Max != 700 {
		t.Errorf("stalls %d, probes %d, p50 %v, greatest %v", out.Stalls, out.Probes, out.P50, out.Max)
	}
}

func TestFigures(t *testing.T) {
	if got := (values{3e6, 1e6, 2e6}).figure("%.1f", 1e6); got != "2.0 (1.0–3.0)" {
		t.Error(got)
	}
	if got := (values{2, 2.001}).figure("%.1f", 1); got != "2.0" {
		t.Error(got)
	}
}

// example is a file with a failed run and one that misses its goals.
func example() []*File {
	d := func(contender string, rate, cpu float64) Drain {
		return Drain{Workload: "Y", Contender: contender, Events: 10_000_000, Rate: rate, Engine: cpu, Broker: 0.2, Postgres: 0.1, PeakMB: 100}
	}
	f := &File{Set: "y", Drains: []Drain{
		d("millstream, 1 worker", 1e6, 0.7), d("millstream, 2 workers", 1.6e6, 0.7), d("limit, 1 worker", 5e6, 0.2), d("limit, 2 workers", 6e6, 0.2), d("afternoon program", 3e5, 3),
		{Workload: "Y1M", Contender: "millstream, 1 worker", Error: "wrong"},
	}}
	f.Machine.Cores = 2
	return []*File{f}
}

func TestGoals(t *testing.T) {
	want := map[string]bool{
		"Y: events/s at least 5 times":                      true, // 5.3 times
		"Y: CPU seconds per million at most 3 times":        false,
		"Y: the second worker adds at least half":           true, // 2 million/s with all cores busy
		"draining Y with 10 million events: at most 400 Mi": true,
	}
	got := goals(example())
	if len(got) != len(want) {
		t.Errorf("%d goals, want %d", len(got), len(want))
	}
	for _, v := range got {
		found := false
		for prefix, met := range want {
			if strings.HasPrefix(v.goal, prefix) {
				found = true
				if v.met != met {
					t.Errorf("%s: %s: met is %v", v.goal, v.measured, v.met)
				}
			}
		}
		if !found {
			t.Errorf("%s is not expected", v.goal)
		}
	}
}

// TestReport writes the page from saved results, twice to the same text.
func TestReport(t *testing.T) {
	root := t.TempDir()
	text, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, page)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, f := range example() {
		if err := f.Save(ResultsOf(root)); err != nil {
			t.Fatal(err)
		}
	}
	var before string
	for range 2 {
		if err := Report(root); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"| Y | limit, 2 workers |  | 6.00 |", "1 of 1 runs failed", "3.5 times (0.70 and 0.20) | **no** |"} {
			if !strings.Contains(string(got), want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if before != "" && before != string(got) {
			t.Error("the second writing changes the page")
		}
		before = string(got)
	}
}

// TestPageIsWritten compares the page with the recorded results.
func TestPageIsWritten(t *testing.T) {
	files, err := Load(ResultsOf("../.."))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sections {
		want, err := between(string(text), s.name, s.write(files))
		if err != nil {
			t.Fatal(err)
		}
		if want != string(text) {
			t.Errorf("the tables of %s differ from bench/results: go -C bench run . -report writes them", s.name)
		}
	}
}
