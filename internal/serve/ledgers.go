package serve

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/postgres/ledger"
)

var (
	//go:embed ledger_causes.sql
	quarantineCausesSQL string
	//go:embed ledger_quarantine.sql
	quarantineSQL string
	//go:embed ledger_late_causes.sql
	lateCausesSQL string
	//go:embed ledger_late.sql
	lateSQL string
)

// ledgerCounted is how many of the newest rows of a ledger are counted by
// cause: counting all of a large one would take longer than a statement may.
const ledgerCounted = 100_000

// Cause is why rows of a ledger are there, and how many of them.
type Cause struct {
	Cause         string    `json:"cause"`
	Table         string    `json:"table" doc:"The foreign table."`
	View          string    `json:"view,omitempty" doc:"The view that refused them; absent where every view of the table lacks them."`
	Field         string    `json:"field,omitempty" doc:"The column or JSON path at fault."`
	SQLState      string    `json:"sqlstate,omitempty"`
	Rows          int64     `json:"rows" doc:"Among the newest 100,000."`
	NewestID      int64     `json:"newest_id"`
	NewestAt      time.Time `json:"newest_at"`
	Message       string    `json:"message,omitempty" doc:"Of the newest row."`
	MedianSeconds float64   `json:"median_late_seconds,omitempty" doc:"Of late rows: by how much half of them were late at most."`
	MostSeconds   float64   `json:"most_late_seconds,omitempty" doc:"Of late rows: by how much the latest was."`
}

// Refused is what all rows of the ledgers have.
type Refused struct {
	ID          int64           `json:"id"`
	Table       string          `json:"table" doc:"The foreign table."`
	Topic       string          `json:"topic"`
	Partition   int32           `json:"partition"`
	Offset      int64           `json:"offset"`
	Timestamp   time.Time       `json:"timestamp" doc:"Kafka's, of the record."`
	View        string          `json:"view,omitempty"`
	Cause       string          `json:"cause"`
	Key         Bytes           `json:"key"`
	Headers     json.RawMessage `json:"headers,omitempty"`
	Payload     Bytes           `json:"payload" doc:"Up to a limit; null for a tombstone."`
	PayloadSize int64           `json:"payload_size" doc:"Of the whole payload."`
	RefusedAt   time.Time       `json:"refused_at"`
	Commit      int64           `json:"commit" doc:"The commit that wrote the row."`
	State       string          `json:"state" enum:"open,requested,replayed,dropped" doc:"requested: a replay waits for the engine."`
	ReplayOf    int64           `json:"replay_of,omitempty" doc:"The request that brought the record here again."`
	Request     *LedgerRequest  `json:"request,omitempty" doc:"What was asked of the row last."`
}

// LedgerRequest is what was asked of a row of a ledger, and what became of it.
type LedgerRequest struct {
	ID          int64        `json:"id"`
	State       string       `json:"state" enum:"requested,applied,refused,void,dropped"`
	Reason      string       `json:"reason,omitempty"`
	RequestedAt time.Time    `json:"requested_at"`
	AppliedAt   *time.Time   `json:"applied_at,omitempty"`
	Fates       []LedgerFate `json:"fates" doc:"What became of the record in each view."`
}

// LedgerFate is what became of a replayed record in a view.
type LedgerFate struct {
	View   string `json:"view"`
	Fate   string `json:"fate" enum:"accepted,filtered,late,quarantined"`
	Reason string `json:"reason,omitempty"`
}

// Quarantined is a record that could not be decoded or evaluated.
type Quarantined struct {
	Refused
	Statement    string `json:"statement,omitempty" doc:"That refused it."`
	Column       string `json:"column,omitempty"`
	Path         string `json:"path,omitempty" doc:"The JSON path of the value at fault."`
	Position     *int32 `json:"position,omitempty" doc:"The byte of the payload where the fault is, from 0."`
	ExpectedType string `json:"expected_type,omitempty"`
	SQLState     string `json:"sqlstate,omitempty"`
	Message      string `json:"message"`
}

// LateRow is a record that a window refused.
type LateRow struct {
	Refused
	EventTime   time.Time  `json:"event_time"`
	WindowStart time.Time  `json:"window_start"`
	WindowEnd   time.Time  `json:"window_end"`
	Watermark   *time.Time `json:"watermark,omitempty" doc:"The partition's, when the record was met."`
	Floor       *time.Time `json:"floor,omitempty" doc:"The view's, of the commit before."`
	LateSeconds float64    `json:"late_seconds"`
}

type ledgerAnswer[R any] struct {
	Causes []Cause `json:"causes" doc:"The newest 100,000 rows by cause, most frequent first."`
	Rows   []R     `json:"rows" doc:"Newest first."`
}

type ledgerInput struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Rows at most."`
	Before int64  `query:"before" minimum:"0" doc:"Rows with a smaller id only: the next page."`
	Cause  string `query:"cause" doc:"Rows of this cause only."`
	Of     string `query:"of" doc:"Rows of this foreign table only; of late rows, of this view."`
}

func (s *Server) ledgerRoutes() {
	registerLedger(s, huma.Operation{Path: "/v1/quarantine", OperationID: "quarantine",
		Summary: "Records that could not be decoded or evaluated, and why"}, ledger.Quarantine, quarantineCausesSQL, scanCause, quarantineSQL, scanQuarantined, func(q *Quarantined) *Refused { return &q.Refused })
	registerLedger(s, huma.Operation{Path: "/v1/late", OperationID: "late",
		Summary: "Records that came after their window had closed"}, ledger.Late, lateCausesSQL, scanLateCause, lateSQL, scanLate, func(l *LateRow) *Refused { return &l.Refused })
	s.askRoutes(ledger.Quarantine, "/v1/quarantine")
	s.askRoutes(ledger.Late, "/v1/late")
}

// registerLedger registers the reading of a ledger.
func registerLedger[R any](s *Server, op huma.Operation, name ledger.Name, causesSQL string, cause func(pgx.CollectableRow) (Cause, error), rowsSQL string, row func(pgx.CollectableRow) (R, error), common func(*R) *Refused) {
	op.Method, op.Tags, op.Errors = http.MethodGet, []string{"ledgers"}, []int{401, 503, 504}
	type output struct {
		CacheControl string `header:"Cache-Control"`
		Body         ledgerAnswer[R]
	}
	huma.Register(s.api, op, func(ctx context.Context, in *ledgerInput) (*output, error) {
		n, err := s.open(ctx, "UTC")
		if err != nil {
			return nil, s.report(op, err)
		}
		defer n.close()
		out := &output{CacheControl: "no-store", Body: ledgerAnswer[R]{Causes: []Cause{}, Rows: []R{}}}
		causes, err := collectRows(ctx, n, cause, causesSQL, s.config.Name, ledgerCounted)
		if err != nil {
			return nil, s.report(op, err)
		}
		rows, err := collectRows(ctx, n, row, rowsSQL, s.config.Name, in.Before, in.Cause, in.Of, in.Limit)
		if err != nil {
			return nil, s.report(op, err)
		}
		shown := make([]*Refused, len(rows))
		for i := range rows {
			shown[i] = common(&rows[i])
		}
		if err := withStates(ctx, n, s.config.Name, name, shown); err != nil {
			return nil, s.report(op, err)
		}
		out.Body.Causes, out.Body.Rows = append(out.Body.Causes, causes...), append(out.Body.Rows, rows...)
		return out, nil
	})
}

func collectRows[R any](ctx context.Context, n *snapshot, take func(pgx.CollectableRow) (R, error), sql string, args ...any) ([]R, error) {
	rows, err := n.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, take)
}

func scanCause(row pgx.CollectableRow) (c Cause, err error) {
	err = row.Scan(&c.Cause, &c.Table, &c.View, &c.Field, &c.SQLState, &c.Rows, &c.NewestID, &c.NewestAt, &c.Message)
	c.NewestAt = c.NewestAt.UTC()
	return c, err
}

func scanLateCause(row pgx.CollectableRow) (c Cause, err error) {
	err = row.Scan(&c.Cause, &c.Table, &c.View, &c.Rows, &c.NewestID, &c.NewestAt, &c.MedianSeconds, &c.MostSeconds)
	c.NewestAt = c.NewestAt.UTC()
	return c, err
}

func scanQuarantined(row pgx.CollectableRow) (q Quarantined, err error) {
	err = row.Scan(&q.ID, &q.Table, &q.Topic, &q.Partition, &q.Offset, &q.Timestamp, &q.View, &q.Cause,
		&q.Statement, &q.Column, &q.Path, &q.Position, &q.ExpectedType,
		&q.SQLState, &q.Message, (*[]byte)(&q.Key), &q.Headers, (*[]byte)(&q.Payload), &q.PayloadSize, &q.RefusedAt, &q.Commit)
	q.utc()
	return q, err
}

func scanLate(row pgx.CollectableRow) (l LateRow, err error) {
	err = row.Scan(&l.ID, &l.Table, &l.Topic, &l.Partition, &l.Offset, &l.Timestamp, &l.View, &l.Cause,
		&l.EventTime, &l.WindowStart, &l.WindowEnd, &l.Watermark, &l.Floor,
		&l.LateSeconds, (*[]byte)(&l.Key), &l.Headers, (*[]byte)(&l.Payload), &l.PayloadSize, &l.RefusedAt, &l.Commit)
	l.utc()
	for _, t := range []*time.Time{&l.EventTime, &l.WindowStart, &l.WindowEnd, l.Watermark, l.Floor} {
		if t != nil {
			*t = t.UTC()
		}
	}
	return l, err
}

func (r *Refused) utc() { r.Timestamp, r.RefusedAt = r.Timestamp.UTC(), r.RefusedAt.UTC() }
