package engine

import (
	"context"
	"errors"
)

// Replay is a row of a ledger that somebody has asked to send through again,
// with its payload as it was or edited.
type Replay struct {
	ID        int64
	Table     TableID
	View      ViewID // -1: every view of the table, as the refusal was
	Source    int    // branch, with View >= 0
	Partition int32
	Offset    int64
	Timestamp int64 // the record's, microseconds since 1970
	// Late: the row is of late_rows, for the window that begins at WindowStart;
	// else of quarantine.
	Late        bool
	WindowStart int64 // stored microseconds
	Edited      bool
	Key         []byte
	Payload     []byte
	Headers     []Header
	// Recorded: a build before this one has applied it, and it is obeyed.
	Recorded bool
	// Stands: the ledger of this build has the row. Otherwise the record counts
	// by itself, as it was read with another definition.
	Stands bool
}

// What becomes of a replay.
const (
	ReplayApplied = "applied" // some view has taken the record, or filtered it
	ReplayRefused = "refused" // none has: the row stays as it is
	ReplayVoid    = "void"    // the ledger has no such row (any more)
)

// What becomes of a replayed record in one branch of a view.
const (
	FateAccepted    = "accepted"
	FateFiltered    = "filtered"
	FateLate        = "late"
	FateQuarantined = "quarantined"
)

// ReplayOutcome is what a commit has made of a replay.
type ReplayOutcome struct {
	ID       int64
	State    string
	Reason   string   // why it was refused or is void, "" otherwise
	Fault    *Refused // what is still wrong with the payload, nil if that is not the reason
	Fates    []ReplayFate
	Recorded bool // as in Replay
}

// ReplayFate is what became of a replayed record in one branch of a view.
type ReplayFate struct {
	View    ViewID
	Source  int
	Fate    string
	Reason  string // of late and quarantined
	Windows []ReplayedWindow
}

// ReplayedWindow is a window that has taken a replayed record.
type ReplayedWindow struct {
	Start, End int64
	Corrected  bool // it was closed
}

// CorrectedWindow is a closed window after replays: Blobs stand in the place of
// all that is kept of its Shards.
type CorrectedWindow struct {
	View         ViewID
	Start, End   int64
	Shards       []int
	Blobs        []ClosedBlob
	WindowGroups int64 // of all its rows, those of other shards too
}

// KeptWindow is what a store holds of some shards of a closed window.
type KeptWindow struct {
	Blobs        []ClosedBlob // of the shards that were asked for, and of -1
	Groups       int64        // of all its blobs
	WindowGroups int64        // 0: nothing is kept of the window
}

// ReplayReader reads what was asked of the ledgers, and what is kept of closed
// windows.
type ReplayReader interface {
	// Waiting tells whether any replay is asked for of a record before the
	// positions.
	Waiting(ctx context.Context, positions []DecidedPosition) (bool, error)
	// Requested gives those replays, oldest first, at most limit.
	Requested(ctx context.Context, positions []DecidedPosition, limit int) ([]Replay, error)
	// Recorded gives replays that a build before has applied and this one has
	// not, by id.
	Recorded(ctx context.Context, ids []int64) ([]Replay, error)
	// KeptWindow gives what is kept of a closed window's shards. ErrDamaged
	// tells that it is not what was written.
	KeptWindow(ctx context.Context, view ViewID, start, end int64, shards []int) (KeptWindow, error)
}

// ErrDamaged: what was read is not what was written.
var ErrDamaged = errors.New("what is kept of the window is damaged")
