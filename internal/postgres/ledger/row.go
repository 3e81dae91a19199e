package ledger

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Name is which ledger.
type Name string

// The ledgers, by their tables' names.
const (
	Quarantine Name = "quarantine"
	Late       Name = "late_rows"
)

// The states of a row.
const (
	Open      = "open"      // nobody has asked for anything, or it was refused
	Requested = "requested" // a replay waits for the engine
	Replayed  = "replayed"
	Dropped   = "dropped"
)

// Bytes are a key or a payload: text where it is text, else base64.
type Bytes []byte

// MarshalJSON writes text as text.
func (b Bytes) MarshalJSON() ([]byte, error) {
	switch {
	case b == nil:
		return []byte("null"), nil
	case utf8.Valid(b):
		return json.Marshal(string(b))
	}
	return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(b)})
}

// UnmarshalJSON reads what MarshalJSON writes. Another value stands for its own
// text, so that a payload can be written as the JSON that it is.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	var plain *string
	if json.Unmarshal(text, &plain) == nil {
		if *b = nil; plain != nil {
			*b = Bytes(*plain)
		}
		return nil
	}
	var encoded map[string]string
	if json.Unmarshal(text, &encoded) == nil && len(encoded) == 1 && encoded["base64"] != "" {
		raw, err := base64.StdEncoding.DecodeString(encoded["base64"])
		if err != nil {
			return fmt.Errorf("base64: %w", err)
		}
		*b = raw
		return nil
	}
	*b = append(Bytes(nil), text...)
	return nil
}

// Row is a row of a ledger. What only the other ledger has is zero.
type Row struct {
	ID          int64           `json:"id"`
	State       string          `json:"state"`
	Cause       string          `json:"cause"`
	Table       string          `json:"table"`
	Topic       string          `json:"topic"`
	Partition   int32           `json:"partition"`
	Offset      int64           `json:"offset"`
	Timestamp   time.Time       `json:"timestamp"` // Kafka's
	View        string          `json:"view,omitempty"`
	Source      *int32          `json:"source,omitempty"`
	Key         Bytes           `json:"key"`
	Headers     json.RawMessage `json:"headers,omitempty"`
	Payload     Bytes           `json:"payload"`
	PayloadSize int64           `json:"payload_size"`
	RefusedAt   time.Time       `json:"refused_at"`
	Commit      int64           `json:"commit"`
	ReplayOf    int64           `json:"replay_of,omitempty"` // the replay that brought it here again

	// Of quarantine.
	Statement    string `json:"statement,omitempty"`
	Column       string `json:"column,omitempty"`
	Path         string `json:"path,omitempty"`
	Position     *int32 `json:"position,omitempty"` // in the payload, from 0
	ExpectedType string `json:"expected_type,omitempty"`
	SQLState     string `json:"sqlstate,omitempty"`
	Message      string `json:"message,omitempty"`

	// Of late rows.
	EventTime   *time.Time `json:"event_time,omitempty"`
	WindowStart *time.Time `json:"window_start,omitempty"`
	WindowEnd   *time.Time `json:"window_end,omitempty"`
	LateSeconds float64    `json:"late_seconds,omitempty"`
	Accepted    bool       `json:"accepted,omitempty"` // other windows have taken it

	// Request is the last thing that was asked of it.
	Request *Request `json:"request,omitempty"`
}

// Truncated tells whether the ledger holds only the beginning of the payload.
func (r *Row) Truncated() bool { return r.PayloadSize > int64(len(r.Payload)) }

// Request is what was asked of a row, and what became of it.
type Request struct {
	ID          int64           `json:"id"`
	State       string          `json:"state"` // requested, applied, refused, void, dropped
	Reason      string          `json:"reason,omitempty"`
	Fault       json.RawMessage `json:"fault,omitempty"`
	Outcome     json.RawMessage `json:"outcome,omitempty"`
	Edited      bool            `json:"edited,omitempty"`
	Payload     Bytes           `json:"payload,omitempty"` // where it was edited
	RequestedBy string          `json:"requested_by"`
	RequestedAt time.Time       `json:"requested_at"`
	AppliedAt   *time.Time      `json:"applied_at,omitempty"`
	Commit      *int64          `json:"commit,omitempty"`
}

// Fault is what is still wrong with a payload that was sent through again.
type Fault struct {
	Cause    string `json:"cause"`
	View     string `json:"view,omitempty"`
	Column   string `json:"column,omitempty"`
	Path     string `json:"path,omitempty"`
	Position *int32 `json:"position,omitempty"`
	Expected string `json:"expected,omitempty"`
	SQLState string `json:"sqlstate,omitempty"`
	Message  string `json:"message"`
}

// Fate is what became of a replayed record in one branch of a view.
type Fate struct {
	View    string `json:"view"`
	Source  int    `json:"source"`
	Fate    string `json:"fate"`
	Reason  string `json:"reason,omitempty"`
	Windows []struct {
		Start     string `json:"start"`
		End       string `json:"end"`
		Corrected bool   `json:"corrected,omitempty"`
	} `json:"windows,omitempty"`
}

// Fates gives what became of the record, view by view.
func (q *Request) Fates() []Fate {
	var out []Fate
	_ = json.Unmarshal(q.Outcome, &out) // absent, or the engine's own
	return out
}
