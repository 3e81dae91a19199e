package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/bench/contender"
	"github.com/millstream-dev/millstream/bench/topics"
	"github.com/millstream-dev/millstream/bench/workload"
)

// warmShare is the part of the events before the clock starts: start-up, first
// connections and cold caches.
const warmShare = 0.2

// Drain is what one run over a filled topic gave.
type Drain struct {
	Workload  string  `json:"workload"`
	Contender string  `json:"contender"`
	Guarantee string  `json:"guarantee,omitempty"`
	Round     int     `json:"round"`
	Events    int64   `json:"events"`
	Error     string  `json:"error,omitempty"` // then no other figure counts
	Seconds   float64 `json:"seconds,omitempty"`
	// Rate and RowRate are events and changed rows a second.
	Rate    float64 `json:"events_per_second,omitempty"`
	RowRate float64 `json:"rows_per_second,omitempty"`
	// CPU seconds for a million events.
	Engine   float64 `json:"cpu_engine,omitempty"`
	Broker   float64 `json:"cpu_broker,omitempty"`
	Postgres float64 `json:"cpu_postgres,omitempty"`
	PeakMB   float64 `json:"peak_mb,omitempty"`
	Rows     int64   `json:"rows,omitempty"` // changed, each time anew
	Commits  int     `json:"commits,omitempty"`
	// WAL bytes, those of deploying the pipeline included.
	WALPerEvent float64 `json:"wal_per_event,omitempty"`
	WALPerRow   float64 `json:"wal_per_row,omitempty"`
	EventBytes  float64 `json:"event_bytes,omitempty"`

	cuts []int64 // positions of the commits
}

// filled is a topic that is ready.
type filled struct {
	*topics.Topic
	workload workload.Workload
	events   int64
}

// fill makes a topic of n events.
func (e *Env) fill(ctx context.Context, w workload.Workload, partitions int, n int64) (*filled, error) {
	name := e.topicName()
	t, err := topics.Create(ctx, e.Kafka.Addr, name, partitions)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	made, err := t.Fill(ctx, w, n, e.Compression)
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("fill topic %s: %w", name, err)
	}
	syscall.Sync() // no writing back of the topic while contenders are timed
	e.say("%s: %s events of %.0f bytes in %d partitions, made at %.2f million/s on one core, in Kafka and on disk after %.1f s",
		w.Name(), millions(n), workload.Size(w), partitions, float64(n)/made.Seconds()/1e6, time.Since(began).Seconds())
	return &filled{Topic: t, workload: w, events: n}, nil
}

// topicName gives a name that no topic had.
func (e *Env) topicName() string { return fmt.Sprintf("bench_%d", e.topics.Add(1)) }

func millions(n int64) string {
	if n < 1_000_000 {
		return fmt.Sprint(n)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1e6), ".0") + " million"
}

func (f *filled) drop(ctx context.Context) {
	_ = f.Delete(ctx) // it only takes room
	f.Close()
}

// ends gives the partitions' ends.
func (f *filled) ends() []int64 {
	out := make([]int64, f.Partitions)
	for p := range out {
		out[p] = (f.events - int64(p) + int64(f.Partitions) - 1) / int64(f.Partitions)
	}
	return out
}

// database is the one of a run that is under way alone.
const database = "bench"

// drain has a contender read a filled topic to its end.
func (e *Env) drain(ctx context.Context, c Contender, f *filled, round int, cuts []int64) Drain {
	d := Drain{Workload: f.workload.Name(), Contender: c.Name, Guarantee: c.Guarantee, Round: round, Events: f.events, EventBytes: workload.Size(f.workload)}
	if err := e.drainInto(ctx, &d, c, f, cuts); err != nil {
		d.Error = err.Error()
		e.say("%-14s %-22s FAILED: %v", d.Workload, d.Contender, err)
		return d
	}
	if d.Seconds == 0 {
		e.say("%-14s %-22s the table is right; too short to be timed", d.Workload, d.Contender)
		return d
	}
	e.say("%-14s %-22s %6.2f M events/s  %7.0f rows/s  CPU s/M: engine %.2f, broker %.2f, PostgreSQL %.2f  peak %.0f MiB, %d commits",
		d.Workload, d.Contender, d.Rate/1e6, d.RowRate, d.Engine, d.Broker, d.Postgres, d.PeakMB, d.Commits)
	return d
}

func (e *Env) drainInto(ctx context.Context, d *Drain, c Contender, f *filled, cuts []int64) error {
	url, err := e.prepare(ctx, database, f.workload)
	if err != nil {
		return err
	}
	walBefore, err := e.Postgres.WAL(ctx)
	if err != nil {
		return err
	}
	r, err := e.launch(ctx, c, task{workload: f.workload, topic: f.Name, database: url, ends: f.ends(), cuts: cuts})
	if err != nil {
		return err
	}
	if c.Kind == productKind && e.Profile != "" {
		go e.profile(r, d)
	}
	err = e.awaitEnd(ctx, r)
	r.settle()
	if err != nil {
		return err
	}
	walAfter, err := e.Postgres.WAL(ctx)
	if err != nil {
		return err
	}
	if c.Kind == contender.SparkAppend {
		if err := execute(ctx, url, contender.LastRows); err != nil {
			return err
		}
	}
	if err := e.check(ctx, url, f.workload, f.events); err != nil {
		return err
	}
	err = d.measure(r, walAfter-walBefore)
	if e.CheckOnly && errors.Is(err, errShort) {
		return nil
	}
	return err
}

// prepare makes an empty database with what the workload needs.
func (e *Env) prepare(ctx context.Context, database string, w workload.Workload) (string, error) {
	url, err := e.Postgres.Database(ctx, database)
	if err != nil {
		return "", err
	}
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer db.Close(context.WithoutCancel(ctx))
	return url, w.Setup(ctx, db)
}

// awaitEnd waits until the contender has ended by itself.
func (e *Env) awaitEnd(ctx context.Context, r *running) error {
	limit := time.NewTimer(e.Timeout)
	defer limit.Stop()
	select {
	case <-r.ended:
		return r.failure()
	case <-limit.C:
		r.kill()
		events, _ := r.log.events()
		return fmt.Errorf("it did not end within %v: %d events were committed; %s", e.Timeout, events, r.stderr)
	case <-ctx.Done():
		r.kill()
		return context.Cause(ctx)
	}
}

// check compares the table with what it must be.
func (e *Env) check(ctx context.Context, url string, w workload.Workload, n int64) error {
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	return w.Check(ctx, db, n)
}

var errShort = errors.New("there are too few events")

// measure turns commits and samples into figures.
func (d *Drain) measure(r *running, wal int64) error {
	r.log.mu.Lock()
	commits, err := r.log.commits, r.log.err
	r.log.mu.Unlock()
	if err != nil {
		return err
	}
	var first, last *contender.Commit
	for i := range commits {
		c := &commits[i]
		if first == nil && float64(c.Events) >= warmShare*float64(d.Events) {
			first = c
		}
		if last == nil && c.Events >= d.Events {
			last = c
		}
		if n := len(d.cuts); n == 0 || d.cuts[n-1] < c.Events {
			d.cuts = append(d.cuts, c.Events)
		}
	}
	switch {
	case last == nil:
		events, _ := r.log.events()
		return fmt.Errorf("its commits end at %d of %d events", events, d.Events)
	case first == last:
		return fmt.Errorf("%w: one commit of %d carried all that was to be timed", errShort, len(commits))
	}
	d.Seconds = last.At.Sub(first.At).Seconds()
	timed := float64(last.Events - first.Events)
	d.Rate = timed / d.Seconds
	d.RowRate = float64(last.Rows-first.Rows) / d.Seconds
	d.Rows, d.Commits = last.Rows, len(d.cuts)
	a, b := r.sampler.at(first.At), r.sampler.at(last.At)
	d.Engine = (b.engine - a.engine).Seconds() / timed * 1e6
	d.Broker = (b.broker - a.broker).Seconds() / timed * 1e6
	d.Postgres = (b.postgres - a.postgres).Seconds() / timed * 1e6
	d.PeakMB = float64(r.sampler.peak) / (1 << 20)
	d.WALPerEvent = float64(wal) / float64(d.Events)
	if d.Rows > 0 {
		d.WALPerRow = float64(wal) / float64(d.Rows)
	}
	return nil
}

// profileSeconds is how long a CPU profile takes at most.
const profileSeconds = 4

// profile keeps a CPU profile of the product, from its start on.
func (e *Env) profile(r *running, d *Drain) {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", r.admin, profileSeconds)
	for {
		resp, err := http.Get(url)
		if err == nil {
			defer resp.Body.Close()
			e.keepProfile(resp.Body, d)
			return
		}
		select {
		case <-r.ended:
			return
		case <-time.After(sampleEvery):
		}
	}
}

func (e *Env) keepProfile(from io.Reader, d *Drain) {
	name := strings.NewReplacer(" ", "-", ",", "").Replace(d.Workload + "-" + d.Contender)
	if err := os.MkdirAll(e.Profile, 0o755); err != nil {
		e.say("%v", err)
		return
	}
	file, err := os.Create(filepath.Join(e.Profile, name+".pprof"))
	if err != nil {
		e.say("%v", err)
		return
	}
	defer file.Close()
	if n, err := io.Copy(file, from); err != nil {
		e.say("the profile %s ended after %d bytes: %v (it needs a run of %d s)", file.Name(), n, err, profileSeconds)
	}
}
