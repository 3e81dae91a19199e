package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Histogram buckets.
var (
	// secondsBuckets reach from a commit on a local disk to one that waits
	// for a lock.
	secondsBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	// recordBuckets reach from a trickle to the largest epoch.
	recordBuckets = prometheus.ExponentialBuckets(1, 4, 12) // 1 … 4,194,304
)

// Metrics are all of Millstream's metrics. Its methods may be called from
// several goroutines; none is meant to be called per record.
type Metrics struct {
	registry *prometheus.Registry
	families []Family

	read, accepted, filtered, late, quarantined, skipped *prometheus.CounterVec // topic, view
	decodeErrors                                         *prometheus.CounterVec // topic, cause
	bytesRead                                            *prometheus.CounterVec // topic
	rowsWritten                                          *prometheus.CounterVec // view

	lagRecords, lagSeconds, partitionWatermark *prometheus.GaugeVec // topic, partition
	viewWatermark, openWindows, openGroups     *prometheus.GaugeVec // view
	stateBytes                                 *prometheus.GaugeVec // view
	ledgerRows                                 *prometheus.GaugeVec // ledger
	partUp                                     *prometheus.GaugeVec // part

	lookupRows, lookupVersion, lookupChanged, lookupRead, lookupSeconds *prometheus.GaugeVec   // table
	lookupFailures                                                      *prometheus.CounterVec // table
	failed                                                              map[string]int64       // by table: what lookupFailures was told of

	commits       prometheus.Counter
	commitBytes   prometheus.Counter
	commitRetries *prometheus.CounterVec // cause
	commitTotal   prometheus.Histogram
	commitStep    *prometheus.HistogramVec // step
	epochRecords  prometheus.Histogram
	lastCommit    prometheus.Gauge
	engineUp      prometheus.Gauge
	standby       prometheus.Gauge

	httpRequests *prometheus.CounterVec   // method, route, code
	httpDuration *prometheus.HistogramVec // method, route
	httpInFlight prometheus.Gauge
	ingested     *prometheus.CounterVec // topic, outcome
	exports      *prometheus.CounterVec // signal, outcome
}

// NewMetrics makes the metrics of one pipeline. Each carries the pipeline's
// name as label; version is what millstream_build_info says.
func NewMetrics(pipeline, version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	f := factory{prometheus.WrapRegistererWith(prometheus.Labels{"pipeline": pipeline}, m.registry), &m.families}
	m.registerRecords(f)
	m.registerProgress(f)
	m.registerCommits(f)
	m.registerLookups(f)
	m.registerHTTP(f)
	f.gaugeVec("millstream_build_info", "The running version; always 1.", "version").WithLabelValues(version).Set(1)
	return m
}

// Registry is where the metrics are registered: what /metrics serves.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

func (m *Metrics) registerRecords(f factory) {
	m.read = f.counterVec("millstream_records_read_total", "Records read, per view that reads the topic: accepted, filtered, late and quarantined ones together.", "topic", "view")
	m.accepted = f.counterVec("millstream_records_accepted_total", "Records that reached the view.", "topic", "view")
	m.filtered = f.counterVec("millstream_records_filtered_total", "Records that the view's WHERE refused, and tombstones.", "topic", "view")
	m.late = f.counterVec("millstream_records_late_total", "Records that came after all of their windows: rows of millstream.late_rows.", "topic", "view")
	m.quarantined = f.counterVec("millstream_records_quarantined_total", "Records that could not be decoded, stored or evaluated: rows of millstream.quarantine.", "topic", "view")
	m.skipped = f.counterVec("millstream_records_skipped_total", "Offsets without a record: control records, aborted transactions, compaction gaps.", "topic", "view")
	m.decodeErrors = f.counterVec("millstream_decode_errors_total", "Records in quarantine by cause.", "topic", "cause")
	m.bytesRead = f.counterVec("millstream_read_bytes_total", "Bytes of keys and values of the records read.", "topic")
	m.rowsWritten = f.counterVec("millstream_rows_written_total", "Result rows upserted and deleted.", "view")
}

func (m *Metrics) registerProgress(f factory) {
	m.lagRecords = f.gaugeVec("millstream_lag_records", "Records between the last commit and the partition's end.", "topic", "partition")
	m.lagSeconds = f.gaugeVec("millstream_lag_seconds", "Age of the oldest record that is not yet committed, by the records' own timestamps; 0 at the end.", "topic", "partition")
	m.partitionWatermark = f.gaugeVec("millstream_partition_watermark_timestamp_seconds", "The partition's own watermark, event time since 1970.", "topic", "partition")
	m.viewWatermark = f.gaugeVec("millstream_watermark_timestamp_seconds", "The view's watermark, event time since 1970.", "view")
	m.openWindows = f.gaugeVec("millstream_open_windows", "Windows that are not yet closed.", "view")
	m.openGroups = f.gaugeVec("millstream_open_groups", "Groups held in state.", "view")
	m.stateBytes = f.gaugeVec("millstream_state_bytes", "Operator state in memory.", "view")
	m.ledgerRows = f.gaugeVec("millstream_ledger_rows", "Rows of a ledger: quarantine, late_rows, group_errors.", "ledger")
	m.partUp = f.gaugeVec("millstream_part_up", "1 while a part that the pipeline needs answers, 0 while it does not: kafka, postgresql.", "part")
	m.engineUp = f.gauge("millstream_engine_up", "1 while the engine reads and commits, 0 when it has stopped or never started.")
	m.standby = f.gauge("millstream_standby", "1 while the process waits to take over from the one whose engine runs.")
}

func (m *Metrics) registerLookups(f factory) {
	m.lookupRows = f.gaugeVec("millstream_lookup_rows", "Rows of a table that views join with, in the version that records meet.", "table")
	m.lookupVersion = f.gaugeVec("millstream_lookup_version", "The number of that version: it grows by one with each change.", "table")
	m.lookupChanged = f.gaugeVec("millstream_lookup_changed_timestamp_seconds", "When that version took over or was loaded, wall time since 1970.", "table")
	m.lookupRead = f.gaugeVec("millstream_lookup_refreshed_timestamp_seconds", "When the table was last looked at with success, wall time since 1970.", "table")
	m.lookupSeconds = f.gaugeVec("millstream_lookup_refresh_duration_seconds", "Time of the last successful look at the table.", "table")
	m.lookupFailures = f.counterVec("millstream_lookup_failures_total", "Looks at the table that failed.", "table")
	m.failed = map[string]int64{}
}

func (m *Metrics) registerCommits(f factory) {
	m.commits = f.counter("millstream_commits_total", "Commits made durable.")
	m.commitBytes = f.counter("millstream_commit_bytes_total", "Bytes sent to PostgreSQL in commits.")
	m.commitRetries = f.counterVec("millstream_commit_retries_total", "Attempts to commit that failed and were made again.", "cause")
	m.commitTotal = f.histogram("millstream_commit_duration_seconds", "Time of a whole commit.", secondsBuckets)
	m.commitStep = f.histogramVec("millstream_commit_step_duration_seconds", "Time of a commit's steps: fence, rows, ledgers, state, commit_row, commit.", secondsBuckets, "step")
	m.epochRecords = f.histogram("millstream_epoch_records", "Records per commit.", recordBuckets)
	m.lastCommit = f.gauge("millstream_last_commit_timestamp_seconds", "When the last commit was made, wall time since 1970.")
}

func (m *Metrics) registerHTTP(f factory) {
	m.exports = f.counterVec("millstream_otlp_exports_total", "Requests to the OpenTelemetry collector, and traces dropped because it is slow, by outcome: sent, failed, dropped.", "signal", "outcome")
	m.httpRequests = f.counterVec("millstream_http_requests_total", "Requests answered.", "method", "route", "code")
	m.httpDuration = f.histogramVec("millstream_http_request_duration_seconds", "Time from a request's header to the last byte of its answer.", secondsBuckets, "method", "route")
	m.httpInFlight = f.gauge("millstream_http_requests_in_flight", "Requests being answered.")
	m.ingested = f.counterVec("millstream_ingest_records_total", "Records posted over HTTP, by outcome: accepted, rejected, failed.", "topic", "outcome")
}

// Fates are the fates of the records that one commit covers; Read = Accepted
// + Filtered + Late + Quarantined.
type Fates struct {
	Read, Accepted, Filtered, Late, Quarantined, Skipped int64
}

// Records adds the fates of a topic's records in one view.
func (m *Metrics) Records(topic, view string, f Fates) {
	add := func(c *prometheus.CounterVec, n int64) { c.WithLabelValues(topic, view).Add(float64(n)) }
	add(m.read, f.Read)
	add(m.accepted, f.Accepted)
	add(m.filtered, f.Filtered)
	add(m.late, f.Late)
	add(m.quarantined, f.Quarantined)
	add(m.skipped, f.Skipped)
}

// DecodeErrors adds n records of a topic that went to quarantine for a cause.
func (m *Metrics) DecodeErrors(topic, cause string, n int64) {
	m.decodeErrors.WithLabelValues(topic, cause).Add(float64(n))
}

// BytesRead adds the bytes of keys and values that were read from a topic.
func (m *Metrics) BytesRead(topic string, n int64) {
	m.bytesRead.WithLabelValues(topic).Add(float64(n))
}

// Lag sets how far a partition is behind its end, in records and in the age
// of the oldest record that is not committed.
func (m *Metrics) Lag(topic, partition string, records int64, age time.Duration) {
	m.lagRecords.WithLabelValues(topic, partition).Set(float64(records))
	m.lagSeconds.WithLabelValues(topic, partition).Set(age.Seconds())
}

// PartitionWatermark sets a partition's own watermark, in microseconds since
// 1970.
func (m *Metrics) PartitionWatermark(topic, partition string, unixMicros int64) {
	m.partitionWatermark.WithLabelValues(topic, partition).Set(seconds(unixMicros))
}

// ViewWatermark sets a view's watermark, in microseconds since 1970.
func (m *Metrics) ViewWatermark(view string, unixMicros int64) {
	m.viewWatermark.WithLabelValues(view).Set(seconds(unixMicros))
}

// View sets what a view holds, and adds the rows that it wrote.
func (m *Metrics) View(view string, openWindows, openGroups, rowsWritten int64) {
	m.openWindows.WithLabelValues(view).Set(float64(openWindows))
	m.openGroups.WithLabelValues(view).Set(float64(openGroups))
	m.rowsWritten.WithLabelValues(view).Add(float64(rowsWritten))
}

// StateBytes sets the size of a view's state in memory.
func (m *Metrics) StateBytes(view string, n int64) {
	m.stateBytes.WithLabelValues(view).Set(float64(n))
}

// LedgerRows sets the rows of a ledger: "quarantine", "late_rows",
// "group_errors".
func (m *Metrics) LedgerRows(ledger string, n int64) {
	m.ledgerRows.WithLabelValues(ledger).Set(float64(n))
}

// PartUp tells whether a part that the pipeline needs answers: "kafka",
// "postgresql".
func (m *Metrics) PartUp(part string, up bool) {
	v := 0.0
	if up {
		v = 1
	}
	m.partUp.WithLabelValues(part).Set(v)
}

// Lookup is how a table that views join with stands.
type Lookup struct {
	Rows, Version, Failures int64
	Changed, Refreshed      time.Time // Refreshed is zero before the first look
	Took                    time.Duration
}

// Lookup sets how a table that views join with stands. It has one caller at a
// time.
func (m *Metrics) Lookup(table string, l Lookup) {
	set := func(g *prometheus.GaugeVec, v float64) { g.WithLabelValues(table).Set(v) }
	set(m.lookupRows, float64(l.Rows))
	set(m.lookupVersion, float64(l.Version))
	set(m.lookupChanged, seconds(l.Changed.UnixMicro()))
	before := m.failed[table]
	if l.Failures < before {
		before = 0 // the engine has started over, and counts anew
	}
	m.lookupFailures.WithLabelValues(table).Add(float64(l.Failures - before))
	m.failed[table] = l.Failures
	if !l.Refreshed.IsZero() {
		set(m.lookupRead, seconds(l.Refreshed.UnixMicro()))
		set(m.lookupSeconds, l.Took.Seconds())
	}
}

// CommitStep is the time of one step of a commit.
type CommitStep struct {
	Name     string
	Duration time.Duration
}

// Commit counts a commit that was made durable at a time.
func (m *Metrics) Commit(at time.Time, records, bytes int64, total time.Duration, steps []CommitStep) {
	m.commits.Inc()
	m.commitBytes.Add(float64(bytes))
	m.commitTotal.Observe(total.Seconds())
	for _, s := range steps {
		m.commitStep.WithLabelValues(s.Name).Observe(s.Duration.Seconds())
	}
	m.epochRecords.Observe(float64(records))
	m.lastCommit.Set(seconds(at.UnixMicro()))
}

// CommitRetry counts an attempt to commit that failed and is made again.
func (m *Metrics) CommitRetry(cause string) { m.commitRetries.WithLabelValues(cause).Inc() }

// EngineUp tells whether the engine reads and commits.
func (m *Metrics) EngineUp(up bool) {
	m.engineUp.Set(0)
	if up {
		m.engineUp.Set(1)
	}
}

// Standby tells whether the process waits to take over from another one.
func (m *Metrics) Standby(waits bool) {
	m.standby.Set(0)
	if waits {
		m.standby.Set(1)
	}
}

// HTTPStarted counts a request in; the function that it gives counts it out.
// route is a pattern of the router, never a path: paths have no bound.
func (m *Metrics) HTTPStarted(method string) func(route, code string) {
	start := time.Now()
	m.httpInFlight.Inc()
	return func(route, code string) {
		m.httpInFlight.Dec()
		m.httpRequests.WithLabelValues(method, route, code).Inc()
		m.httpDuration.WithLabelValues(method, route).Observe(time.Since(start).Seconds())
	}
}

// Ingested adds records posted to a topic: outcome is "accepted", "rejected"
// or "failed".
func (m *Metrics) Ingested(topic, outcome string, n int64) {
	m.ingested.WithLabelValues(topic, outcome).Add(float64(n))
}

// Exported counts a request to the OpenTelemetry collector, or a trace that is
// not sent: signal is "traces" or "metrics", outcome one of package otlp's.
func (m *Metrics) Exported(signal, outcome string) { m.exports.WithLabelValues(signal, outcome).Inc() }

func seconds(micros int64) float64 { return float64(micros) / 1e6 }
