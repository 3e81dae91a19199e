package postgres

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/plan"
)

// partitionDoc is one element of commits.partitions.
type partitionDoc struct {
	Table     string `json:"table"`
	Server    string `json:"server"`
	Topic     string `json:"topic"`
	TopicID   string `json:"topic_id"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
	// What of it was lost, as somebody has accepted.
	Lost      []lostDoc `json:"lost,omitempty"`
	Watermark string    `json:"watermark"`
	IdleSince *string   `json:"idle_since"`
	// When the last record, and the one with the greatest event time, were
	// read (read_at: or since when one is waited for): a restart goes on counting how long the partition has been quiet.
	ReadAt     *string `json:"read_at,omitempty"`
	GreatestAt *string `json:"greatest_at,omitempty"`
}

// lostDoc is a range of offsets: from, up to to, which is not one of them.
type lostDoc struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// viewDoc is one element of commits.views.
type viewDoc struct {
	View        string `json:"view"`
	Watermark   string `json:"watermark"`
	Floor       string `json:"floor"`
	FinalBefore string `json:"final_before"`
	FinalStart  string `json:"final_start"`
	RowsOut     int64  `json:"rows_out"`
	OpenWindows int64  `json:"open_windows"`
	OpenGroups  int64  `json:"open_groups"`
	// Left out where nothing waits to be closed or to expire.
	Decided      *string `json:"decided,omitempty"`
	Closed       *string `json:"closed,omitempty"`
	ClosedGroups int64   `json:"closed_groups,omitempty"`
	Expiring     bool    `json:"expiring,omitempty"`
	// Left out while nothing of closed windows was forgotten.
	ForgottenEnd   *string `json:"forgotten_end,omitempty"`
	ForgottenStart *string `json:"forgotten_start,omitempty"`

	Inputs []inputDoc `json:"inputs"`
}

// inputDoc is one element of a view's inputs.
type inputDoc struct {
	Source      int    `json:"source"`
	Table       string `json:"table"`
	Partition   int32  `json:"partition"`
	Read        int64  `json:"read"`
	Accepted    int64  `json:"accepted"`
	Filtered    int64  `json:"filtered"`
	Late        int64  `json:"late"`
	Quarantined int64  `json:"quarantined"`
	Skipped     int64  `json:"skipped"`
}

// partitionDocs is commits.partitions of a commit.
func partitionDocs(p *plan.Pipeline, progress []engine.PartitionProgress) ([]byte, error) {
	docs := make([]partitionDoc, len(progress))
	for i, r := range progress {
		topic := p.Topics[r.Table]
		docs[i] = partitionDoc{
			Table: topic.Name, Server: topic.Server, Topic: topic.Topic, TopicID: hex.EncodeToString(r.TopicID[:]),
			Partition: r.Partition, From: r.From, To: r.To, Watermark: timeText(r.Watermark),
		}
		if r.Lost != (engine.OffsetRange{}) {
			docs[i].Lost = []lostDoc{{r.Lost.From, r.Lost.To}}
		}
		docs[i].IdleSince, docs[i].ReadAt, docs[i].GreatestAt = wallText(r.IdleSince), wallText(r.ReadAt), wallText(r.GreatestAt)
	}
	return json.Marshal(docs)
}

// wallText is a wall time as text, nil for none.
func wallText(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := timeText(storedTime(t))
	return &text
}

// viewDocs is commits.views of a commit. expiring are the views of which more
// rows may be due to expire than it has deleted.
func viewDocs(p *plan.Pipeline, views []engine.ViewProgress, expiring []engine.ViewID) ([]byte, error) {
	docs := make([]viewDoc, len(views))
	for i, v := range views {
		view := p.Views[v.View]
		docs[i] = viewDoc{
			View: view.Name, Watermark: timeText(v.Watermark), Floor: timeText(v.Floor),
			FinalBefore: timeText(v.FinalBefore), FinalStart: timeText(finalStart(view, v.FinalBefore)),
			RowsOut: v.RowsOut, OpenWindows: v.OpenWindows, OpenGroups: v.OpenGroups,
			Decided: textUnless(v.Decided, v.Watermark), Closed: textUnless(v.Closed, v.Floor), ClosedGroups: v.ClosedGroups,
			Expiring:     v.Expiring || slices.Contains(expiring, v.View),
			ForgottenEnd: textUnless(v.Forgotten.End, column.NegativeInfinity), ForgottenStart: textUnless(v.Forgotten.Start, column.NegativeInfinity),
			Inputs: make([]inputDoc, len(v.Inputs)),
		}
		for j, in := range v.Inputs {
			docs[i].Inputs[j] = inputDoc{
				Source: in.Source, Table: p.Topics[in.Table].Name, Partition: in.Partition, Read: in.Read,
				Accepted: in.Accepted, Filtered: in.Filtered, Late: in.Late, Quarantined: in.Quarantined, Skipped: in.Skipped,
			}
		}
	}
	return json.Marshal(docs)
}

// finalStart is the start of the first window that is not final: windows of
// one length, or that do not overlap, end in the order of their starts, so
// those that end at or before finalBefore are those that start before the
// first window that holds it.
func finalStart(view *plan.View, finalBefore int64) int64 {
	if view.Window == nil || finalBefore == column.NegativeInfinity || finalBefore == column.Infinity {
		return finalBefore
	}
	start, ok := window.First(view.Window.Assigner, finalBefore)
	if !ok {
		return column.NegativeInfinity
	}
	return start
}

// textUnless is a time as text, nil where it is the usual one.
func textUnless(t, usual int64) *string {
	if t == usual {
		return nil
	}
	text := timeText(t)
	return &text
}

// storableTime brings a computed time (a watermark is an event time less a
// delay) into the range that PostgreSQL takes: what is before it is before
// everything.
func storableTime(stored int64) int64 {
	switch {
	case datum.ValidTimestamp(stored):
		return stored
	case stored < 0:
		return column.NegativeInfinity
	}
	return column.Infinity
}

// timeText is a stored timestamp as PostgreSQL prints a timestamptz.
func timeText(stored int64) string {
	v := column.Vector{Type: column.Of(column.Timestamptz), Null: []bool{false}, Int: []int64{storableTime(stored)}}
	return string(datum.Append(nil, &v, 0))
}

// storedTime is a wall time as a stored timestamp.
func storedTime(t time.Time) int64 { return t.UnixMicro() + column.UnixEpochMicros }

// stored is a timestamptz that was read, NULL as -infinity.
func stored(t pgtype.Timestamptz) int64 {
	switch {
	case !t.Valid || t.InfinityModifier == pgtype.NegativeInfinity:
		return column.NegativeInfinity
	case t.InfinityModifier == pgtype.Infinity:
		return column.Infinity
	}
	return storedTime(t.Time)
}

// lateBy is how long after its window's end a row came, in microseconds. Both
// times are within PostgreSQL's range, so the difference fits; 0 for a row
// that says to be late and can't be.
func lateBy(r *engine.LateRow) int64 {
	passed := max(r.Watermark, r.Floor)
	if !datum.ValidTimestamp(passed) || !datum.ValidTimestamp(r.WindowEnd) {
		return 0
	}
	return passed - r.WindowEnd
}

// tableNames finds a plan's foreign tables and views by name.
type tableNames struct {
	topics map[string]engine.TableID
	views  map[string]engine.ViewID
}

func namesOf(p *plan.Pipeline) tableNames {
	n := tableNames{map[string]engine.TableID{}, map[string]engine.ViewID{}}
	for i, t := range p.Topics {
		n.topics[t.Name] = engine.TableID(i)
	}
	for i, v := range p.Views {
		n.views[v.Name] = engine.ViewID(i)
	}
	return n
}

func (n tableNames) topic(name string) (engine.TableID, error) {
	id, ok := n.topics[name]
	if !ok {
		return 0, fmt.Errorf("the last commits are of a foreign table %q, which the file does not have", name)
	}
	return id, nil
}

func (n tableNames) view(name string) (engine.ViewID, error) {
	id, ok := n.views[name]
	if !ok {
		return 0, fmt.Errorf("the last commits are of a materialized view %q, which the file does not have", name)
	}
	return id, nil
}
