package serve

import "time"

// PipelineStatus is how a pipeline stands: the body of GET /v1/pipeline.
type PipelineStatus struct {
	Name       string         `json:"name" doc:"The pipeline's name."`
	Version    string         `json:"version" doc:"Millstream's version."`
	State      string         `json:"state" enum:"standby,starting,running,retrying,stopping,stopped,failed" doc:"What the engine does; standby: another process runs it, and this one waits to take over."`
	Reason     string         `json:"reason,omitempty" doc:"Why it retries or has stopped, or whom it stands by for."`
	StartedAt  time.Time      `json:"started_at" doc:"When the engine was started."`
	Generation int64          `json:"generation" doc:"Raised by each engine that starts."`
	Workers    int            `json:"workers"`
	Rates      Rates          `json:"rates"`
	Ledgers    LedgerStatus   `json:"ledgers" doc:"Rows of the ledgers."`
	Commit     *CommitStatus  `json:"commit,omitempty" doc:"The last commit."`
	Commits    []CommitStatus `json:"commits" doc:"The last commits, newest first."`
	Topics     []TopicStatus  `json:"topics"`
	Views      []ViewStatus   `json:"views"`
	Lookups    []LookupStatus `json:"lookups,omitempty" doc:"Tables that views join with."`
}

// Rates are averages over the last seconds.
type Rates struct {
	RecordsPerSecond float64 `json:"records_per_second" doc:"Records read."`
	BytesPerSecond   float64 `json:"bytes_per_second" doc:"Bytes of keys and values read."`
	RowsPerSecond    float64 `json:"rows_per_second" doc:"Result rows written."`
}

// LedgerStatus counts what was refused.
type LedgerStatus struct {
	Quarantine  int64 `json:"quarantine" doc:"Records that could not be decoded or evaluated."`
	LateRows    int64 `json:"late_rows"`
	GroupErrors int64 `json:"group_errors" doc:"Groups whose outputs do not evaluate at the moment."`
}

// CommitStatus is one commit.
type CommitStatus struct {
	Seq             int64              `json:"seq" doc:"The commit's number: Millstream-Commit."`
	At              time.Time          `json:"at"`
	Records         int64              `json:"records" doc:"Records that it covers."`
	Rows            int64              `json:"rows" doc:"Result rows that it wrote."`
	DurationSeconds float64            `json:"duration_seconds"`
	StepSeconds     map[string]float64 `json:"step_seconds,omitempty" doc:"Time by step: fence, rows, ledgers, state, commit_row, commit."`
}

// TopicStatus is a foreign table and its topic.
type TopicStatus struct {
	Table      string            `json:"table"`
	Topic      string            `json:"topic"`
	Server     string            `json:"server"`
	Rates      Rates             `json:"rates" doc:"Rows are not told by topic."`
	LagRecords int64             `json:"lag_records" doc:"Over all partitions."`
	LagSeconds float64           `json:"lag_seconds" doc:"Of the partition that is furthest behind."`
	Partitions []PartitionStatus `json:"partitions"`
}

// PartitionStatus is one partition of a topic.
type PartitionStatus struct {
	Partition  int32      `json:"partition"`
	Offset     int64      `json:"offset" doc:"The next offset to be committed."`
	End        int64      `json:"end" doc:"The last stable offset."`
	LagRecords int64      `json:"lag_records"`
	LagSeconds float64    `json:"lag_seconds" doc:"Age of the oldest record that is not committed."`
	Watermark  *time.Time `json:"watermark,omitempty" doc:"The partition's own watermark; absent before its first record."`
	IdleSince  *time.Time `json:"idle_since,omitempty" doc:"Since when it holds back no watermark."`
	Paused     bool       `json:"paused,omitempty" doc:"It is ahead of the others and waits for them."`
}

// ViewStatus is one materialized view.
type ViewStatus struct {
	Name        string          `json:"name"`
	Emit        string          `json:"emit" enum:"update,final"`
	Inputs      []string        `json:"inputs" doc:"The foreign tables that it reads."`
	Lookups     []string        `json:"lookups,omitempty" doc:"The tables that it joins its records with."`
	Rates       Rates           `json:"rates" doc:"Bytes are not told by view."`
	Watermark   *time.Time      `json:"watermark,omitempty" doc:"The view's watermark."`
	Floor       *time.Time      `json:"floor,omitempty" doc:"Rows of windows that end at or before it are late, whatever their partition."`
	FinalBefore *time.Time      `json:"final_before,omitempty" doc:"Rows of windows that end at or before it are final."`
	OpenWindows int64           `json:"open_windows"`
	OpenGroups  int64           `json:"open_groups"`
	StateBytes  int64           `json:"state_bytes"`
	Counts      CountStatus     `json:"counts" doc:"Fates of records since the engine was started."`
	Windows     []WindowStatus  `json:"windows" doc:"Open windows, oldest first, up to a limit."`
	Errors      int64           `json:"group_errors" doc:"Groups whose outputs do not evaluate."`
	WaitsFor    []WaitingStatus `json:"waits_for" doc:"The partitions that hold back the view's watermark."`
}

// LookupStatus is a table that views join with.
type LookupStatus struct {
	Table          string     `json:"table"`
	Version        int64      `json:"version" doc:"The version that records meet: it grows by one with each change."`
	Rows           int64      `json:"rows"`
	ChangedAt      *time.Time `json:"changed_at,omitempty" doc:"When this version took over, or was loaded by this engine."`
	RefreshedAt    *time.Time `json:"refreshed_at,omitempty" doc:"When the table was last looked at with success."`
	RefreshSeconds float64    `json:"refresh_seconds,omitempty" doc:"How long that took."`
	Failures       int64      `json:"failures" doc:"Looks that failed since the engine was started."`
	Reason         string     `json:"reason,omitempty" doc:"Why the last look failed."`
}

// CountStatus are fates of records: read = accepted + filtered + late +
// quarantined.
type CountStatus struct {
	Read        int64 `json:"read"`
	Accepted    int64 `json:"accepted"`
	Filtered    int64 `json:"filtered"`
	Late        int64 `json:"late"`
	Quarantined int64 `json:"quarantined"`
	Skipped     int64 `json:"skipped" doc:"Offsets without a record."`
}

// WindowStatus is an open window.
type WindowStatus struct {
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Groups int64     `json:"groups"`
	State  string    `json:"state" enum:"open,closed" doc:"closed: the watermark has passed it; rows of quiet partitions may still correct it."`
	Reason string    `json:"reason" doc:"Why it is open, and what will close it."`

	NeedsEvent *time.Time `json:"needs_event,omitempty" doc:"An event of this time or later, in each partition that holds back the watermark, closes it."`
	ClosesAt   *time.Time `json:"closes_at,omitempty" doc:"When it closes by the clock if no more events come: partitions without any count as idle."`
}

// WaitingStatus is a partition that holds back a view's watermark.
type WaitingStatus struct {
	Table     string     `json:"table"`
	Topic     string     `json:"topic"`
	Partition int32      `json:"partition"`
	Watermark *time.Time `json:"watermark,omitempty"`
	LastEvent *time.Time `json:"last_event,omitempty" doc:"Its greatest event time."`
	Offset    int64      `json:"offset" doc:"The next offset to be committed."`
	IdleAt    *time.Time `json:"idle_at,omitempty" doc:"When it counts as idle if no more events come."`
	Reason    string     `json:"reason" doc:"Its last event, and what will move it."`
}
