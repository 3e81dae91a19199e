package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// What comes of asking for something.
const (
	Asked        = "requested"    // the engine takes it up
	Already      = "already"      // it was asked for, or done, before: nothing changes
	Done         = "dropped"      // by Drop
	NotPossible  = "not possible" // see Detail
	maxWaitPause = 200 * time.Millisecond
)

// Answer is what comes of asking for something for one row.
type Answer struct {
	ID     int64  `json:"id"` // of the ledger's row
	Answer string `json:"answer"`
	Detail string `json:"detail,omitempty"`
	// Request is the one that stands now, 0 if there is none.
	Request int64 `json:"request,omitempty"`
}

// chosen is a row that something is asked of.
type chosen struct {
	id          int64
	state       string
	size, held  int64
	none        bool // no payload is kept
	several     bool // its record is late for other windows, too
	request     int64
	requestedAt *time.Time
	reason      string
}

const chosenColumns = `q.id, st.state, coalesce(q.payload_size, 0), coalesce(octet_length(q.payload), 0), q.payload IS NULL, %s, coalesce(s.id, 0), s.requested_at, coalesce(s.reason, '')`

func (n Name) choose(ctx context.Context, db DB, pipeline string, f Filter) ([]chosen, error) {
	several := "false"
	if n == Late {
		several = `(SELECT count(*) > 1 FROM millstream.late_rows AS o WHERE (o.pipeline, o.build, o.view_name, o.foreign_table, o.partition, o."offset", o.source)
			= (q.pipeline, q.build, q.view_name, q.foreign_table, q.partition, q."offset", q.source)) OR q.accepted`
	}
	rows, err := db.Query(ctx, "SELECT "+fmt.Sprintf(chosenColumns, several)+n.from()+" ORDER BY q.id", f.args(pipeline)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c chosen, err error) {
		err = row.Scan(&c.id, &c.state, &c.size, &c.held, &c.none, &c.several, &c.request, &c.requestedAt, &c.reason)
		return c, err
	})
}

const (
	requestSQL = `
INSERT INTO millstream.replays (pipeline, ledger, ledger_id, foreign_table, server, topic, partition, "offset", view_name, source, window_start, record_timestamp, key, headers, payload, edited, state, reason)
SELECT q.pipeline, '%[1]s', q.id, q.foreign_table, q.server, q.topic, q.partition, q."offset", q.view_name, q.source, %[2]s, q.record_timestamp, q.key, q.headers,
       CASE WHEN e.payload IS NULL THEN q.payload ELSE e.payload END, e.payload IS NOT NULL AND e.payload IS DISTINCT FROM q.payload, $4, nullif($5, '')
FROM millstream.%[1]s AS q JOIN unnest($2::int8[], $3::bytea[]) AS e (id, payload) ON e.id = q.id
WHERE q.pipeline = $1 ORDER BY q.id
ON CONFLICT DO NOTHING
RETURNING ledger_id, id`

	restoreSQL = `
DELETE FROM millstream.replays AS r USING millstream.%[1]s AS q
WHERE q.pipeline = $1 AND q.id = ANY ($2) AND r.state = 'dropped' AND r.pipeline = q.pipeline AND r.ledger = '%[1]s' AND r.foreign_table = q.foreign_table
  AND r.partition = q.partition AND r."offset" = q."offset" AND r.view_name IS NOT DISTINCT FROM q.view_name AND r.source IS NOT DISTINCT FROM q.source%[2]s`
)

func (n Name) window() (value, same string) {
	if n == Late {
		return "q.window_start", " AND r.window_start = q.window_start"
	}
	return "NULL::timestamptz", ""
}

// Replay asks for the rows that a filter chooses to be sent through again, with
// their payloads as they were or, by id, as edited. A dropped row that is chosen
// by its id is taken up again.
func (n Name) Replay(ctx context.Context, db DB, pipeline string, f Filter, edited map[int64][]byte) ([]Answer, error) {
	if f.IDs != nil {
		f.State = "all"
	}
	rows, err := n.choose(ctx, db, pipeline, f)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(rows))
	var ids, dropped []int64
	var payloads [][]byte
	for i, c := range rows {
		payload, edits := edited[c.id]
		if answers[i] = n.judge(&c, edits); answers[i].Answer != Asked {
			continue
		}
		if c.state == Dropped {
			dropped = append(dropped, c.id)
		}
		ids, payloads = append(ids, c.id), append(payloads, payload)
	}
	if len(dropped) > 0 {
		_, same := n.window()
		if _, err := db.Exec(ctx, fmt.Sprintf(restoreSQL, n, same), pipeline, dropped); err != nil {
			return nil, err
		}
	}
	return n.ask(ctx, db, pipeline, answers, f, ids, payloads, "requested", "")
}

// judge tells whether a replay of a row can be asked for.
func (n Name) judge(c *chosen, edits bool) Answer {
	a := Answer{ID: c.id, Answer: NotPossible}
	switch {
	case c.state == Requested:
		a.Answer, a.Detail, a.Request = Already, "it was asked for at "+moment(c.requestedAt), c.request
	case c.state == Replayed:
		a.Answer, a.Detail, a.Request = Already, "it was replayed, as asked for at "+moment(c.requestedAt), c.request
	case edits && c.several:
		a.Detail = "its record is in several windows, and has to count the same in each: it can be replayed as it was only"
	case !edits && c.none:
		a.Detail = "the ledger has no payload of it: give one"
	case !edits && c.size > c.held:
		a.Detail = fmt.Sprintf("the ledger has %d of the payload's %d bytes: give it whole", c.held, c.size)
	default:
		a.Answer = Asked
	}
	return a
}

func moment(t *time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z07:00") }

// ask enters requests, and completes the answers.
func (n Name) ask(ctx context.Context, db DB, pipeline string, answers []Answer, f Filter, ids []int64, payloads [][]byte, state, reason string) ([]Answer, error) {
	value, _ := n.window()
	rows, err := db.Query(ctx, fmt.Sprintf(requestSQL, n, value), pipeline, ids, payloads, state, reason)
	if err != nil {
		return nil, err
	}
	made := map[int64]int64{}
	var row, request int64
	if _, err := pgx.ForEachRow(rows, []any{&row, &request}, func() error {
		made[row] = request
		return nil
	}); err != nil {
		return nil, err
	}
	met := map[int64]bool{}
	for i := range answers {
		a := &answers[i]
		met[a.ID] = true
		if a.Answer != Asked && a.Answer != Done {
			continue
		}
		if a.Request = made[a.ID]; a.Request == 0 {
			a.Answer, a.Detail = Already, "somebody else has just asked for it"
		}
	}
	for _, id := range f.IDs {
		if !met[id] {
			answers = append(answers, Answer{ID: id, Answer: NotPossible, Detail: ErrNone.Error()})
		}
	}
	return answers, nil
}

// Drop marks the rows that a filter chooses as not to be sent through again, for
// a reason. They stay in the ledger, since they are counted.
func (n Name) Drop(ctx context.Context, db DB, pipeline string, f Filter, reason string) ([]Answer, error) {
	if f.IDs != nil {
		f.State = "all"
	}
	rows, err := n.choose(ctx, db, pipeline, f)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(rows))
	var ids []int64
	var payloads [][]byte
	for i, c := range rows {
		answers[i] = Answer{ID: c.id, Answer: Done}
		switch c.state {
		case Requested:
			answers[i] = Answer{ID: c.id, Answer: NotPossible, Detail: "a replay of it was asked for at " + moment(c.requestedAt), Request: c.request}
		case Replayed:
			answers[i] = Answer{ID: c.id, Answer: NotPossible, Detail: "it was replayed, as asked for at " + moment(c.requestedAt), Request: c.request}
		case Dropped:
			answers[i] = Answer{ID: c.id, Answer: Already, Detail: "it was dropped at " + moment(c.requestedAt) + ": " + c.reason, Request: c.request}
		default:
			ids, payloads = append(ids, c.id), append(payloads, nil)
		}
	}
	return n.ask(ctx, db, pipeline, answers, f, ids, payloads, "dropped", reason)
}

// Sign says who has asked, where the session's user does not tell: of what
// answers have just entered, in the same transaction.
func Sign(ctx context.Context, db DB, answers []Answer, who string) error {
	var ids []int64
	for _, a := range answers {
		if a.Answer == Asked || a.Answer == Done {
			ids = append(ids, a.Request)
		}
	}
	_, err := db.Exec(ctx, "UPDATE millstream.replays SET requested_by = $2 WHERE id = ANY ($1)", ids, who)
	return err
}

// BySpark tells whether a pipeline is one that Spark runs: replays of its rows
// would wait for ever.
func BySpark(ctx context.Context, db DB, pipeline string) (spark bool, err error) {
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM millstream.spark_commits WHERE pipeline = $1) AND NOT EXISTS (SELECT FROM millstream.commits WHERE pipeline = $1)`, pipeline).Scan(&spark)
	return spark, err
}

// Settled gives requests by id, and whether none of them waits any more.
func Settled(ctx context.Context, db DB, pipeline string, ids []int64) (list []Request, all bool, err error) {
	rows, err := db.Query(ctx, `
SELECT r.id, r.state, coalesce(r.reason, ''), r.fault, r.outcome, r.edited, r.requested_by, r.requested_at, r.applied_at, r.seq
FROM millstream.replays AS r WHERE r.pipeline = $1 AND r.id = ANY ($2) ORDER BY r.id`, pipeline, ids)
	if err != nil {
		return nil, false, err
	}
	list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (q Request, err error) {
		err = row.Scan(&q.ID, &q.State, &q.Reason, &q.Fault, &q.Outcome, &q.Edited, &q.RequestedBy, &q.RequestedAt, &q.AppliedAt, &q.Commit)
		return q, err
	})
	all = true
	for _, q := range list {
		all = all && q.State != "requested"
	}
	return list, all, err
}

// Wait waits until the engine has settled requests, and gives them as they
// stand when it has, or when ctx ends.
func Wait(ctx context.Context, db DB, pipeline string, ids []int64) ([]Request, error) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, maxWaitPause) {
		list, all, err := Settled(context.WithoutCancel(ctx), db, pipeline, ids)
		if err != nil || all || ctx.Err() != nil {
			return list, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}
