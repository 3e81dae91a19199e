package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DB is a connection or a pool.
type DB interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// ErrNone tells that the ledger has no such row.
var ErrNone = errors.New("the ledger has no such row")

// Filter chooses rows; what is zero chooses all.
type Filter struct {
	IDs       []int64
	Cause     string
	Table     string // the foreign table
	View      string
	Column    string // at fault, or the path to it
	State     string // as a row's, or "all"; "" is "open"
	Partition *int32
	Since     time.Time // refused at or after it
	Until     time.Time // refused before it
	Before    int64     // ids below it
	Limit     int       // 0: all
}

// from joins a ledger's rows, as q, with what was asked of them last, as s, and
// knows its state.
const from = `
FROM (SELECT l.*, %[2]s AS at_fault FROM millstream.%[1]s AS l) AS q
JOIN millstream.pipelines AS p ON p.name = q.pipeline AND p.build = q.build
LEFT JOIN LATERAL (
    SELECT r.id, r.state, r.reason, r.fault, r.outcome, r.edited, r.payload, r.requested_by, r.requested_at, r.applied_at, r.seq, r.build
    FROM millstream.replays AS r
    WHERE r.pipeline = q.pipeline AND r.ledger = '%[1]s' AND r.foreign_table = q.foreign_table AND r.partition = q.partition AND r."offset" = q."offset"
      AND r.view_name IS NOT DISTINCT FROM q.view_name AND r.source IS NOT DISTINCT FROM q.source%[3]s
    ORDER BY r.id DESC LIMIT 1) AS s ON true
CROSS JOIN LATERAL (SELECT CASE s.state WHEN 'dropped' THEN 'dropped' WHEN 'requested' THEN 'requested'
    WHEN 'applied' THEN CASE WHEN s.build < q.build THEN 'requested' ELSE 'replayed' END ELSE 'open' END AS state) AS st
WHERE q.pipeline = $1
  AND ($2::int8[] IS NULL OR q.id = ANY ($2))
  AND ($3 = '' OR q.cause = $3)
  AND ($4 = '' OR q.foreign_table = $4)
  AND ($5 = '' OR q.view_name = $5)
  AND ($6 = '' OR q.at_fault = $6)
  AND ($7 = 'all' OR st.state = $7)
  AND ($8::int4 IS NULL OR q.partition = $8)
  AND ($9::timestamptz IS NULL OR q.refused_at >= $9)
  AND ($10::timestamptz IS NULL OR q.refused_at < $10)
  AND ($11::int8 = 0 OR q.id < $11)`

func (n Name) from() string {
	if n == Quarantine {
		return fmt.Sprintf(from, n, "coalesce(column_name, json_path, '')", "")
	}
	return fmt.Sprintf(from, n, "''::text", " AND r.window_start = q.window_start")
}

// args are the parameters of from.
func (f *Filter) args(pipeline string) []any {
	state := f.State
	if state == "" {
		state = Open
	}
	moment := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		return t
	}
	return []any{pipeline, f.IDs, f.Cause, f.Table, f.View, f.Column, state, f.Partition, moment(f.Since), moment(f.Until), f.Before}
}

const rowColumns = `q.id, st.state, q.cause, q.foreign_table, q.topic, q.partition, q."offset", q.record_timestamp, coalesce(q.view_name, ''), q.source,
    q.key, q.headers, q.payload, coalesce(q.payload_size, 0), q.refused_at, q.seq, coalesce(q.replay_id, 0),
    s.id, coalesce(s.state, ''), coalesce(s.reason, ''), s.fault, s.outcome, coalesce(s.edited, false), s.payload, coalesce(s.requested_by, ''), s.requested_at, s.applied_at, s.seq`

func (n Name) columns() string {
	if n == Quarantine {
		return rowColumns + `, q.statement, coalesce(q.column_name, ''), coalesce(q.json_path, ''), q.byte_position, coalesce(q.expected_type, ''), coalesce(q.sqlstate, ''), q.message`
	}
	return rowColumns + `, q.event_time, q.window_start, q.window_end, extract(epoch FROM q.late_by)::float8, q.accepted`
}

// Each gives the rows that a filter chooses, newest first, one by one.
func (n Name) Each(ctx context.Context, db DB, pipeline string, f Filter, each func(*Row) error) error {
	sql := "SELECT " + n.columns() + n.from() + " ORDER BY q.id DESC"
	if f.Limit > 0 {
		sql += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	rows, err := db.Query(ctx, sql, f.args(pipeline)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := n.scan(rows)
		if err != nil {
			return err
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// List gives the rows that a filter chooses, newest first.
func (n Name) List(ctx context.Context, db DB, pipeline string, f Filter) ([]*Row, error) {
	list := []*Row{}
	err := n.Each(ctx, db, pipeline, f, func(r *Row) error {
		list = append(list, r)
		return nil
	})
	return list, err
}

// Get gives one row; ErrNone if it is not there.
func (n Name) Get(ctx context.Context, db DB, pipeline string, id int64) (*Row, error) {
	list, err := n.List(ctx, db, pipeline, Filter{IDs: []int64{id}, State: "all"})
	if err == nil && len(list) == 0 {
		err = ErrNone
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

func (n Name) scan(row pgx.Rows) (*Row, error) {
	r, q := &Row{}, &Request{}
	var request *int64
	var at *time.Time
	to := []any{&r.ID, &r.State, &r.Cause, &r.Table, &r.Topic, &r.Partition, &r.Offset, &r.Timestamp, &r.View, &r.Source,
		(*[]byte)(&r.Key), &r.Headers, (*[]byte)(&r.Payload), &r.PayloadSize, &r.RefusedAt, &r.Commit, &r.ReplayOf,
		&request, &q.State, &q.Reason, &q.Fault, &q.Outcome, &q.Edited, (*[]byte)(&q.Payload), &q.RequestedBy, &at, &q.AppliedAt, &q.Commit}
	if n == Quarantine {
		to = append(to, &r.Statement, &r.Column, &r.Path, &r.Position, &r.ExpectedType, &r.SQLState, &r.Message)
	} else {
		to = append(to, &r.EventTime, &r.WindowStart, &r.WindowEnd, &r.LateSeconds, &r.Accepted)
	}
	if err := row.Scan(to...); err != nil {
		return nil, err
	}
	if request != nil {
		q.ID, q.RequestedAt = *request, at.UTC()
		if !q.Edited {
			q.Payload = nil
		}
		r.Request = q
	}
	r.Timestamp, r.RefusedAt = r.Timestamp.UTC(), r.RefusedAt.UTC()
	for _, t := range []*time.Time{r.EventTime, r.WindowStart, r.WindowEnd, q.AppliedAt} {
		if t != nil {
			*t = t.UTC()
		}
	}
	return r, nil
}

// Count tells how many rows a filter chooses.
func (n Name) Count(ctx context.Context, db DB, pipeline string, f Filter) (count int64, err error) {
	err = db.QueryRow(ctx, "SELECT count(*)"+n.from(), f.args(pipeline)...).Scan(&count)
	return count, err
}

// Cause is why rows are in a ledger, and how many of them.
type Cause struct {
	Rows     int64     `json:"rows"`
	Cause    string    `json:"cause"`
	Table    string    `json:"table"`
	View     string    `json:"view,omitempty"`
	Column   string    `json:"column,omitempty"` // or the path
	SQLState string    `json:"sqlstate,omitempty"`
	NewestID int64     `json:"newest_id"`
	NewestAt time.Time `json:"newest_at"`
	Message  string    `json:"message,omitempty"` // of the newest
	// Of late rows: by how much half of them, and the worst, were late.
	MedianSeconds float64 `json:"median_late_seconds,omitempty"`
	MostSeconds   float64 `json:"most_late_seconds,omitempty"`
}

// Causes groups the rows that a filter chooses, the most frequent cause first.
func (n Name) Causes(ctx context.Context, db DB, pipeline string, f Filter) ([]Cause, error) {
	own := "coalesce(q.sqlstate, ''), (array_agg(q.message ORDER BY q.id DESC))[1], 0::float8, 0::float8"
	by := "2, 3, 4, 5, 8"
	if n == Late {
		own = "'', '', extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY q.late_by))::float8, extract(epoch FROM max(q.late_by))::float8"
		by = "2, 3, 4, 5"
	}
	rows, err := db.Query(ctx, "SELECT count(*), q.cause, q.foreign_table, coalesce(q.view_name, ''), q.at_fault, max(q.id), max(q.refused_at), "+own+
		n.from()+" GROUP BY "+by+" ORDER BY 1 DESC, 6 DESC", f.args(pipeline)...)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Cause, err error) {
		err = row.Scan(&c.Rows, &c.Cause, &c.Table, &c.View, &c.Column, &c.NewestID, &c.NewestAt, &c.SQLState, &c.Message, &c.MedianSeconds, &c.MostSeconds)
		c.NewestAt = c.NewestAt.UTC()
		return c, err
	})
	return append([]Cause{}, list...), err
}

// Mark gives a payload's text with the place of a fault between ⟦ and ⟧: the
// JSON value that begins there, or the byte. Without a place, or where it is not
// text, marked is false.
func Mark(payload []byte, position *int32) (text string, marked bool) {
	if position == nil || int(*position) > len(payload) || *position < 0 {
		return string(payload), false
	}
	from := int(*position)
	to := from + valueLength(payload[from:])
	return string(payload[:from]) + "⟦" + string(payload[from:to]) + "⟧" + string(payload[to:]), true
}

// valueLength is how long the JSON value at the front is; at least a byte, where
// there is one.
func valueLength(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	if b[0] == '"' {
		for i := 1; i < len(b); i++ {
			switch b[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(b)
	}
	if i := strings.IndexAny(string(b), ",}] \t\r\n"); i > 0 {
		return i
	}
	return 1
}
