package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/serve"
	"github.com/millstream-dev/millstream/internal/telemetry"
	"github.com/millstream-dev/millstream/internal/version"
)

const (
	// keptCommits is how many commits the status lists.
	keptCommits = 20
	// rateWindow is over how long rates are averaged.
	rateWindow = 5 * time.Second
)

// monitor gathers what commits report, for the status and for metrics.
type monitor struct {
	started time.Time

	mu      sync.Mutex
	commits []serve.CommitStatus // newest last
	recent  []sample
	counts  map[engine.ViewID]*serve.CountStatus
	failed  map[engine.ViewID]map[string]bool // keys of groups that do not evaluate
	// quarantine and late are the rows of the ledgers.
	quarantine, late int64
	series           series
}

// ledgers renews the gauges of the ledgers' rows.
func (m *monitor) ledgers(c *engine.Commit, metrics *telemetry.Metrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quarantine += int64(len(c.Refused))
	m.late += int64(len(c.Late))
	failed := m.failedGroups()
	metrics.LedgerRows("quarantine", m.quarantine)
	metrics.LedgerRows("late_rows", m.late)
	metrics.LedgerRows("group_errors", int64(failed))
}

// failedGroups is called with the monitor locked.
func (m *monitor) failedGroups() (n int) {
	for _, keys := range m.failed {
		n += len(keys)
	}
	return n
}

// recall takes over what the ledgers hold when the engine starts.
func (m *monitor) recall(s *postgres.Status, metrics *telemetry.Metrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quarantine, m.late = s.Ledgers.Quarantine, s.Ledgers.LateRows
	metrics.LedgerRows("quarantine", m.quarantine)
	metrics.LedgerRows("late_rows", m.late)
	metrics.LedgerRows("group_errors", s.Ledgers.GroupErrors)
}

// sample is one commit's share of the rates.
type sample struct {
	at                   time.Time
	records, bytes, rows int64
	topicRecords         map[engine.TableID]int64
	topicBytes           []int64 // by TableID
	viewRecords          map[engine.ViewID]int64
	viewRows             map[engine.ViewID]int64
}

func newMonitor(now time.Time) *monitor {
	return &monitor{started: now, counts: map[engine.ViewID]*serve.CountStatus{}, failed: map[engine.ViewID]map[string]bool{}}
}

// note takes one commit's report.
func (m *monitor) note(r *engine.Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := serve.CommitStatus{
		Seq: r.Commit.Seq, At: r.Commit.At, Records: r.Records,
		DurationSeconds: r.Duration.Seconds(), StepSeconds: map[string]float64{},
	}
	for _, s := range r.Stats.Steps {
		c.StepSeconds[s.Step] += s.Duration.Seconds()
	}
	for _, v := range r.Commit.Views {
		c.Rows += v.RowsOut
		m.count(v)
	}
	for _, e := range r.Commit.Errors {
		if m.failed[e.View] == nil {
			m.failed[e.View] = map[string]bool{}
		}
		if e.Message == "" {
			delete(m.failed[e.View], e.Key)
		} else {
			m.failed[e.View][e.Key] = true
		}
	}
	m.commits = append(m.commits, c)
	if len(m.commits) > keptCommits {
		m.commits = m.commits[1:]
	}
	now := share(r)
	now.rows = c.Rows
	m.series.add(&now, &c, int64(len(r.Commit.Late)), int64(len(r.Commit.Refused)))
	m.recent = append(m.recent, now)
	for len(m.recent) > 0 && time.Since(m.recent[0].at) > rateWindow {
		m.recent = m.recent[1:]
	}
}

func (m *monitor) count(v engine.ViewProgress) {
	n := m.counts[v.View]
	if n == nil {
		n = &serve.CountStatus{}
		m.counts[v.View] = n
	}
	for _, in := range v.Inputs {
		n.Read += in.Read
		n.Accepted += in.Accepted
		n.Filtered += in.Filtered
		n.Late += in.Late
		n.Quarantined += in.Quarantined
		n.Skipped += in.Skipped
	}
}

// share is what a commit adds to the rates.
func share(r *engine.Report) sample {
	s := sample{at: time.Now(), records: r.Records, topicBytes: r.BytesRead, topicRecords: map[engine.TableID]int64{},
		viewRecords: map[engine.ViewID]int64{}, viewRows: map[engine.ViewID]int64{}}
	for _, n := range r.BytesRead {
		s.bytes += n
	}
	for _, v := range r.Commit.Views {
		read := map[engine.TableID]int64{} // each branch of a view tells it of its table
		for _, in := range v.Inputs {
			read[in.Table] += in.Read
			s.viewRecords[v.View] += in.Read
		}
		for id, n := range read {
			s.topicRecords[id] = max(s.topicRecords[id], n)
		}
		s.viewRows[v.View] = v.RowsOut
	}
	return s
}

// rates are averages over the last seconds of what of gives: records, bytes,
// rows.
func (m *monitor) rates(now time.Time, of func(*sample) (records, bytes, rows int64)) (r serve.Rates) {
	for i := range m.recent {
		if s := &m.recent[i]; now.Sub(s.at) <= rateWindow {
			records, bytes, rows := of(s)
			r.RecordsPerSecond += float64(records) / rateWindow.Seconds()
			r.BytesPerSecond += float64(bytes) / rateWindow.Seconds()
			r.RowsPerSecond += float64(rows) / rateWindow.Seconds()
		}
	}
	return r
}

func (s *sample) whole() (records, bytes, rows int64) { return s.records, s.bytes, s.rows }

// Pipeline gives the status for GET /v1/pipeline.
func (p *Pipeline) Pipeline(context.Context) (serve.PipelineStatus, error) {
	if seen, ok := p.standingBy(); ok {
		return p.standbyStatus(seen), nil
	}
	s := p.Engine.Status()
	m := p.monitor
	m.mu.Lock()
	defer m.mu.Unlock()
	out := serve.PipelineStatus{
		Name: p.Name, Version: version.Version, State: s.State, StartedAt: m.started, Generation: s.Generation,
		Workers: p.Engine.Workers(), Rates: m.rates(time.Now(), (*sample).whole),
		Ledgers: serve.LedgerStatus{Quarantine: m.quarantine, LateRows: m.late, GroupErrors: int64(m.failedGroups())},
		Commits: []serve.CommitStatus{}, Topics: p.topics(s), Views: p.views(s), Lookups: p.lookups(s),
	}
	switch {
	case s.Err != nil:
		out.Reason = s.Err.Error()
	case p.store.Health() != nil:
		out.State, out.Reason = "retrying", p.store.Health().Error()
	case p.sources.health() != nil:
		out.State, out.Reason = "retrying", p.sources.health().Error()
	}
	for id := range out.Topics {
		out.Topics[id].Rates = m.rates(time.Now(), func(s *sample) (records, bytes, _ int64) {
			if id < len(s.topicBytes) {
				bytes = s.topicBytes[id]
			}
			return s.topicRecords[engine.TableID(id)], bytes, 0
		})
	}
	out.Commits = append(out.Commits, m.commits...)
	slices.Reverse(out.Commits)
	if len(out.Commits) > 0 {
		out.Commit = &out.Commits[0]
	}
	return out, nil
}

func (p *Pipeline) topics(s *engine.Status) []serve.TopicStatus {
	out := make([]serve.TopicStatus, len(p.Plan.Topics))
	for id, t := range p.Plan.Topics {
		out[id] = serve.TopicStatus{Table: t.Name, Topic: t.Topic, Server: t.Server, Partitions: []serve.PartitionStatus{}}
	}
	for _, part := range s.Partitions {
		t := &out[part.Table]
		ps := serve.PartitionStatus{
			Partition: part.Partition, Offset: part.Next, End: part.End, LagRecords: max(0, part.End-part.Next),
			Watermark: eventTime(part.Watermark), Paused: part.Paused,
		}
		if read := part.LastTimestamp.UnixMicro() != 0; read && ps.LagRecords > 0 {
			ps.LagSeconds = max(0, s.At.Sub(part.LastTimestamp).Seconds())
		}
		if !part.IdleSince.IsZero() {
			ps.IdleSince = &part.IdleSince
		}
		t.LagRecords += ps.LagRecords
		t.LagSeconds = max(t.LagSeconds, ps.LagSeconds)
		t.Partitions = append(t.Partitions, ps)
	}
	return out
}

func (p *Pipeline) lookups(s *engine.Status) []serve.LookupStatus {
	var out []serve.LookupStatus
	for id, l := range s.Lookups {
		table := serve.LookupStatus{Table: p.Plan.Lookups[id].QualifiedName(), Version: l.Version, Rows: l.Rows, Failures: l.Failures}
		if !l.ChangedAt.IsZero() {
			table.ChangedAt = &l.ChangedAt
		}
		if !l.LookedAt.IsZero() {
			table.RefreshedAt, table.RefreshSeconds = &l.LookedAt, l.Took.Seconds()
		}
		if l.Err != nil {
			table.Reason = l.Err.Error()
		}
		out = append(out, table)
	}
	return out
}

// views is called with the monitor locked.
func (p *Pipeline) views(s *engine.Status) []serve.ViewStatus {
	out := []serve.ViewStatus{}
	for _, v := range s.Views {
		def := p.Plan.Views[v.View]
		view := serve.ViewStatus{
			Name: def.Name, Emit: emit(def), Watermark: eventTime(v.Watermark), Floor: eventTime(v.Floor), FinalBefore: eventTime(v.FinalBefore),
			OpenWindows: v.OpenWindows, OpenGroups: v.OpenGroups, StateBytes: v.StateBytes, Errors: int64(len(p.monitor.failed[v.View])),
			Windows: []serve.WindowStatus{}, WaitsFor: []serve.WaitingStatus{},
			Rates: p.monitor.rates(time.Now(), func(n *sample) (records, _, rows int64) { return n.viewRecords[v.View], 0, n.viewRows[v.View] }),
		}
		view.Inputs, view.Lookups = inputs(def)
		if n := p.monitor.counts[v.View]; n != nil {
			view.Counts = *n
		}
		for _, w := range v.WaitsFor {
			view.WaitsFor = append(view.WaitsFor, p.waiting(s, w))
		}
		for _, w := range v.Windows {
			view.Windows = append(view.Windows, p.window(s, &v, w))
		}
		out = append(out, view)
	}
	return out
}

// inputs are the foreign tables that a view reads, and the tables that it
// looks up.
func inputs(v *plan.View) (topics, lookups []string) {
	for _, b := range v.Branches {
		if !slices.Contains(topics, b.Topic.Name) {
			topics = append(topics, b.Topic.Name)
		}
		for _, j := range b.Joins {
			if name := j.Lookup.Table; !slices.Contains(lookups, name) {
				lookups = append(lookups, name)
			}
		}
	}
	return topics, lookups
}

func emit(v *plan.View) string {
	if v.Final {
		return "final"
	}
	return "update"
}

// waiting tells of a partition that holds back a watermark.
func (p *Pipeline) waiting(s *engine.Status, index int) serve.WaitingStatus {
	part := s.Partitions[index]
	t := p.Plan.Topics[part.Table]
	out := serve.WaitingStatus{
		Table: t.Name, Topic: t.Topic, Partition: part.Partition, Watermark: eventTime(part.Watermark),
		LastEvent: eventTime(part.Greatest), Offset: part.Next,
	}
	idle := part.LastRead.Add(t.IdleAfter)
	last := "no record was decoded yet"
	if g := eventTime(part.Greatest); g != nil {
		last = fmt.Sprintf("its last event is of %s, its watermark %s behind", g.Format(time.RFC3339Nano), t.Watermark)
	}
	next := fmt.Sprintf("a newer event moves it, or it counts as idle at %s", idle.Format(time.RFC3339))
	if part.End <= part.Next {
		out.IdleAt = &idle
	} else {
		next = fmt.Sprintf("%d records of it are still to be read", part.End-part.Next)
	}
	out.Reason = last + "; " + next
	return out
}

// windowReason tells why a window is open and what will close it.
func (p *Pipeline) windowReason(s *engine.Status, v *engine.ViewStatus, w engine.WindowStatus) string {
	if w.Closed {
		return "closed; kept while partitions that are idle could still correct it"
	}
	if len(v.WaitsFor) == 0 {
		return "all partitions are idle: it closes as the clock goes on"
	}
	part := s.Partitions[v.WaitsFor[0]]
	t := p.Plan.Topics[part.Table]
	needed := time.UnixMicro(w.Closes - column.UnixEpochMicros).UTC().Add(t.Watermark)
	return fmt.Sprintf("waits for an event of %s or later in topic %q, partition %d", needed.Format(time.RFC3339Nano), t.Topic, part.Partition)
}

// eventTime gives a stored timestamp as a time, nil for the infinities.
func eventTime(t int64) *time.Time {
	if t == column.NegativeInfinity || t == column.Infinity {
		return nil
	}
	out := time.UnixMicro(t - column.UnixEpochMicros).UTC()
	return &out
}

// onCommit spreads the news of a commit.
func (p *Pipeline) onCommit(r *engine.Report) {
	p.monitor.note(r)
	p.measure(r)
	p.logCommit(r)
	if p.Server != nil {
		p.Server.Committed(r)
	}
	if p.opts.OnCommit != nil {
		p.opts.OnCommit(r)
	}
}

// measure renews the metrics, once for each commit.
func (p *Pipeline) measure(r *engine.Report) {
	m := p.Metrics
	steps := make([]telemetry.CommitStep, len(r.Stats.Steps))
	for i, s := range r.Stats.Steps {
		steps[i] = telemetry.CommitStep{Name: s.Step, Duration: s.Duration}
	}
	m.Commit(r.Commit.At, r.Records, r.Stats.Bytes, r.Duration, steps)
	for id, n := range r.BytesRead {
		m.BytesRead(p.Plan.Topics[id].Topic, n)
	}
	for _, v := range r.Commit.Views {
		name := p.Plan.Views[v.View].Name
		byTopic := map[engine.TableID]telemetry.Fates{}
		for _, in := range v.Inputs {
			f := byTopic[in.Table]
			f.Read += in.Read
			f.Accepted += in.Accepted
			f.Filtered += in.Filtered
			f.Late += in.Late
			f.Quarantined += in.Quarantined
			f.Skipped += in.Skipped
			byTopic[in.Table] = f
		}
		for id, f := range byTopic {
			m.Records(p.Plan.Topics[id].Topic, name, f)
		}
		m.View(name, v.OpenWindows, v.OpenGroups, v.RowsOut)
		m.ViewWatermark(name, unixMicros(v.Watermark))
	}
	causes := map[[2]string]int64{}
	for _, q := range r.Commit.Refused {
		causes[[2]string{p.Plan.Topics[q.Table].Topic, string(q.Cause)}]++
	}
	for k, n := range causes {
		m.DecodeErrors(k[0], k[1], n)
	}
	p.monitor.ledgers(r.Commit, m)
}

// onRetry counts an attempt to commit that is made again, by SQLSTATE or, where
// PostgreSQL said nothing, as "connection".
func (p *Pipeline) onRetry(operation string, err error) {
	if !strings.HasPrefix(operation, "commit") {
		return
	}
	cause := "connection"
	var said *pgconn.PgError
	if errors.As(err, &said) {
		cause = said.Code
	}
	p.Metrics.CommitRetry(cause)
}

// lagEvery is how often lag is measured: as often as the closest scrapes, so
// that it grows also while nothing is committed.
const lagEvery = time.Second

// watchLag renews the metrics that the engine's status gives, until ctx ends.
func (p *Pipeline) watchLag(ctx context.Context) {
	ticker := time.NewTicker(lagEvery)
	defer ticker.Stop()
	pings := make(chan struct{})
	go func() {
		defer close(pings)
		p.watchParts(ctx)
	}()
	defer func() { <-pings }()
	for {
		p.measureLag()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

const (
	// pingEvery is how often PostgreSQL is asked whether it is there, and
	// pingPatience how long it may take to answer.
	pingEvery    = 5 * time.Second
	pingPatience = 4 * time.Second
)

// watchParts renews whether Kafka and PostgreSQL answer, until ctx ends. A
// pipeline with nothing to commit would not notice that its database is gone.
func (p *Pipeline) watchParts(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		p.Metrics.PartUp("kafka", p.sources.health() == nil)
		asking, cancel := context.WithTimeout(ctx, pingPatience)
		err := p.DB.Pool().Ping(asking)
		cancel()
		if ctx.Err() != nil {
			return
		}
		p.Metrics.PartUp("postgresql", err == nil)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// measureLag renews what the engine's status says.
func (p *Pipeline) measureLag() {
	s := p.Engine.Status()
	topics := p.topics(s)
	p.sampleSecond(s, topics)
	for _, t := range topics {
		for _, part := range t.Partitions {
			partition := strconv.Itoa(int(part.Partition))
			p.Metrics.Lag(t.Topic, partition, part.LagRecords, time.Duration(part.LagSeconds*float64(time.Second)))
			if part.Watermark != nil {
				p.Metrics.PartitionWatermark(t.Topic, partition, part.Watermark.UnixMicro())
			}
		}
	}
	for _, v := range s.Views {
		p.Metrics.StateBytes(p.Plan.Views[v.View].Name, v.StateBytes)
	}
	for id, l := range s.Lookups {
		p.Metrics.Lookup(p.Plan.Lookups[id].QualifiedName(), telemetry.Lookup{
			Rows: l.Rows, Version: l.Version, Failures: l.Failures, Changed: l.ChangedAt, Refreshed: l.LookedAt, Took: l.Took,
		})
	}
}

func unixMicros(t int64) int64 {
	if t == column.NegativeInfinity || t == column.Infinity {
		return t
	}
	return t - column.UnixEpochMicros
}

// health gives the checks of the parts other than PostgreSQL.
func (p *Pipeline) health(context.Context) []serve.Check {
	if seen, ok := p.standingBy(); ok {
		return []serve.Check{check("kafka", p.sources.health()), p.standbyHealth(seen)}
	}
	checks := []serve.Check{check("kafka", p.sources.health()), check("database writes", p.store.Health())}
	if err := p.lease.Health(); err != nil {
		checks = append(checks, check("lease", err))
	}
	if p.opts.Stack != nil {
		checks = append(checks, check("postgresql server", p.opts.Stack.Postgres.Health()))
	}
	s := p.Engine.Status()
	switch s.State {
	case engine.StateRunning:
		checks = append(checks, serve.Check{Part: "engine", OK: true, Reason: "commit " + strconv.FormatInt(s.Seq, 10)})
	case engine.StateFailed:
		checks = append(checks, check("engine", s.Err))
	default:
		checks = append(checks, serve.Check{Part: "engine", Reason: s.State})
	}
	slices.SortStableFunc(checks, func(a, b serve.Check) int { return cmp.Compare(a.Part, b.Part) })
	return checks
}

func check(part string, err error) serve.Check {
	if err != nil {
		return serve.Check{Part: part, Reason: err.Error()}
	}
	return serve.Check{Part: part, OK: true}
}
