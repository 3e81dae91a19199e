// Package plan turns the statements of a pipeline file into what an engine
// runs: topics with their columns, views with their keys, windows and
// aggregates, and the statements that PostgreSQL runs as they stand.
//
// Everything that is wrong with a file is found here or before, all of it at
// once: a plan that exists can be run.
package plan

import (
	"time"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

// Pipeline is a whole pipeline file.
type Pipeline struct {
	Servers    []Server
	Topics     []*Topic     // in file order
	Views      []*View      // in file order
	Lookups    []*Lookup    // tables that views join with, as they come
	Statements []*Statement // everything that PostgreSQL runs, in file order, the views' places included
	Hash       string       // of the definition, formatting and comments aside: hex SHA-256
	Text       string       // the file as it was read
}

// Server is a Kafka cluster. The one called "kafka" is the configured one.
type Server struct {
	Name    string
	Brokers []string // empty for "kafka"
}

// Topic is a foreign table: a Kafka topic and how its records become rows.
//
// A decoded batch has the declared columns in their order, and after them the
// metadata columns in the order of the Meta constants. Columns that no view
// needs are checked but not materialised.
type Topic struct {
	Name       string // of the foreign table
	Server     string // "kafka" unless the file says otherwise
	Topic      string // Kafka's name
	Format     string // "json"
	Columns    []TopicColumn
	EventTime  int // index into Columns, or -1: the record's own timestamp
	Watermark  time.Duration
	IdleAfter  time.Duration
	Future     time.Duration // future_limit
	Start      Start
	StopOnBad  bool // on_error 'stop'
	Partitions int  // when created; 0: the cluster's default
	// Needed[i] tells that some view reads decoded column i (declared and
	// metadata), or that it is the event time.
	Needed   []bool
	Comment  string        // COMMENT ON FOREIGN TABLE
	Position diag.Position // of its name in the file
}

// DefaultIdleAfter and DefaultFutureLimit are a topic's options when not
// given.
const (
	DefaultIdleAfter   = 30 * time.Second
	DefaultFutureLimit = time.Minute
)

// Start says where a topic is read from when a pipeline begins.
type Start struct {
	Latest bool
	At     time.Time // not zero: the first record with this timestamp or later
}

// TopicColumn is one declared column of a foreign table.
type TopicColumn struct {
	Name    string
	Type    column.Type
	NotNull bool
	// Path leads to the value in the JSON document. A column without
	// OPTIONS (path …) has one member step, its own name.
	Path  []codec.PathStep
	Epoch codec.Epoch // numbers since 1970, for timestamptz
	// Generated is the column's expression over the declared columns of the
	// same batch, nil if the column is read from the record.
	Generated expr.Expr
	Comment   string // COMMENT ON COLUMN
}

// Meta is a metadata column: a decoded batch holds it at index
// len(Topic.Columns) + int(Meta).
type Meta int

// The metadata columns.
const (
	MetaTopic     Meta = iota // _topic text
	MetaPartition             // _partition integer
	MetaOffset                // _offset bigint
	MetaTimestamp             // _timestamp timestamptz
	MetaKey                   // _key text: the key's bytes as UTF-8, NULL without key
	MetaHeaders               // _headers jsonb: an object, of repeated names the last
	MetaCount
)

// MetaColumns are the metadata columns' names and types.
var MetaColumns = [MetaCount]struct {
	Name string
	Type column.Type
}{
	MetaTopic:     {"_topic", column.Of(column.Text)},
	MetaPartition: {"_partition", column.Of(column.Int4)},
	MetaOffset:    {"_offset", column.Of(column.Int8)},
	MetaTimestamp: {"_timestamp", column.Of(column.Timestamptz)},
	MetaKey:       {"_key", column.Of(column.Text)},
	MetaHeaders:   {"_headers", column.Of(column.JSONB)},
}

// Mode is how a view's table follows from the records.
type Mode uint8

// The modes.
const (
	// Append has one row per accepted record, keyed by _source, _partition,
	// _offset, which are the table's first three columns.
	Append Mode = iota
	// Latest has one row per key: the one with the greatest (event time,
	// source, partition, offset), kept in the columns _event_time, _source,
	// _partition, _offset after the view's own.
	Latest
	// Grouped has one row per group.
	Grouped
)

// View is a materialized view: a query kept up to date in a table.
type View struct {
	Name      string
	Mode      Mode
	Final     bool          // emit 'final'
	Retention time.Duration // 0: rows stay
	// Correctable is for how long, in event time, and in how many bytes at most
	// what closed windows were made of is kept; 0: it is not.
	Correctable      time.Duration
	CorrectableBytes int64
	MaxGroups        int64     // > 0: a GROUP BY without a window, by the user's wish
	Branches         []*Branch // of the UNION ALL, at least one

	// Columns are the table's own columns, as the SELECT names them.
	Columns []OutputColumn
	// Key are indexes into Columns: the table's unique key for Grouped (all
	// GROUP BY columns) and Latest; nil for Append.
	Key []int

	// The rest is for Grouped.

	// Window is nil for a GROUP BY without a window.
	Window *Window
	// GroupKeys are the types of the GROUP BY expressions other than the
	// window's; each Branch.Keys has as many.
	GroupKeys []column.Type
	Aggs      []Agg
	// Having and Outputs are evaluated over a group batch: columns
	// [window_start, window_end,] group keys…, aggregates…. The two window
	// columns are there exactly when Window is not nil.
	Having  expr.Expr // nil without HAVING
	Outputs []expr.Expr
	// EventTimeColumn is the index into Columns of a timestamp that bounds
	// the row in event time: for retention. -1 if none.
	EventTimeColumn int

	Comment  string        // COMMENT ON MATERIALIZED VIEW
	SQL      string        // the statement as it is written in the file
	Position diag.Position // of its name in the file
}

// OutputColumn is one column of a view's table.
type OutputColumn struct {
	Name string
	Type column.Type
}

// Agg is an aggregate: its kind, types and form. Its argument, filter and order
// stand in each branch.
type Agg struct {
	Kind   expr.AggregateKind
	Arg    column.Type // Invalid kind for count(*)
	Result column.Type
	More   []column.Type // of what its rows are ordered by
	expr.AggregateForm
}

// Window is a view's window: how time is cut, and the type of window_start
// and window_end.
type Window struct {
	Assigner window.Assigner
	Type     column.Type // timestamptz or timestamp
	// TTL: the query has no window. Groups are those of the sessions that the
	// view's ttl makes as a gap, and of each key the table has the last one.
	TTL bool
}

// Branch is one input of a view: a topic, and expressions over its decoded
// batch (Topic.Columns then the metadata columns).
type Branch struct {
	Topic *Topic
	// Source is the branch's number from 0 in the UNION ALL: `_source`.
	Source int
	Filter expr.Expr // WHERE, nil for none
	// Joins are the tables that are looked up, one after the other, for the
	// records that Filter lets through. All other expressions are over the
	// decoded batch with the columns of these tables after it.
	Joins []*Join

	// Append and Latest: one for each of View.Columns.
	Outputs []expr.Expr

	// Grouped:
	WindowTime expr.Expr // the event time that is assigned to windows; nil without window
	Keys       []expr.Expr
	AggArgs    []expr.Expr   // one for each of View.Aggs; nil for count(*)
	AggMore    [][]expr.Expr // for each of View.Aggs what its rows are ordered by
	AggFilters []expr.Expr   // one for each of View.Aggs; nil for none
}

// StatementKind says what PostgreSQL does with a statement.
type StatementKind uint8

// The kinds of pass-through statements, by what a change of one means.
const (
	// StatementView stands for a materialized view's table at its place in
	// the file; SQL is empty.
	StatementView StatementKind = iota
	// Replaceable (view, function, comment, grant): a changed one is run again.
	Replaceable
	// Once (table, index, type, …): a changed one is refused, showing the
	// ALTER to run.
	Once
)

// Statement is one statement that PostgreSQL runs, in file order.
type Statement struct {
	Kind StatementKind
	View *View  // for StatementView
	SQL  string // as to be run: what named a materialized view names its table
	// Object names what the statement makes or changes ("view stats",
	// "comment on table processed_data"): the identity under which its hash
	// is remembered.
	Object string
	// Schema-qualified name of a relation the statement creates, "" if none.
	Relation string
	Hash     string
	Line     int
}
