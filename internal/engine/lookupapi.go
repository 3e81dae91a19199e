package engine

import (
	"context"
	"errors"

	"github.com/millstream-dev/millstream/internal/column"
)

// LookupID is the index of a table that is looked up in plan.Pipeline.Lookups.
type LookupID int

// LookupVersion says which version of a table the records of a commit met.
// Versions are numbered from 1.
type LookupVersion struct {
	Lookup  LookupID
	Version int64
}

// LookupChange is a version of a table that no commit has told of: it is made
// durable with the first commit whose records met it.
type LookupChange struct {
	LookupVersion
	Before int64 // the version that it follows, 0 for none
	// Rows are all rows: the columns that are read, nil for the others. Added
	// are those that the version before has not, and Removed those of
	// OldRows, the version before, that are gone.
	Rows    *column.Batch
	Added   []int32
	OldRows *column.Batch // nil when there is none before
	Removed []int32
}

// LookupReader reads tables that are looked up. Its methods may be called
// from several goroutines. Rows have the table's columns as plan.Lookup
// declares them, nil where nobody reads one, and are not changed afterwards. An
// error that trying again may heal is ErrLookupAway.
type LookupReader interface {
	// ReadLookup reads a table as it stands, or gives nil rows when it stands
	// as it did when ReadLookup gave mark.
	ReadLookup(ctx context.Context, id LookupID, mark string) (rows *column.Batch, next string, err error)
	// ReadVersion gives the rows of a version that a commit has made durable.
	ReadVersion(ctx context.Context, v LookupVersion) (*column.Batch, error)
}

// ErrLookupAway: a table that is looked up can't be read at the moment.
var ErrLookupAway = errors.New("the table can't be read at the moment")
