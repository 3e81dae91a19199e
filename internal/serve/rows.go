package serve

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/serve/catalog"
	"github.com/millstream-dev/millstream/internal/serve/filter"
)

// Headers of answers from tables.
const (
	// headerCommit is the number of the last commit that the answer shows.
	headerCommit = "Millstream-Commit"
	// headerWatermark is the event time up to which the answer is complete:
	// the least watermark of the views that it comes from.
	headerWatermark = "Millstream-Watermark"
)

// rows answers GET /v1/tables/{name}.
func (s *Server) rows(w http.ResponseWriter, r *http.Request, name string) error {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	q, fault := filter.Parse(r.URL.RawQuery)
	if fault != nil {
		return queryProblem(fault)
	}
	state, err := s.catalog.Get(ctx)
	if err != nil {
		return sqlProblem(err)
	}
	a, err := s.answer(ctx, r, state, name, q)
	if retryable(err) {
		// The name or what it stands for is not what the last reading says.
		if state, err = s.catalog.Again(ctx); err != nil {
			return sqlProblem(err)
		}
		a, err = s.answer(ctx, r, state, name, q)
	}
	if err != nil {
		return asProblem(err)
	}
	defer a.snapshot.close()
	return s.stream(ctx, w, r, a)
}

// answer is an answer that is ready to be read.
type answer struct {
	snapshot *snapshot
	position position
	format   *format
	columns  []string
}

// answer opens a snapshot and the cursor of the request's statement in it.
func (s *Server) answer(ctx context.Context, r *http.Request, state *catalog.State, name string, q *filter.Query) (_ *answer, err error) {
	relation, f, fault := find(state, name, r.Header.Get("Accept"))
	if fault != nil {
		return nil, fault
	}
	n, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	a := &answer{snapshot: n, format: f}
	if state.Commits {
		if a.position, err = n.position(ctx, s.config.Name, relation); err != nil {
			return nil, err
		}
	}
	st, fault := build(relation, q, a.position)
	if fault != nil {
		return nil, fault
	}
	a.columns = st.columns
	return a, n.declare(ctx, f.wrap(st), st.args)
}

// find gives the relation and the format of a path's last part: a name, or a
// name with the suffix of a format.
func find(state *catalog.State, name, accept string) (*catalog.Relation, *format, *Problem) {
	if r := state.Relation(name); r != nil {
		f, err := negotiate(accept)
		return r, f, err
	}
	for _, f := range formats {
		if bare, ok := strings.CutSuffix(name, f.suffix); ok {
			if r := state.Relation(bare); r != nil {
				return r, f, nil
			}
			name = bare
			break
		}
	}
	p := problem(http.StatusNotFound, codeTable, "there is no table or view %q", name)
	if close := diag.Closest(name, state.Names()); close != "" {
		return nil, nil, p.hint("did you mean %q?", close)
	}
	return nil, nil, p.hint("GET /v1/tables lists them")
}

// retryable tells failures that a newer reading of the catalogue may cure.
func retryable(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		return p.Code == codeTable || p.Code == codeColumn
	}
	return undefined(err)
}

func asProblem(err error) error {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return sqlProblem(err)
}

// stream sends an answer's rows. A failure before the first byte has left is
// answered with a problem; after it the connection is cut, so that nobody
// takes the part for the whole.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, a *answer) error {
	h := w.Header()
	h.Set("Content-Type", a.format.contentType)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Vary", "Accept, Authorization")
	if a.position.commit != "" {
		h.Set(headerCommit, a.position.commit)
	}
	if a.position.watermark != "" {
		h.Set(headerWatermark, a.position.watermark)
	}
	out := newSpool(w)
	err := a.pump(ctx, r, out)
	if err == nil {
		err = out.finish(r)
	}
	if err == nil {
		return nil
	}
	if out.streaming {
		if ctx.Err() == nil {
			s.config.Log.Warn("answer cut off", "path", r.URL.Path, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	h.Del(headerCommit)
	h.Del(headerWatermark)
	return sqlProblem(err)
}

// pump moves rows from the cursor into the spool, and adapts the size of
// fetches to the size of rows.
func (a *answer) pump(ctx context.Context, r *http.Request, out *spool) error {
	out.buf = a.format.head(out.buf, a.columns)
	first, count := true, firstFetch
	for {
		bytes := 0
		n, err := a.snapshot.fetch(ctx, count, func(values [][]byte) error {
			before := len(out.buf)
			out.buf = a.format.row(out.buf, values, first)
			bytes += len(out.buf) - before
			first = false
			if out.full() {
				return out.write()
			}
			return nil
		})
		if err != nil {
			return err
		}
		if n < count {
			break
		}
		if out.streaming {
			if err := out.write(); err != nil {
				return err
			}
			if r.Method == http.MethodHead {
				return nil
			}
		}
		count = max(1, min(maxFetch, fetchBytes/max(1, bytes/n)))
	}
	out.buf = a.format.tail(out.buf)
	return nil
}
