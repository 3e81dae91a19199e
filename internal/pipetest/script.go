package pipetest

import (
	"time"

	"github.com/millstream-dev/millstream/internal/diag"
)

// Script is a test file.
type Script struct {
	File string
	// Pipeline is the path of the pipeline file, relative to the script;
	// SQL the pipeline written in the script. Neither: the pipeline that the
	// tests lie beside.
	Pipeline string
	SQL      string
	Topics   map[string]int32  // partition counts; 1 for topics not named
	Clock    time.Time         // where the injected clock begins
	Skip     map[string]string // modes that the script is not for, with the reason
	Steps    []Step
}

// Step is one statement that is run.
type Step struct {
	Pos  diag.Position
	Send *Send
	// Advance lets the clock go on; 0 for none.
	Advance time.Duration
	// Clock sets the clock, also back; zero for nothing.
	Clock   time.Time
	Restart bool
	Crash   *Crash
	Cut     Cut
	Replay  *Replay
	SQL     string // run in PostgreSQL; "" for none
	Expect  *Expect
}

// Crash ends the engine as SIGKILL does.
type Crash struct {
	// Point is the failpoint at which it ends itself, the next time that it
	// passes there; "": at once.
	Point string
}

// Cut says where the connection to PostgreSQL is lost; "" for nowhere.
type Cut string

// The places of a cut.
const (
	CutNow    Cut = "now"
	CutBefore Cut = "before commit" // COMMIT does not reach the server
	CutAfter  Cut = "after commit"  // its answer does not come back
)

// Send appends records to a partition.
type Send struct {
	Topic     string
	Partition int32
	Records   []Record
}

// Replay sends rows of a ledger through again.
type Replay struct {
	Ledger    Kind   // Late or Quarantine
	Name      string // the view, or of quarantine the foreign table or view
	Partition *int32 // nil: of all partitions and offsets
	Offset    int64
	Payload   []byte // instead of the record's; nil: as it was
}

// Record is a record to send.
type Record struct {
	Timestamp time.Time // zero: the clock's time
	Key       []byte    // nil: none
	Value     []byte    // nil: a tombstone
	Headers   []Header
}

// Header is a record's header.
type Header struct {
	Key   string
	Value []byte
}

// Kind is what an expectation looks at.
type Kind string

// The kinds of expectation.
const (
	Rows       Kind = "rows"       // of a table or view
	Late       Kind = "late"       // millstream.late_rows, of a view or all
	Quarantine Kind = "quarantine" // millstream.quarantine
	Errors     Kind = "errors"     // millstream.group_errors, of a view or all
	Counts     Kind = "counts"     // the fates' counts of a view
	Watermark  Kind = "watermark"  // of a view: a time
	Floor      Kind = "floor"      // likewise
	Final      Kind = "final"      // rows of windows that end by then are final
)

// Expect says what a table, a ledger or a time must be.
type Expect struct {
	Kind  Kind
	Name  string // of the table or view; "" for a whole ledger
	Table *Table // for rows; nil for a time
	Time  string // "none" or a timestamp
}

// Table is the rows that are expected: the named columns, in any order of
// rows.
type Table struct {
	Columns []Cell
	Rows    []Row
}

// Row is an expected row.
type Row struct {
	Pos   diag.Position
	Cells []Cell
}

// Cell is a value of a table, or a column's name.
type Cell struct {
	Pos  diag.Position
	Text string
	Null bool
}

// DefaultClock is where the injected clock begins unless the script says
// otherwise: later than the events that tests are usually about, so that none
// is in the future.
var DefaultClock = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// DefaultIdle is how long `idle` without a duration lets pass: a topic's
// idle_after when it is not given.
const DefaultIdle = 30 * time.Second
