package harness

import (
	"fmt"
	"slices"
	"strings"
)

// verdict is what became of a goal.
type verdict struct {
	goal     string
	measured string
	met      bool
}

// goals compares what was measured with what is wanted. A goal whose runs are
// not recorded is not listed.
func goals(files []*File) []verdict {
	var out []verdict
	for _, s := range []struct{ set, name string }{{"y", "Y"}, {"s", "S"}} {
		if f := set(files, s.set); f != nil {
			out = append(out, besideLimit(s.name, f.Drains, f.Machine.Cores)...)
		}
	}
	if f := set(files, "y"); f != nil {
		out = append(out, drainMemory(f.Drains)...)
	}
	if f := set(files, "peers"); f != nil {
		out = append(out, besideSpark(f.Drains)...)
	}
	for _, name := range []string{"u", "u-large"} {
		if f := set(files, name); f != nil {
			out = append(out, besidePostgres(f.Drains)...)
		}
	}
	if f := set(files, "latency"); f != nil {
		out = append(out, latencyGoals(f.Latencies)...)
	}
	if f := set(files, "stalls"); f != nil {
		out = append(out, stallGoals(f.Latencies)...)
	}
	for _, name := range []string{"partitions", "windows", "columns", "views"} {
		if f := set(files, name); f != nil {
			out = append(out, growthGoals(f.Growth)...)
		}
	}
	if f := set(files, "restart"); f != nil {
		out = append(out, memoryGoals(f)...)
	}
	return out
}

func goalTable(files []*File) string {
	all := goals(files)
	if len(all) == 0 {
		return notRun
	}
	var t table
	t.head("goal", "measured", "met")
	for _, v := range all {
		met := "**no**"
		if v.met {
			met = "yes"
		}
		t.row(v.goal, v.measured, met)
	}
	return t.b.String()
}

// median of a figure of one contender's runs; 0 if it has none that succeeded.
func median(drains []Drain, workload, contender string, figure func(Drain) float64) float64 {
	return drained(slices.DeleteFunc(slices.Clone(drains), func(d Drain) bool { return d.Workload != workload || d.Contender != contender }), figure).median()
}

func rate(d Drain) float64   { return d.Rate }
func engine(d Drain) float64 { return d.Engine }
func all(d Drain) float64    { return d.Engine + d.Broker + d.Postgres }

// What Y and S are to reach beside other programs.
const (
	timesAfternoon = 5
	shareOfLimit   = 0.4
	timesLimitCPU  = 3
	shareOfCore    = 0.5
)

func besideLimit(name string, drains []Drain, cores int) []verdict {
	of := func(c Contender, figure func(Drain) float64) float64 { return median(drains, name, c.Name, figure) }
	one, two := of(product(1), rate), of(product(2), rate)
	best, bestLimit := max(one, two), max(of(limit(1), rate), of(limit(2), rate))
	cpu := of(product(1), engine)
	var out []verdict
	if hand := of(afternoon, rate); best > 0 && hand > 0 && bestLimit > 0 {
		out = append(out, verdict{
			fmt.Sprintf("%s: events/s at least %d times the afternoon program's, or %.0f %% of the limit's", name, timesAfternoon, shareOfLimit*100),
			fmt.Sprintf("%.1f times; %.0f %%", best/hand, best/bestLimit*100), best >= timesAfternoon*hand || best >= shareOfLimit*bestLimit,
		})
	}
	if limitCPU := of(limit(1), engine); cpu > 0 && limitCPU > 0 {
		out = append(out, verdict{
			fmt.Sprintf("%s: CPU seconds per million at most %d times the limit's, one worker each", name, timesLimitCPU),
			fmt.Sprintf("%.1f times (%.2f and %.2f)", cpu/limitCPU, cpu, limitCPU), cpu <= timesLimitCPU*limitCPU,
		})
	}
	if f := of(product(1), all); one > 0 && two > 0 {
		ideal := float64(cores) * 1e6 / f // with every core busy at the cost of one worker's run
		out = append(out, verdict{
			fmt.Sprintf("%s: the second worker adds at least half of what the cores leave free", name),
			fmt.Sprintf("%.2f to %.2f million/s; all cores busy would give %.2f", one/1e6, two/1e6, ideal/1e6),
			ideal <= one || two-one >= shareOfCore*(ideal-one),
		})
	}
	return out
}

// Limits of memory, in MiB.
const (
	yahooMemory   = 400
	yahooEvents   = 10_000_000
	keysMemory    = 1536
	manyKeys      = "U 10M"
	restMemory    = 150
	millionLimit  = 5.0 // seconds of a restart
	tenMillions   = 40.0
	upsertShare   = 0.8
	growthLimit   = 0.2
	decodingLimit = 0.3
)

func drainMemory(drains []Drain) []verdict {
	var peak values
	for _, d := range drains {
		if d.Error == "" && strings.HasPrefix(d.Contender, productKind) && d.Events >= yahooEvents {
			peak = append(peak, d.PeakMB)
		}
	}
	if len(peak) == 0 {
		return nil
	}
	most := slices.Max(peak)
	return []verdict{{fmt.Sprintf("draining Y with 10 million events: at most %d MiB", yahooMemory), fmt.Sprintf("%.0f MiB", most), most <= yahooMemory}}
}

// besidePostgres compares changed rows with what PostgreSQL alone upserts in
// the same epochs. Where epochs hold many events for each changed row, rows
// are fewer because they are coalesced: then it is events that must keep up.
// coalesced: from so many events for each changed row on, PostgreSQL's upserts
// don't bound a drain, and it is compared by its events.
const coalesced = 20

func besidePostgres(drains []Drain) []verdict {
	var out []verdict
	names, _ := group(drains, func(d Drain) string { return d.Workload })
	for _, name := range names {
		best := product(2).Name
		if median(drains, name, product(1).Name, rate) > median(drains, name, best, rate) {
			best = product(1).Name
		}
		rows := median(drains, name, best, func(d Drain) float64 { return d.RowRate })
		events := median(drains, name, best, rate)
		alone := median(drains, name, upserts.Name, func(d Drain) float64 { return d.RowRate })
		if rows == 0 || alone == 0 {
			continue
		}
		if v := (verdict{goal: fmt.Sprintf("%s: at least %.0f %% of the rows/s that PostgreSQL alone upserts", name, upsertShare*100)}); events >= coalesced*rows {
			v.goal += ", in events (coalesced)"
			v.measured, v.met = fmt.Sprintf("%.0f events/s, %.0f rows/s alone", events, alone), events >= upsertShare*alone
			out = append(out, v)
		} else {
			v.measured, v.met = fmt.Sprintf("%.0f %% of %.0f rows/s", rows/alone*100, alone), rows >= upsertShare*alone
			out = append(out, v)
		}
		if strings.HasPrefix(name, manyKeys) {
			memory := func(c Contender) float64 {
				return median(drains, name, c.Name, func(d Drain) float64 { return d.PeakMB })
			}
			peak := max(memory(product(1)), memory(product(2)))
			out = append(out, verdict{name + ": memory at most 1.5 GiB", fmt.Sprintf("%.0f MiB", peak), peak <= keysMemory})
		}
	}
	return out
}

// latencyLimits are how far p99 may lie beyond the limit program's, in ms.
var latencyLimits = []struct {
	rate      int64
	contender string
	beyond    float64
}{
	{10_000, product(2).Name, 60},
	{10_000, quick(product(2)).Name, 20},
	{100_000, product(2).Name, 100},
}

func latencyGoals(runs []Latency) []verdict {
	p99 := func(workload, contender string, rate int64) float64 {
		var v values
		for _, l := range runs {
			if l.Error == "" && l.Workload == workload && l.Emit == "update" && l.Contender == contender && l.Rate == rate {
				v = append(v, l.P99)
			}
		}
		return v.median()
	}
	var out []verdict
	for _, g := range latencyLimits {
		for _, workload := range []string{"Y", "U"} {
			ours, theirs := p99(workload, g.contender, g.rate), p99(workload, limit(2).Name, g.rate)
			if ours == 0 || theirs == 0 {
				continue
			}
			out = append(out, verdict{
				fmt.Sprintf("L: %s at %d events/s, %s: p99 at most %.0f ms beyond the limit's", workload, g.rate, g.contender, g.beyond),
				fmt.Sprintf("%.1f ms beyond (%.1f and %.1f)", ours-theirs, ours, theirs), ours-theirs <= g.beyond,
			})
		}
	}
	return out
}

func stallGoals(runs []Latency) []verdict {
	count := func(contender string, rate int64) (stalls int, seconds float64) {
		for _, l := range runs {
			if l.Error == "" && l.Contender == contender && l.Rate == rate {
				stalls += l.Stalls
				seconds += l.Seconds
			}
		}
		return stalls, seconds
	}
	var out []verdict
	rates, _ := group(runs, func(l Latency) int64 { return l.Rate })
	for _, r := range rates {
		ours, seconds := count(product(2).Name, r)
		theirs, beside := count(limit(2).Name, r)
		if seconds > 0 && beside > 0 {
			out = append(out, verdict{
				fmt.Sprintf("Y at %d events/s over %.0f s: no more stalls over 500 ms than the limit program", r, seconds),
				fmt.Sprintf("%d and %d", ours, theirs), ours <= theirs,
			})
		}
	}
	return out
}

const perByteUnit = "growth of CPU per byte"

func growthGoals(all []Growth) []verdict {
	var out []verdict
	dimensions, by := group(all, func(g Growth) string { return g.Dimension })
	for _, dimension := range dimensions {
		figure, unit, bound := engine, "CPU per event", growthLimit
		switch dimension {
		case "columns", "bytes of an event":
			figure, unit, bound = perByte, perByteUnit, decodingLimit
		case "views":
			if v, ok := viewsGoal(by[dimension]); ok {
				out = append(out, v)
			}
			continue
		}
		xs, at := curve(by[dimension], figure)
		if len(xs) < 2 {
			continue
		}
		first, last := xs[0], xs[len(xs)-1]
		least, most := slices.Min(at), slices.Max(at)
		if unit == perByteUnit { // it falls as records grow, since each has a cost of its own
			least, most = at[0], slices.Max(at[1:])
		}
		out = append(out, verdict{
			fmt.Sprintf("growth: %s within %.0f %% from %d to %d %s", unit, bound*100, first, last, dimension),
			fmt.Sprintf("%+.0f %% (%.2f and %.2f)", (most/least-1)*100, least, most), most <= least*(1+bound),
		})
	}
	return out
}

// curve gives the points that have a figure.
func curve(runs []Growth, figure func(Drain) float64) (xs []int64, at []float64) {
	points, by := group(runs, func(g Growth) int64 { return g.X })
	for _, x := range points {
		var drains []Drain
		for _, g := range by[x] {
			drains = append(drains, g.Drain)
		}
		if m := drained(drains, figure).median(); m > 0 {
			xs, at = append(xs, x), append(at, m)
		}
	}
	return xs, at
}

// viewsGoal holds that a further view costs less than a first one, which also
// reads and decodes.
func viewsGoal(runs []Growth) (verdict, bool) {
	xs, at := curve(runs, engine)
	if len(xs) < 2 || xs[0] != 1 {
		return verdict{}, false
	}
	n := len(xs) - 1
	further := (at[n] - at[0]) / float64(xs[n]-1)
	return verdict{
		"growth: a further view over a topic adds its own work only: less than half of the first one's, which decodes",
		fmt.Sprintf("%.3f CPU s per million each, %.3f for the first", further, at[0]), further < at[0]/2,
	}, true
}

func memoryGoals(f *File) []verdict {
	var out []verdict
	if f.Rest != nil && f.Rest.Error == "" {
		out = append(out, verdict{fmt.Sprintf("memory at rest: at most %d MiB", restMemory), fmt.Sprintf("%.0f MiB", f.Rest.NowMB), f.Rest.NowMB <= restMemory})
	}
	for _, r := range f.Restarts {
		bound := millionLimit
		if r.Groups > 1_000_000 {
			bound = tenMillions
		}
		if r.Error == "" {
			out = append(out, verdict{
				fmt.Sprintf("restart with %s open groups: at most %.0f s", millions(r.Groups), bound), fmt.Sprintf("%.1f s", r.Seconds), r.Seconds <= bound,
			})
		}
	}
	return out
}
