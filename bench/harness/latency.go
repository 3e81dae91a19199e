package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/bench/topics"
	"github.com/millstream-dev/millstream/bench/workload"
)

const (
	// startWait is how long after a contender's tables are there the first
	// event is due: its connections are open by then.
	startWait = time.Second
	// latencyWarm is left out at the beginning of a run.
	latencyWarm = 5 * time.Second
	// settleLimit is how long the last commit may take after the last event.
	settleLimit = time.Minute
	// stall is a latency at which a watcher believes that it hangs.
	stall = 500 * time.Millisecond
	// probesPerSecond is how many events a second are probes, but no more
	// than one in probeShare.
	probesPerSecond = 100
	probeShare      = 20
	// finalWindow is the window of Y's final view: shorter than ten seconds,
	// so that a run closes enough of them.
	finalWindow = time.Second
)

// Latency is what one run at a fixed rate gave. Times are milliseconds from
// the moment an event was due to the commit that shows it.
type Latency struct {
	Workload  string  `json:"workload"`
	Emit      string  `json:"emit"`
	Contender string  `json:"contender"`
	Rate      int64   `json:"rate"`
	Seconds   float64 `json:"seconds"`
	Round     int     `json:"round"`
	Error     string  `json:"error,omitempty"`
	Probes    int     `json:"probes,omitempty"`
	P50       float64 `json:"p50_ms,omitempty"`
	P90       float64 `json:"p90_ms,omitempty"`
	P99       float64 `json:"p99_ms,omitempty"`
	P999      float64 `json:"p999_ms,omitempty"`
	Max       float64 `json:"max_ms,omitempty"`
	// Stalls are stretches of probes that all took more than 500 ms.
	Stalls      int     `json:"stalls"`
	Engine      float64 `json:"cpu_engine,omitempty"` // CPU seconds for a million events
	PeakMB      float64 `json:"peak_mb,omitempty"`
	WALPerEvent float64 `json:"wal_per_event,omitempty"`
	Commits     int     `json:"commits,omitempty"`
}

// live is a run at a fixed rate.
type live struct {
	workload func(start time.Time) probed
	emit     string
	rate     int64
	duration time.Duration
	database string
	beside   bool // another contender runs at the same time
}

// probed is a workload with probes.
type probed interface {
	workload.Workload
	// Latencies reads each probe's commit, in the order of their due times.
	latencies(ctx context.Context, db *pgx.Conn, n int64, s topics.Schedule) ([]probe, error)
}

// probe is an event whose commit is known.
type probe struct {
	due    time.Time
	commit time.Time
}

func probeEvery(rate int64) int64 { return max(rate/probesPerSecond, probeShare) }

// liveYahoo is Y as it happens.
func (e *Env) liveYahoo(rate int64, duration time.Duration, final bool) live {
	l := live{emit: "update", rate: rate, duration: duration, database: database}
	if final {
		l.emit = "final"
	}
	l.workload = func(start time.Time) probed {
		y := &workload.Yahoo{Seed: seed, Campaigns: 100, Ads: 10, Clock: workload.Live(start, rate), Partitions: int64(e.Partitions), Final: final}
		if final {
			y.Window = finalWindow
		} else {
			y.Probe = probeEvery(rate)
			y.Probes = l.events()/y.Probe + 1
		}
		return yahooProbes{y}
	}
	return l
}

// liveUpdates is U as it happens.
func (e *Env) liveUpdates(rate int64, duration time.Duration) live {
	return live{emit: "update", rate: rate, duration: duration, database: database, workload: func(time.Time) probed {
		return updateProbes{&workload.Updates{Seed: seed, Keys: 10_000, Zipf: true, Probe: probeEvery(rate)}}
	}}
}

func (l live) events() int64 { return l.rate * int64(l.duration/time.Second) }

// latency runs a contender at a fixed rate.
func (e *Env) latency(ctx context.Context, c Contender, l live, round int) Latency {
	out := Latency{Contender: c.Name, Emit: l.emit, Rate: l.rate, Seconds: l.duration.Seconds(), Round: round}
	out.Workload = l.workload(time.Time{}).Kind()
	if err := e.latencyInto(ctx, &out, c, l); err != nil {
		out.Error = err.Error()
		e.say("%s %s %6d/s  %-28s FAILED: %v", out.Workload, out.Emit, out.Rate, out.Contender, err)
		return out
	}
	e.say("%s %s %6d/s  %-28s p50 %.1f  p99 %.1f  max %.1f ms, %d stalls, %d probes", out.Workload, out.Emit, out.Rate, out.Contender,
		out.P50, out.P99, out.Max, out.Stalls, out.Probes)
	return out
}

func (e *Env) latencyInto(ctx context.Context, out *Latency, c Contender, l live) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.Timeout+l.duration, errors.New("the run took too long"))
	defer cancel()
	topic, err := topics.Create(ctx, e.Kafka.Addr, e.topicName(), e.Partitions)
	if err != nil {
		return err
	}
	f := &filled{Topic: topic, events: l.events()}
	defer f.drop(context.WithoutCancel(ctx))
	url, err := e.prepare(ctx, l.database, l.workload(time.Time{}))
	if err != nil {
		return err
	}
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	r, err := e.launch(ctx, c, task{workload: l.workload(time.Time{}), topic: topic.Name, database: url, ends: make([]int64, e.Partitions), open: true})
	if err != nil {
		return err
	}
	sent, err := e.pace(ctx, db, r, l, topic)
	if err == nil {
		err = r.await(ctx, f.events, settleLimit)
	}
	if err = r.end(err); err != nil {
		return err
	}
	w := l.workload(sent.schedule.Start)
	if err := w.Check(ctx, db, f.events); err != nil {
		return err
	}
	probes, err := w.latencies(ctx, db, f.events, sent.schedule)
	if err != nil {
		return err
	}
	walAfter, err := e.Postgres.WAL(ctx)
	if err != nil {
		return err
	}
	if !l.beside {
		out.WALPerEvent = float64(walAfter-sent.wal) / float64(f.events)
	}
	return out.measure(r, probes, sent.schedule, f.events)
}

// sending is how a run began.
type sending struct {
	schedule topics.Schedule
	wal      int64
}

// pace waits for the contender's table and sends the events.
func (e *Env) pace(ctx context.Context, db *pgx.Conn, r *running, l live, topic *topics.Topic) (sending, error) {
	var s sending
	table := l.workload(time.Time{}).Table()
	clock := time.NewTicker(watchEvery)
	defer clock.Stop()
	for there := false; !there; {
		select {
		case <-clock.C:
		case <-r.ended:
			return s, fmt.Errorf("it ended before there was an event: %w", r.failure())
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
		if err := db.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there); err != nil {
			return s, err
		}
	}
	var err error
	if s.wal, err = e.Postgres.WAL(ctx); err != nil {
		return s, err
	}
	s.schedule = topics.Schedule{Start: time.Now().Add(startWait).Truncate(time.Millisecond), Rate: l.rate}
	return s, topic.Pace(ctx, l.workload(s.schedule.Start), l.events(), s.schedule, e.Compression)
}

// measure turns probes into figures.
func (out *Latency) measure(r *running, probes []probe, s topics.Schedule, events int64) error {
	begin := s.Start.Add(min(latencyWarm, time.Duration(out.Seconds/4*float64(time.Second))))
	var ms []float64
	slow := false
	for _, p := range probes {
		if p.due.Before(begin) {
			continue
		}
		d := p.commit.Sub(p.due)
		ms = append(ms, float64(d)/1e6)
		if d > stall && !slow {
			out.Stalls++
		}
		slow = d > stall
	}
	if len(ms) == 0 {
		return errors.New("no probe was due after the warm-up")
	}
	slices.Sort(ms)
	out.Probes = len(ms)
	out.P50, out.P90, out.P99, out.P999, out.Max = quantile(ms, 0.5), quantile(ms, 0.9), quantile(ms, 0.99), quantile(ms, 0.999), ms[len(ms)-1]
	end := s.Due(events)
	a, b := r.sampler.at(begin), r.sampler.at(end)
	out.Engine = (b.engine - a.engine).Seconds() / (end.Sub(begin).Seconds() * float64(s.Rate)) * 1e6
	out.PeakMB = float64(r.sampler.peak) / (1 << 20)
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	out.Commits = len(r.log.commits)
	return nil
}

// quantile of sorted values: the least that is not below the share q of them.
func quantile(sorted []float64, q float64) float64 {
	i := int(q * float64(len(sorted)))
	return sorted[min(i, len(sorted)-1)]
}

// yahooProbes reads Y's probes: campaigns of their own, or with emit 'final'
// all rows, which are due when the last event that closes their window is.
type yahooProbes struct{ *workload.Yahoo }

func (y yahooProbes) latencies(ctx context.Context, db *pgx.Conn, n int64, s topics.Schedule) ([]probe, error) {
	if y.Final {
		rows, err := db.Query(ctx, `SELECT (extract(epoch FROM window_start) * 1000)::int8, pg_xact_commit_timestamp(xmin) FROM campaign_counts ORDER BY 1, 2`)
		return readProbes(rows, err, func(start int64) time.Time { return s.Due(y.Closing(start)) })
	}
	rows, err := db.Query(ctx, `SELECT substr(campaign_id, 10)::int8, pg_xact_commit_timestamp(xmin) FROM campaign_counts
WHERE substr(campaign_id, 10)::int8 >= $1 ORDER BY 1`, y.Campaigns)
	return readProbes(rows, err, func(campaign int64) time.Time { return s.Due((campaign - y.Campaigns) * y.Probe) })
}

// updateProbes reads U's probes: keys of their own.
type updateProbes struct{ *workload.Updates }

func (u updateProbes) latencies(ctx context.Context, db *pgx.Conn, _ int64, s topics.Schedule) ([]probe, error) {
	rows, err := db.Query(ctx, "SELECT key, pg_xact_commit_timestamp(xmin) FROM totals WHERE key >= $1 ORDER BY key", int64(workload.ProbeKeys))
	return readProbes(rows, err, func(key int64) time.Time { return s.Due((key - workload.ProbeKeys) * u.Probe) })
}

func readProbes(rows pgx.Rows, err error, due func(int64) time.Time) ([]probe, error) {
	if err != nil {
		return nil, err
	}
	var probes []probe
	var number int64
	var commit time.Time
	_, err = pgx.ForEachRow(rows, []any{&number, &commit}, func() error {
		probes = append(probes, probe{due(number), commit})
		return nil
	})
	return probes, err
}
