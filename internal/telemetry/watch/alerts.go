package watch

// Severities: a critical alert wakes somebody, a warning is for the day.
const (
	critical = "critical"
	warning  = "warning"
)

// Alert is a rule of Prometheus, and what the manual says of it.
type Alert struct {
	Name     string
	Expr     string
	For      string // how long it must hold
	Severity string
	Summary  string // one line, with Prometheus' templates
	Means    string
	Cure     string
}

// Alerts are the rules, the gravest first.
var Alerts = []Alert{
	{
		Name: "MillstreamDown", Severity: critical, For: "1m",
		Expr:    `up{job=~"millstream.*"} == 0`,
		Summary: "Millstream at {{ $labels.instance }} does not answer",
		Means:   "Prometheus gets no metrics: the process has ended, or its address can't be reached.",
		Cure:    "Read the end of its log; the exit code tells the kind of trouble ([Exit codes](#exit-codes)). Started again, it goes on from its last commit: nothing is lost while Kafka holds the records. If it runs, look at `serve.listen`, `serve.admin_listen` and the network.",
	},
	{
		Name: "MillstreamEngineStopped", Severity: critical, For: "1m",
		Expr:    `max by (pipeline) (millstream_engine_up) == 0`,
		Summary: "The engine of pipeline {{ $labels.pipeline }} does not run",
		Means:   "Processes answer, but none reads and commits: it is starting for long, or draining; or all stand by, and none can ask for the lease.",
		Cure:    "`GET /v1/pipeline` tells state and reason, `/health` the part that is missing.",
	},
	{
		Name: "MillstreamPostgresDown", Severity: critical, For: "1m",
		Expr:    `millstream_part_up{part="postgresql"} == 0`,
		Summary: "Pipeline {{ $labels.pipeline }} can't reach PostgreSQL",
		Means:   "A connection can't be made or is not answered. Commits are tried again; the API answers 503.",
		Cure:    "`/health` has PostgreSQL's own words. Bring it back; the pipeline goes on by itself. With `too many connections`, raise `max_connections` or lower the readers' pool; a full disk needs space. What is read waits in Kafka: look at the topics' retention if it takes long.",
	},
	{
		Name: "MillstreamKafkaDown", Severity: critical, For: "1m",
		Expr:    `millstream_part_up{part="kafka"} == 0`,
		Summary: "Pipeline {{ $labels.pipeline }} can't reach Kafka",
		Means:   "The last contact with a broker failed. Tables stand still; they can be read.",
		Cure:    "`/health` tells the error; `millstream topics --brokers …` tries from another place. The pipeline goes on by itself when the brokers are back.",
	},
	{
		Name: "MillstreamNotCommitting", Severity: critical, For: "1m",
		Expr:    `sum by (pipeline) (millstream_lag_records) > 0 and on (pipeline) time() - max by (pipeline) (millstream_last_commit_timestamp_seconds) > 60`,
		Summary: "Pipeline {{ $labels.pipeline }} has {{ $value | humanize }} records to read, and has made no commit for a minute",
		Means:   "There is lag and no commit was made for a minute: a commit waits for a lock, or is tried again and again.",
		Cure:    "`GET /v1/pipeline` tells the reason; where a lock is waited for, the message names the process that holds it (`pg_terminate_backend` ends it). See also MillstreamCommitRetries.",
	},
	{
		Name: "MillstreamLagging", Severity: warning, For: "5m",
		Expr:    `max by (pipeline, topic) (millstream_lag_seconds) > 60`,
		Summary: "Topic {{ $labels.topic }} is {{ $value | humanizeDuration }} behind",
		Means:   "The oldest record that is not committed is more than a minute old, for five minutes.",
		Cure:    "After an outage it catches up: watch `millstream_lag_records` fall. If it grows, see which is busy: the process (two cores at their ends: give it more, and as many `engine.workers`; more partitions than workers are needed), or PostgreSQL (`millstream_commit_step_duration_seconds` tells the step; faster disks, fewer groups, no index over an aggregate column).",
	},
	{
		Name: "MillstreamWatermarkStuck", Severity: warning, For: "5m",
		Expr:    `sum by (pipeline, view) (rate(millstream_records_accepted_total[10m])) > 0 and on (pipeline, view) changes(millstream_watermark_timestamp_seconds[10m]) == 0`,
		Summary: "View {{ $labels.view }} takes records, but its watermark stands still",
		Means:   "One partition holds the watermark back: it gets records, none of them newer. Windows stay open, and `emit 'final'` views show nothing new.",
		Cure:    "`millstream explain window VIEW` names the partition, its last event, and what will move it. Usual causes: a producer with a wrong clock, a key that sends everything to one partition, a replay of old records.",
	},
	{
		Name: "MillstreamQuarantine", Severity: warning, For: "5m",
		Expr:    `sum by (pipeline, topic) (rate(millstream_records_quarantined_total[5m])) / sum by (pipeline, topic) (rate(millstream_records_read_total[5m])) > 0.01`,
		Summary: "{{ $value | humanizePercentage }} of the records of {{ $labels.topic }} go to quarantine",
		Means:   "More than one record in a hundred can't be decoded or evaluated. The others are counted as ever.",
		Cure:    "`SELECT cause, \"column\", message, count(*) FROM millstream.quarantine GROUP BY 1, 2, 3` tells why, `payload` what came. Mend the producer, or widen the column's type in the pipeline file and run it anew.",
	},
	{
		Name: "MillstreamLate", Severity: warning, For: "10m",
		Expr:    `sum by (pipeline, view) (rate(millstream_records_late_total[10m])) / sum by (pipeline, view) (rate(millstream_records_read_total[10m])) > 0.01`,
		Summary: "{{ $value | humanizePercentage }} of the records of {{ $labels.view }} are late",
		Means:   "More than one record in a hundred comes after its windows have closed. They stand in `millstream.late_rows`.",
		Cure:    "Compare their event times with the watermark there. If they are only a little late, raise the foreign table's `watermark`; windows then close later, and take more state.",
	},
	{
		Name: "MillstreamGroupErrors", Severity: warning, For: "1m",
		Expr:    `millstream_ledger_rows{ledger="group_errors"} > 0`,
		Summary: "{{ $value }} groups of pipeline {{ $labels.pipeline }} have no row, since it can't be computed",
		Means:   "An expression over aggregates fails for some groups (a division by zero, a value out of range). Their rows are missing from the table.",
		Cure:    "`SELECT * FROM millstream.group_errors` has the groups and PostgreSQL's messages. Guard the expression (`nullif`, `CASE`) in the file.",
	},
	{
		Name: "MillstreamCommitRetries", Severity: warning, For: "5m",
		Expr:    `sum by (pipeline, cause) (increase(millstream_commit_retries_total[5m])) > 5`,
		Summary: "Commits of pipeline {{ $labels.pipeline }} are made again and again: {{ $labels.cause }}",
		Means:   "Attempts fail in a way that heals by itself, but it does not heal. The label `cause` is PostgreSQL's SQLSTATE, or `connection`.",
		Cure:    "`40001`, `40P01`: somebody else writes the result tables. `55P03`: a lock is held for long; the log names the holder. `53100`: the disk is full. `25006`: the server is read-only: a failover is under way, or the address is a replica's. `connection`: the network, or a pooler between.",
	},
	{
		Name: "MillstreamCommitSlow", Severity: warning, For: "10m",
		Expr:    `histogram_quantile(0.9, sum by (pipeline, le) (rate(millstream_commit_duration_seconds_bucket[5m]))) > 2.5`,
		Summary: "One commit in ten of pipeline {{ $labels.pipeline }} takes longer than {{ $value | humanizeDuration }}",
		Means:   "Results come late by that much.",
		Cure:    "`millstream_commit_step_duration_seconds` tells the step. `rows`: many groups change; look for indexes over aggregate columns, bloat (`n_dead_tup`), a vacuum that an old transaction holds up. `commit`: the disk's sync is slow. `fence`: a lock is waited for.",
	},
	{
		Name: "MillstreamLedgerLarge", Severity: warning, For: "10m",
		Expr:    `millstream_ledger_rows{ledger=~"quarantine|late_rows"} > 1e6`,
		Summary: "Ledger {{ $labels.ledger }} of pipeline {{ $labels.pipeline }} has {{ $value | humanize }} rows",
		Means:   "Refused or late records take space in PostgreSQL, with their payloads.",
		Cure:    "Find the cause as for MillstreamQuarantine and MillstreamLate. The ledgers are part of the account of all records, which `millstream verify` checks: keep a copy of rows that you delete.",
	},
	{
		Name: "MillstreamLookupStale", Severity: warning, For: "5m",
		Expr:    `time() - millstream_lookup_refreshed_timestamp_seconds > 300 or increase(millstream_lookup_failures_total[10m]) > 3`,
		Summary: "Table {{ $labels.table }} that views join with is not being refreshed",
		Means:   "The table can't be read; records meet the last version of it.",
		Cure:    "`GET /v1/pipeline` has the reason under `lookups`: a lock, a missing right (`GRANT SELECT`), a table that has become too large (`engine.lookup_max_rows`). Where `lookup_refresh` is longer than five minutes, raise the bound.",
	},
	{
		Name: "MillstreamStateGrowing", Severity: warning, For: "30m",
		Expr:    `sum by (pipeline, view) (millstream_state_bytes) > 2 * sum by (pipeline, view) (millstream_state_bytes offset 1d) and sum by (pipeline, view) (millstream_state_bytes) > 268435456`,
		Summary: "The state of view {{ $labels.view }} has doubled within a day, to {{ $value | humanize1024 }}B",
		Means:   "More groups are open than yesterday. A view without a window keeps its groups for ever.",
		Cure:    "`millstream explain FILE` tells the bound of each view's state. A key with unbounded values (an id, a URL) belongs into a windowed view; see [Sizing](#sizing).",
	},
	{
		Name: "MillstreamRestarting", Severity: warning, For: "0m",
		Expr:    `changes(process_start_time_seconds{job=~"millstream.*"}[15m]) > 3`,
		Summary: "Millstream at {{ $labels.instance }} has been started {{ $value }} times within 15 minutes",
		Means:   "It ends soon after each start.",
		Cure:    "The log's last lines say why. Exit code 2 and 3 are settings, file or surroundings: starting again does not help. Killed by the kernel (137): give it more memory, see [Sizing](#sizing).",
	},
	{
		Name: "MillstreamAPIErrors", Severity: warning, For: "5m",
		Expr:    `sum by (pipeline) (rate(millstream_http_requests_total{code=~"5.."}[5m])) / sum by (pipeline) (rate(millstream_http_requests_total[5m])) > 0.05`,
		Summary: "{{ $value | humanizePercentage }} of the API's answers of pipeline {{ $labels.pipeline }} are errors",
		Means:   "The API can't serve: PostgreSQL is away, slow, or out of connections.",
		Cure:    "See which route: `sum by (route, code) (rate(millstream_http_requests_total[5m]))`. 503 with PostgreSQL well means that all readers' connections are busy with long queries.",
	},
}
