package serve

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

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
	ctx, cancel := context.WithTimeout(r.Context(), s.config.Limits.AnswerTimeout)
	defer cancel()
	q, fault := filter.Parse(r.URL.RawQuery)
	if fault != nil {
		return queryProblem(fault)
	}
	wish, err := s.prefer(ctx, r)
	if err != nil {
		return err
	}
	state, err := s.catalog.Get(ctx)
	if err != nil {
		return sqlProblem(err)
	}
	for again, placed := false, false; ; {
		a, err := s.answer(ctx, r, state, name, q, wish)
		if retryable(err) && !again {
			// The name or what it stands for is not what the last reading says.
			again = true
			if state, err = s.catalog.Again(ctx); err != nil {
				return sqlProblem(err)
			}
			continue
		}
		if err != nil {
			return asProblem(err)
		}
		if err = s.stream(ctx, w, a, placed); !errors.Is(err, errNoPlace) {
			return err
		}
		// It waits for its place without a connection, and begins anew.
		leave, err := s.export(ctx)
		if err != nil {
			return err
		}
		defer leave()
		placed = true
	}
}

// errNoPlace tells that an answer turns out to be one that streams, and has no
// place among those.
var errNoPlace = errors.New("no place among the answers that stream")

// answer is an answer that is ready to be read.
type answer struct {
	request   *http.Request
	wish      *preferences
	snapshot  *snapshot
	position  position
	format    *format
	statement *statement
	types     []uint32 // of the columns, for formats in binary
	total     int64    // rows that the page is a part of; -1: not counted

	rows int64    // that were written
	keys [][]byte // of the last of them, if pages have cursors
	more bool     // there are rows after it
}

// answer opens a snapshot and the cursor of the request's statement in it.
func (s *Server) answer(ctx context.Context, r *http.Request, state *catalog.State, name string, q *filter.Query, wish *preferences) (_ *answer, err error) {
	relation, f, fault := find(state, name, r.Header.Get("Accept"))
	if fault != nil {
		return nil, fault
	}
	part, ranged, fault := askedPage(q, r)
	if fault != nil {
		return nil, fault
	}
	if most := s.config.Limits.Rows; most > 0 && (part.limit == nil || *part.limit > most) {
		part.limit = &most
	}
	zone := wish.zone
	if zone == "" {
		zone = "UTC"
	}
	n, err := s.open(ctx, zone)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	a := &answer{request: r, wish: wish, snapshot: n, format: f, total: -1}
	if state.Commits {
		if a.position, err = n.position(ctx, s.config.Name, relation); err != nil {
			return nil, err
		}
	}
	if a.statement, fault = build(relation, q, a.position, part); fault != nil {
		return nil, fault
	}
	if f.single {
		two := int64(2) // enough to see that it is not one
		if l := a.statement.page.limit; l == nil || *l > two {
			a.statement.page.limit = &two
		}
	}
	l := a.statement.page.limit
	a.statement.paged = a.statement.keys != nil && l != nil && *l > 0 && !ranged && !f.single
	if err := a.declare(ctx); err != nil {
		return nil, a.statement.locate(err)
	}
	return a, nil
}

// declare counts, if that is asked for, and opens the cursor.
func (a *answer) declare(ctx context.Context) (err error) {
	st := a.statement
	if a.total, err = a.snapshot.total(ctx, st, a.wish.count); err != nil {
		return err
	}
	if a.wish.count == countExact && st.page.offset > a.total {
		return beyondEnd(st.page.offset, a.total)
	}
	var list string
	if a.format.described == nil {
		list = a.format.list(st)
	} else {
		if a.types, err = a.snapshot.types(ctx, st.all()); err != nil {
			return err
		}
		list = a.format.described(st, a.types)
	}
	return a.snapshot.declare(ctx, st.rows(list), st.args)
}

// badParameter is what PostgreSQL's context says when it can't read one.
var badParameter = regexp.MustCompile(`portal parameter \$(\d+)`)

// locate adds to a failure the place of the value that PostgreSQL refuses.
func (st *statement) locate(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	m := badParameter.FindStringSubmatch(pg.Where)
	if m == nil {
		return err
	}
	if n, fault := strconv.Atoi(m[1]); fault == nil && n >= 1 && n <= len(st.places) {
		return sqlProblem(err).at(st.places[n-1])
	}
	return err
}

// find gives the relation and the format of a path's last part: a name, or a
// name with the suffix of a format.
func find(state *catalog.State, name, accept string) (*catalog.Relation, *format, *Problem) {
	if r := state.Relation(name); r != nil {
		f, err := negotiate(accept)
		return r, f, err
	}
	for _, f := range formats {
		if bare, ok := strings.CutSuffix(name, f.suffix); ok && f.suffix != "" {
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
// takes the part for the whole. placed tells that it has its place among those
// that stream.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, a *answer, placed bool) error {
	defer a.snapshot.close() // also when the answer is cut off, which panics
	h := w.Header()
	h.Set("Content-Type", a.format.contentType)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Vary", "Accept, Authorization, Prefer, Range")
	a.position.headers(h)
	if a.wish.applied != nil {
		h.Set(headerApplied, strings.Join(a.wish.applied, ", "))
	}
	out := newSpool(w)
	out.pace.patience = s.config.Limits.WriteTimeout
	out.admit = func() error {
		if !placed {
			return errNoPlace
		}
		return nil
	}
	err := a.pump(ctx, out)
	if err == nil && a.format.single && a.rows != 1 {
		err = notOne(a.rows)
	}
	if err == nil {
		if !out.streaming {
			a.describe(h, out, a.rows)
			a.snapshot.close() // the client may take its time
		}
		err = out.finish(a.request)
	}
	if err == nil {
		return nil
	}
	if out.streaming {
		if ctx.Err() == nil {
			s.config.Log.Warn("answer cut off", "path", a.request.URL.Path, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	if errors.Is(err, errNoPlace) {
		return err
	}
	for _, name := range []string{headerCommit, headerWatermark, headerApplied} {
		h.Del(name)
	}
	return asProblem(err)
}

// headers tells the position.
func (p position) headers(h http.Header) {
	if p.commit != "" {
		h.Set(headerCommit, p.commit)
	}
	if p.watermark != "" {
		h.Set(headerWatermark, p.watermark)
	}
}

// notOne is the answer to a client that wants one row.
func notOne(rows int64) *Problem {
	many := "none"
	if rows > 1 {
		many = "several"
	}
	return problem(http.StatusNotAcceptable, codeSingle, "one row is asked for, and there are %s", many).hint("narrow the filters to one row, or accept application/json")
}

// describe sets what is known of the page: its rows (-1: not yet), and where
// the next one begins.
func (a *answer) describe(h http.Header, out *spool, rows int64) {
	p := a.statement.page
	if rows < 0 && a.wish.count == countExact {
		rows = a.total - p.offset
		if p.limit != nil {
			rows = min(rows, *p.limit)
		}
	}
	if rows >= 0 || a.total >= 0 {
		p.rangeHeader(h, rows, a.total)
	}
	if rows >= 0 {
		out.status = p.status(rows, a.total)
	}
	if a.more {
		h.Set("Link", nextLink(a.request, a.statement.cursor(a.keys)))
	}
}

// pump moves rows from the cursor into the spool, and adapts the size of
// fetches to the size of rows.
func (a *answer) pump(ctx context.Context, out *spool) (err error) {
	columns := a.statement.columns()
	enc := a.format.encoder(columns, a.types)
	if out.buf, err = enc.head(out.buf); err != nil {
		return err
	}
	count := firstFetch
	if a.statement.paged {
		count = firstFetchPaged
	}
	for {
		bytes := 0
		n, err := a.snapshot.fetch(ctx, count, a.format.described != nil, func(values [][]byte) error {
			for _, v := range values {
				bytes += len(v)
			}
			return a.take(out, enc, values)
		})
		if err != nil {
			return err
		}
		if n < count {
			break
		}
		if out.streaming || out.full() {
			if err := a.flush(ctx, out); err != nil {
				return err
			}
			if a.request.Method == http.MethodHead {
				return nil
			}
		}
		count = max(1, min(maxFetch, fetchBytes/max(1, bytes/n)))
	}
	out.buf, err = enc.tail(out.buf)
	return err
}

// take encodes one row. What is paged is sent between fetches only, since the
// connection is needed to see where the next page begins.
func (a *answer) take(out *spool, enc encoder, values [][]byte) (err error) {
	if st := a.statement; st.paged {
		if a.rows == *st.page.limit {
			a.more = true
			return nil
		}
		own := len(values) - len(st.keys)
		if !out.streaming {
			a.keep(values[own:])
		}
		values = values[:own]
	}
	a.rows++
	if out.buf, err = enc.row(out.buf, values); err != nil || !out.full() {
		return err
	}
	if !out.streaming {
		if a.statement.paged {
			return nil
		}
		a.describe(out.w.Header(), out, -1)
	}
	return out.stream()
}

// keep remembers the keys of the last row.
func (a *answer) keep(keys [][]byte) {
	if a.keys == nil {
		a.keys = make([][]byte, len(keys))
	}
	for i, k := range keys {
		if k == nil {
			a.keys[i] = nil
			continue
		}
		a.keys[i] = append(a.keys[i][:0], k...)
		if a.keys[i] == nil {
			a.keys[i] = []byte{}
		}
	}
}

// flush sends what there is, before it the header if it has not been sent:
// the link to the next page stands there, so its keys are looked up.
func (a *answer) flush(ctx context.Context, out *spool) error {
	if !out.streaming {
		if st := a.statement; st.paged {
			a.keys = nil
			rows := 0
			err := a.snapshot.each(ctx, st.last(), st.args, func(values [][]byte) error {
				if rows++; rows == 1 {
					a.keep(values)
				}
				return nil
			})
			if err != nil {
				return err
			}
			a.more = rows == 2
		}
		a.describe(out.w.Header(), out, -1)
	}
	return out.stream()
}
