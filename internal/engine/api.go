// Package engine runs the views of a pipeline: it reads records, keeps the
// views' state, and commits results, positions, ledgers and state together.
//
// It knows neither Kafka nor PostgreSQL. A Source gives records and a Store
// takes commits; each has one conformance suite that every implementation
// passes (enginetest).
package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
)

// TopicKey names a topic in a cluster.
type TopicKey struct {
	Server string // "kafka" for the configured cluster
	Topic  string
}

// TopicID is Kafka's identity of a topic: it changes when the topic is
// deleted and made again under the same name.
type TopicID [16]byte

// Partition is one partition of a topic.
type Partition struct {
	TopicKey
	Partition int32
}

// TopicInfo is what the cluster says of a topic.
type TopicInfo struct {
	ID         TopicID
	Partitions int32
}

// Offsets are the ends of a partition: the first record still held, and the
// last stable offset, one past the last record that a read_committed reader
// gets.
type Offsets struct{ Start, End int64 }

// Header is a record's header.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record as it lies in the log. Its bytes belong to the chunk
// and are not changed by anybody.
type Record struct {
	Offset    int64
	Timestamp int64 // microseconds since 1970-01-01 UTC; Kafka gives milliseconds
	Key       []byte
	Value     []byte // nil: a tombstone
	Headers   []Header
	// Oversize: the record was not read, since its batch takes more memory than
	// a batch may. It has an offset and nothing else.
	Oversize bool
}

// Chunk is a run of records of one partition, in offset order. It covers the
// offsets from the end of the partition's chunk before it up to Next: what
// lies between and is not in Records was skipped (control records, aborted
// transactions, compaction gaps).
type Chunk struct {
	Partition Partition
	Records   []Record
	Next      int64
	// End is the last stable offset as the fetch saw it, -1 if it did not say:
	// for lag, and to tell whether the partition has been read to its end.
	End int64
	// Release, if it is not nil, is called once when nothing refers to the
	// records, their bytes or headers any more: the source uses their memory
	// again. A chunk that is never released costs garbage, and no more.
	Release func()
}

// Source gives records. Its methods may be called from several goroutines,
// except that Poll and Start have one caller.
type Source interface {
	// ClusterID is the Kafka cluster's id of a server.
	ClusterID(ctx context.Context, server string) (string, error)
	// Describe gives the topics' ids and partition counts, making those that
	// do not exist with the given number of partitions (0: the broker's
	// default).
	Describe(ctx context.Context, topics map[TopicKey]int) (map[TopicKey]TopicInfo, error)
	// Offsets gives the ends of partitions as they are at the call.
	Offsets(ctx context.Context, partitions []Partition) (map[Partition]Offsets, error)
	// OffsetsAt gives for each partition the offset of the first record whose
	// timestamp is at or after at, or the end if there is none.
	OffsetsAt(ctx context.Context, partitions []Partition, at time.Time) (map[Partition]int64, error)
	// Start begins to fetch exactly at the given offsets. It never resets a
	// position: an offset out of range makes Poll fail with *LostError.
	Start(ctx context.Context, positions map[Partition]int64) error
	// Poll waits for records and gives them, a chunk for each partition that
	// has any, at most maxRecords in all. It retries what heals by itself.
	Poll(ctx context.Context, maxRecords int) ([]Chunk, error)
	// SetPaused makes Poll leave out the partitions, and no others.
	SetPaused(partitions []Partition)
	// Committed tells the cluster how far the pipeline has come, for lag
	// tools. It does not block, and fails silently but for a log line.
	Committed(ctx context.Context, positions map[Partition]int64)
	// Health is nil when the last contact with every cluster succeeded.
	Health() error
	// Close stops fetching and frees everything. It may be called twice.
	Close()
}

// LostError tells that records which were not yet read are gone: retention
// has passed the position, or the topic was deleted or made again.
type LostError struct {
	Partition Partition
	From, To  int64  // offsets that are lost: [From, To); To < 0: unknown
	Reason    string // "retention has passed the position", "the topic was made again", …
	expired   bool   // the log is the one that was read, without its start
}

func (e *LostError) Error() string {
	p := fmt.Sprintf("topic %q partition %d", e.Partition.Topic, e.Partition.Partition)
	if e.To < 0 {
		return fmt.Sprintf("%s: records from offset %d on are lost: %s", p, e.From, e.Reason)
	}
	return fmt.Sprintf("%s: %d records, offsets %d to %d, are lost: %s", p, e.To-e.From, e.From, e.To-1, e.Reason)
}

// TableID is the index of a foreign table in plan.Pipeline.Topics, and
// ViewID of a view in plan.Pipeline.Views.
type (
	TableID int
	ViewID  int
)

// PartitionProgress is where a foreign table stands in one partition.
type PartitionProgress struct {
	Table     TableID
	Partition int32
	TopicID   TopicID
	From, To  int64 // offsets of this commit: [From, To)
	// Lost of them were gone from Kafka before they were read, which somebody
	// has accepted; empty: none.
	Lost OffsetRange
	// Watermark is the partition's own: stored microseconds since 2000, or
	// column.NegativeInfinity before the first record that was decoded.
	Watermark int64
	// IdleSince is when the partition was counted as idle, in wall time; zero
	// if it is not.
	IdleSince time.Time
	// ReadAt is when its last record was read, or since when the first is
	// waited for; GreatestAt when the one with the greatest event time was
	// read, zero if none was. A restart goes on counting from them how long
	// the partition has been quiet.
	ReadAt, GreatestAt time.Time
}

// Counts are the fates of the records of one commit. Read = Accepted +
// Filtered + Late + Quarantined, and the distance of offsets = Read +
// Skipped.
type Counts struct {
	Read, Accepted, Filtered, Late, Quarantined, Skipped int64
}

// InputCounts are the counts of one branch of a view in one partition.
type InputCounts struct {
	Source    int // the branch's number in the view's UNION ALL
	Table     TableID
	Partition int32
	Counts
}

// ViewProgress is where a view stands after a commit.
type ViewProgress struct {
	View ViewID
	// Watermark and Floor are stored microseconds since 2000, or
	// column.NegativeInfinity while there is none. The watermark waits for the
	// last row of each window that it passes; Decided is where it will then
	// be.
	Watermark, Floor int64
	Decided          int64
	// Closed: windows whose end is at or before it are wholly closed, and their
	// state is gone; ClosedGroups: so many groups of the one that follows are,
	// in key order. The others at or before the floor are being closed.
	Closed       int64
	ClosedGroups int64
	// Expiring: rows wait to expire.
	Expiring bool
	// Forgotten: of closed windows up to this place nothing may be kept.
	Forgotten WindowPlace
	// FinalBefore: rows of windows whose end is at or before it are final.
	FinalBefore int64
	Inputs      []InputCounts
	RowsOut     int64 // rows upserted and deleted
	OpenWindows int64
	OpenGroups  int64
}

// TableChange is what one commit does to a view's table.
type TableChange struct {
	View ViewID
	// Upserts has the table's columns in order (for Append: _source,
	// _partition, _offset, then the view's columns; for Latest: the view's
	// columns, then _event_time, _source, _partition, _offset). Keys are
	// unique within the batch. Sorted by key for Grouped.
	Upserts *column.Batch
	// New tells for each of Upserts whether the engine has never written a
	// row of that key, or has deleted it since; nil: not known of any.
	New []bool
	// Deletes has the key columns of rows that must not exist: groups that
	// do not satisfy HAVING or failed to evaluate.
	Deletes *column.Batch
	// ExpireBefore: rows whose event time column is before it are deleted;
	// column.NegativeInfinity for none. At most ExpireLimit of them go, the
	// oldest.
	ExpireBefore int64
	ExpireLimit  int64
}

// Cause is why a record was refused.
type Cause string

// The causes of quarantine.
const (
	CauseDecode     Cause = "decode"     // not decodable as the foreign table says
	CauseEventTime  Cause = "event_time" // NULL, infinite, or a word for the present
	CauseFuture     Cause = "future"     // further ahead of the clock than future_limit
	CauseExpression Cause = "expression" // an expression of a view failed
	CauseKeySize    Cause = "key_size"   // the row's key takes more than 2,000 bytes
	CauseSize       Cause = "size"       // the record or a value is over a limit
)

// The causes of lateness.
const (
	LatePartition = "watermark" // the partition's own watermark had passed the window
	LateFloor     = "floor"     // the view's floor had
)

// Refused is one record in quarantine.
type Refused struct {
	Table     TableID
	View      ViewID // -1: the record counts as quarantined in every view of the table
	Source    int    // branch, with View >= 0
	Partition int32
	Offset    int64
	Timestamp int64 // the record's, microseconds since 1970
	Cause     Cause
	Column    string // "" when no column is to blame
	Path      string // JSON path, "" likewise
	Position  int    // byte position in the payload, -1 if none
	Expected  string // the type that was expected, "" likewise
	Code      string // SQLSTATE, "" where PostgreSQL has no opinion (future)
	Message   string
	Key       []byte
	Payload   []byte // whole; the store cuts it to its limit
	Headers   []Header
	Replay    int64 // the replay that has brought the record here again, 0: none
}

// LateRow is one record that was late for a window.
type LateRow struct {
	Table       TableID
	View        ViewID
	Source      int
	Partition   int32
	Offset      int64
	Timestamp   int64 // the record's, microseconds since 1970
	EventTime   int64 // stored microseconds
	WindowStart int64
	WindowEnd   int64
	Watermark   int64 // the partition's own at this record
	Floor       int64 // the view's
	Cause       string
	// Accepted tells that other windows of the view took the record.
	Accepted bool
	Key      []byte
	Payload  []byte
	Headers  []Header
	Replay   int64 // as in Refused; Watermark is then the floor, too
}

// GroupError is a group whose outputs do not evaluate; Message "" removes
// the entry: the group evaluates again or is gone.
type GroupError struct {
	View    ViewID
	Key     string // the group's key as JSON
	Code    string
	Message string
}

// StateBlob is operator state: a base, which replaces all that came before
// of its shard, or a delta of all shards on top of the bases.
type StateBlob struct {
	View  ViewID
	Shard int // -1 for a delta
	Seq   int64
	Part  int // parts of one blob are numbered from 0 and are joined
	Base  bool
	Data  []byte
}

// Commit is one epoch's work: it is made durable as a whole or not at all.
type Commit struct {
	Seq      int64
	At       time.Time // of the engine's clock, when the epoch was sealed
	Tables   []TableChange
	Progress []PartitionProgress // partitions that moved, changed their idleness, or were never told of
	Views    []ViewProgress      // all views
	Refused  []Refused
	Late     []LateRow
	Errors   []GroupError
	// Pinned tells that a table's version changed, or that a floor rose beyond what every partition's own
	// watermark has passed: which rows are late then depends on where this
	// commit ends, and a build that follows cuts there too.
	Pinned bool
	// Lookups are the versions of all tables that are looked up, and
	// LookupChanges those that no commit has told of.
	Lookups       []LookupVersion
	LookupChanges []LookupChange
	State         []StateBlob
	// DropState tells, per view, below which seq its deltas are no longer
	// needed, since newer bases of all shards hold them.
	DropState map[ViewID]int64
	// Closed is what is kept of windows that this commit closes; Forget tells,
	// per view, up to which window, itself included, nothing is kept any more.
	Closed []ClosedBlob
	Forget map[ViewID]WindowPlace
	// Replays are the replays that this commit settles, and Corrected the
	// closed windows that they change. The store makes sure that nobody else
	// has settled them meanwhile, and fails with ErrDiverged otherwise.
	Replays   []ReplayOutcome
	Corrected []CorrectedWindow
	// Repeats are the requests with idempotency keys that came.
	Repeats []RepeatBlob
}

// Snapshot is where a store says that the pipeline stands.
type Snapshot struct {
	Generation int64
	Seq        int64               // of the last commit, 0 if there is none
	Progress   []PartitionProgress // the last word on each partition
	Views      []ViewProgress      // the last word on each view
	State      []StateBlob         // bases, and the deltas that they lack, by view and seq
	Closed     []ClosedWindow      // what is kept of closed windows, by view, end and start
	Repeats    []RepeatBlob        // by table, partition and seq
	// Lookups are the versions that the last commit told of; LookupLast the
	// greatest that were ever given.
	Lookups, LookupLast []LookupVersion
	// What builds before this one have decided by the clock, in order, and
	// where the first of them began.
	Beginnings []Beginning
	Decisions  []Decision
	Refusals   []FutureRefusal
}

// Store makes commits durable.
type Store interface {
	// Open takes the pipeline over: it raises the generation, so that an
	// older engine's next commit fails, and reads where the pipeline stands.
	Open(ctx context.Context) (*Snapshot, error)
	// Commit makes c durable. It retries what heals by itself until ctx ends,
	// and settles an unknown outcome by reading. It fails with ErrFenced when
	// a newer engine has taken over, with ErrDiverged when the store stands
	// elsewhere than this engine believes, otherwise with what must be mended.
	Commit(ctx context.Context, c *Commit) (CommitStats, error)
	// Health is nil when the last contact succeeded; while Commit retries it
	// is the error that it meets.
	Health() error
}

// CommitStats says how long a commit's steps took and what they wrote.
type CommitStats struct {
	Steps []StepTime
	Bytes int64
	// Attempts is how often the commit was tried.
	Attempts int
	// Expiring are the views of which as many rows have expired as were
	// allowed: there may be more. The store keeps it with the view's progress.
	Expiring []ViewID
	// Expired are the views of which any row has expired.
	Expired []ViewID
}

// StepTime is the time of one step of a commit.
type StepTime struct {
	Step     string // "fence", "rows", "ledgers", "state", "commit_row", "commit"
	Duration time.Duration
	// Began and Ended are by the machine's clock, where the store tells.
	Began, Ended time.Time
}

var (
	// ErrFenced: a newer engine runs this pipeline.
	ErrFenced = errors.New("another engine has taken over this pipeline")
	// ErrDiverged: the store was restored or failed over to another state.
	ErrDiverged = errors.New("the database stands elsewhere than this engine believes")
)

// Clock is the one source of wall time.
type Clock interface {
	Now() time.Time
	// NewTimer gives a channel that receives once the clock has advanced by
	// d, and a function that stops it.
	NewTimer(d time.Duration) (<-chan time.Time, func())
}
