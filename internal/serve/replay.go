package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/postgres/ledger"
)

// replayRow is a row to be sent through again.
type replayRow struct {
	ID      int64           `json:"id" minimum:"1" doc:"Of the ledger's row."`
	Payload json.RawMessage `json:"payload,omitempty" doc:"To send instead: a string, an object {\"base64\": …} of bytes that are no text, or another JSON value, which stands for its own text. Absent or null: the payload as it was."`
}

type replayInput struct {
	Body struct {
		Rows []replayRow `json:"rows" minItems:"1" maxItems:"10000"`
	}
}

type dropInput struct {
	Body struct {
		IDs    []int64 `json:"ids" minItems:"1" maxItems:"10000" doc:"Of the ledger's rows."`
		Reason string  `json:"reason" minLength:"1" maxLength:"1000" doc:"Kept with the rows."`
	}
}

// Asked is what comes of asking for something for a row of a ledger.
type Asked struct {
	ID      int64  `json:"id"`
	Answer  string `json:"answer" enum:"requested,dropped,already,not possible" doc:"already: it was asked for, or done, before, and nothing changes."`
	Detail  string `json:"detail,omitempty"`
	Request int64  `json:"request,omitempty" doc:"The request that stands."`
}

type askedOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Rows []Asked `json:"rows"`
	}
}

// askRoutes registers what is asked of a ledger's rows.
func (s *Server) askRoutes(name ledger.Name, path string) {
	operation := func(verb string, status int, summary, description string) huma.Operation {
		return huma.Operation{Method: http.MethodPost, Path: path + "/" + verb, OperationID: verb + "-" + path[len("/v1/"):], Summary: summary, Description: description,
			Tags: []string{"ledgers"}, MaxBodyBytes: s.config.Limits.BodyBytes, DefaultStatus: status, Errors: []int{400, 401, 403, 409, 413, 415, 422, 503, 504}}
	}
	replay := operation("replay", http.StatusAccepted, "Send rows of the ledger through again", "The engine takes them up within a second, once each, whatever crashes meanwhile. What became of a row stands with it, as `request`.")
	huma.Register(s.api, replay, func(ctx context.Context, in *replayInput) (*askedOutput, error) {
		f, edited := ledger.Filter{IDs: []int64{}}, map[int64][]byte{}
		for _, r := range in.Body.Rows {
			f.IDs = append(f.IDs, r.ID)
			if len(r.Payload) == 0 || string(r.Payload) == "null" {
				continue
			}
			var payload ledger.Bytes
			if err := json.Unmarshal(r.Payload, &payload); err != nil {
				return nil, s.report(replay, problem(422, codeInvalid, "row %d: %s", r.ID, err).hint("write a payload as a string, or as {\"base64\": …}"))
			}
			edited[r.ID] = payload
		}
		return s.ask(ctx, replay, func(db ledger.DB) ([]ledger.Answer, error) {
			spark, err := ledger.BySpark(ctx, db, s.config.Name)
			if err == nil && spark {
				err = problem(http.StatusConflict, codeSparkReplays, "pipeline %q is run by Spark, which does not take up replays", s.config.Name).hint("the native engine does")
			}
			if err != nil {
				return nil, err
			}
			return name.Replay(ctx, db, s.config.Name, f, edited)
		})
	})
	drop := operation("drop", http.StatusOK, "Put rows of the ledger aside, with a reason", "They stay in the ledger, since counts are compared with it. A replay takes a dropped row up again.")
	huma.Register(s.api, drop, func(ctx context.Context, in *dropInput) (*askedOutput, error) {
		return s.ask(ctx, drop, func(db ledger.DB) ([]ledger.Answer, error) {
			return name.Drop(ctx, db, s.config.Name, ledger.Filter{IDs: in.Body.IDs}, in.Body.Reason)
		})
	})
}

// ask does something in a transaction of its own, in the name of who calls.
func (s *Server) ask(ctx context.Context, op huma.Operation, do func(db ledger.DB) ([]ledger.Answer, error)) (*askedOutput, error) {
	wait, cancel := context.WithTimeout(ctx, s.config.Limits.StatementTimeout)
	defer cancel()
	conn, gone, err := s.acquire(wait)
	if err != nil {
		return nil, s.report(op, err)
	}
	defer gone()
	defer conn.Release()
	out := &askedOutput{CacheControl: "no-store"}
	out.Body.Rows = []Asked{}
	err = pgx.BeginFunc(wait, conn, func(tx pgx.Tx) error {
		answers, err := do(tx)
		if err != nil {
			return err
		}
		for _, a := range answers {
			out.Body.Rows = append(out.Body.Rows, Asked(a))
		}
		if who := callerOf(ctx).principal; who != nil && who.name != "" {
			return ledger.Sign(wait, tx, answers, "key "+who.name)
		}
		return nil
	})
	if err != nil {
		return nil, s.report(op, askProblem(err))
	}
	return out, nil
}

// askProblem says what a failure means to who asks: unlike reading, it writes.
func askProblem(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	switch p = sqlProblem(err); p.SQLState {
	case "42501": // insufficient_privilege
		p.Hint = "GRANT SELECT, INSERT, UPDATE, DELETE ON millstream.replays to the role that the server connects as"
	case "25006": // read_only_sql_transaction
		p = problem(http.StatusServiceUnavailable, codeUnavailable, "the server's database takes no writes").hint("ask the server of a process that is connected to the primary").because(err)
	}
	return p
}

// withStates adds to rows of a ledger in which state they are, and what was asked
// of them last.
func withStates(ctx context.Context, n *snapshot, pipeline string, name ledger.Name, rows []*Refused) error {
	if len(rows) == 0 {
		return nil
	}
	byID := map[int64]*Refused{}
	f := ledger.Filter{IDs: []int64{}, State: "all"}
	for _, r := range rows {
		byID[r.ID] = r
		f.IDs = append(f.IDs, r.ID)
	}
	return name.Each(ctx, n.conn, pipeline, f, func(r *ledger.Row) error {
		to := byID[r.ID]
		to.State, to.ReplayOf = r.State, r.ReplayOf
		if q := r.Request; q != nil {
			to.Request = &LedgerRequest{ID: q.ID, State: q.State, Reason: q.Reason, RequestedAt: q.RequestedAt, AppliedAt: q.AppliedAt, Fates: []LedgerFate{}}
			for _, f := range q.Fates() {
				to.Request.Fates = append(to.Request.Fates, LedgerFate{View: f.View, Fate: f.Fate, Reason: f.Reason})
			}
		}
		return nil
	})
}
