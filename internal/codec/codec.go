// Package codec is what the formats share: the columns that a decoder reads
// from a record, and how it says that a record is not what they ask for.
//
// Whether a record decodes depends on the declared columns alone, never on
// which of them anybody reads: a decoder checks each record to its last byte
// and every column, and only leaves out materialising.
package codec

import (
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Column is one column that is read from a record.
type Column struct {
	Name    string
	Type    column.Type
	NotNull bool
	// Path leads to the value in the document; it has at least one step. The
	// value is what a chain of PostgreSQL's -> gives for type json: of
	// repeated keys the last counts at each step (#> would look into all).
	Path []PathStep
	// Epoch, for timestamptz, takes numbers since 1970, exactly; what is finer
	// than a microsecond is rounded half away from zero, as round(numeric).
	Epoch Epoch
	// Needed tells that the column is to be materialised, not only checked.
	Needed bool
}

// PathStep is one step of a JSON path: a member, or the index of an array
// element when Member is false.
type PathStep struct {
	Member bool
	Name   string
	Index  int // negative: from the end, as in PostgreSQL's ->
}

// Epoch is the unit of numbers that stand for a time since 1970.
type Epoch uint8

// The units of OPTIONS (epoch …).
const (
	NoEpoch Epoch = iota
	EpochSeconds
	EpochMillis
	EpochMicros
	EpochNanos
)

// Limits of one record.
const (
	// MaxRecordBytes is the longest payload that is decoded; a longer one is
	// refused with cause size.
	MaxRecordBytes = 64 << 20
	// MaxDepth is the deepest nesting of a document. PostgreSQL with its
	// default max_stack_depth takes somewhat more.
	MaxDepth = 6000
)

// Fault is why a record can't be decoded.
type Fault struct {
	Row      int    // index of the record in the batch
	Column   int    // index into the columns, -1 if the document itself is bad
	Path     string // JSON path of the value, "" if the document itself is bad
	Position int    // byte position in the payload, from 0: of the value, or of the first bad byte; -1 if none
	Size     bool   // a limit of size or depth was met
	Reserved bool   // the input is a word for the present ("now", "today", …)
	Err      *sqlerr.Error
}

// Decoder turns payloads into columns. It has scratch of its own and serves
// one goroutine.
type Decoder interface {
	// Decode resets cols[j] for each needed column j to len(payloads) values
	// and fills them; cols[j] of the others may be nil. A payload that does
	// not decode gives one Fault, and NULLs. It is the one that PostgreSQL
	// meets first: the document's own, then the columns' inputs in declared
	// order, then NOT NULL in declared order; after all those, words for the
	// present, which PostgreSQL takes. Faults are appended to faults in order
	// of rows. Vectors may refer to the payloads' bytes.
	Decode(payloads [][]byte, cols []*column.Vector, faults []Fault) []Fault
}
