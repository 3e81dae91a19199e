package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

// Limits of statements.
const (
	// maxSQLBytes is the longest statement: a request's header has 32 KiB.
	maxSQLBytes = 16 << 10
	// maxQueryRows bounds the rows of an answer, and maxQueryBytes its size: it
	// is held back until it is known whether that is all.
	maxQueryRows  = 10_000
	maxQueryBytes = 4 << 20
	// maxQueryMessage is the longest row that is taken from PostgreSQL.
	maxQueryMessage = 16 << 20
	// maxQueries bounds the statements that run at once: the pool's other
	// connections are for tables.
	maxQueries = 4
	// queryTimeout bounds a request's statements together; each of them has
	// statementTimeout.
	queryTimeout = 15 * time.Second
	// queryTempKB bounds what a statement writes to temporary files, where the
	// server's role may say so.
	queryTempKB = 256 << 10
	// anyMessage is the longest message of PostgreSQL's protocol, as pgx has it.
	anyMessage = 0x3fffffff - 1
)

// headerTruncated tells that an answer is not whole: "rows" or "bytes", after
// the limit that was met.
const headerTruncated = "Millstream-Truncated"

// asking is a request for a statement's rows.
type asking struct {
	sql    string
	params []string
	limit  int
}

// query answers GET /v1/query.
func (s *Server) query(w http.ResponseWriter, r *http.Request) error {
	if s.queries.role.name == NoQueries {
		return problem(http.StatusNotFound, codeNotFound, "this server takes no statements").hint("query.role is off")
	}
	a, fault := askedQuery(r)
	if fault != nil {
		return fault
	}
	f, fault := negotiate(r.Header.Get("Accept"))
	if fault != nil {
		return fault
	}
	q, fault := parseQuery(a.sql)
	if fault != nil {
		return fault
	}
	if q.params > len(a.params) {
		return refused(0, "the statement has the parameter $%d, and the request %d values", q.params, len(a.params)).hint("give each value as param=…, in order")
	}
	release, fault := s.queryRoom(r.Context())
	if fault != nil {
		return fault
	}
	defer release()
	out, err := s.runQuery(r, a, q, f)
	if err != nil {
		return asProblem(err)
	}
	return out.send(w, r)
}

func askedQuery(r *http.Request) (*asking, *Problem) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem(http.StatusBadRequest, codeInvalid, "the query string is not well encoded")
	}
	for name, v := range values {
		switch {
		case name != "sql" && name != "param" && name != "limit":
			return nil, badOption(name, "unknown parameter %q", printable(name)).hint("there are sql, param and limit")
		case name != "param" && len(v) > 1:
			return nil, badOption(name, "the parameter %s is given %d times", name, len(v)).hint("give it once")
		}
	}
	a := &asking{sql: values.Get("sql"), params: values["param"], limit: maxQueryRows}
	switch {
	case strings.TrimSpace(a.sql) == "":
		return nil, badOption("sql", "there is no statement").hint("give one as sql=SELECT…")
	case len(a.sql) > maxSQLBytes:
		p := problem(http.StatusRequestURITooLong, codeTooLong, "the statement is longer than %d bytes", maxSQLBytes)
		p.Parameter = "sql"
		return nil, p.hint("make a view of it in the pipeline file")
	case !utf8.ValidString(r.URL.RawQuery) || !utf8.ValidString(a.sql) || strings.ContainsRune(a.sql, 0):
		return nil, badOption("sql", "the statement is not UTF-8 text")
	}
	for _, v := range a.params {
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return nil, badOption("param", "a value is not UTF-8 text")
		}
	}
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxQueryRows {
			return nil, badOption("limit", "limit is %q", printable(text)).hint("it is a number up to %d", maxQueryRows)
		}
		a.limit = n
	}
	return a, nil
}

// queries is what statements of clients share.
type queries struct {
	role  queryRole
	slots chan struct{}
}

func newQueries(role string) *queries {
	if role == "" {
		role = DefaultQueryRole
	}
	return &queries{role: queryRole{name: role}, slots: make(chan struct{}, maxQueries)}
}

func (s *Server) queryRoom(ctx context.Context) (func(), *Problem) {
	patience := time.NewTimer(acquireTimeout)
	defer patience.Stop()
	select {
	case s.queries.slots <- struct{}{}:
		return func() { <-s.queries.slots }, nil
	case <-ctx.Done():
		return nil, problem(http.StatusServiceUnavailable, codeUnavailable, "too many statements at once").because(ctx.Err())
	case <-patience.C:
		return nil, problem(http.StatusTooManyRequests, codeBusy, "%d statements run already", maxQueries).hint("try again a little later")
	}
}

// queried is an answer that is ready to be sent.
type queried struct {
	format    *format
	position  position
	body      []byte
	truncated string
}

func (q *queried) send(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", q.format.contentType)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Vary", "Accept, Authorization")
	q.position.headers(h)
	if q.truncated != "" {
		h.Set(headerTruncated, q.truncated)
	}
	out := newSpool(w)
	out.buf = q.body
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	return out.finish(r)
}

// runQuery runs a statement as the query role in a read-only transaction.
func (s *Server) runQuery(r *http.Request, a *asking, q *parsedQuery, f *format) (_ *queried, err error) {
	// The statements end with the client, but by PostgreSQL's cancellation: a
	// context that ends would only drop the connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), queryTimeout)
	defer cancel()
	state, err := s.catalog.Get(ctx)
	if err != nil {
		return nil, err
	}
	relations, fault := q.reads(state, s.config.Schema)
	if fault != nil && fault.Code == codeTable {
		if state, err = s.catalog.Again(ctx); err != nil {
			return nil, err
		}
		relations, fault = q.reads(state, s.config.Schema)
	}
	if fault != nil {
		return nil, fault
	}
	if err := s.queries.role.ready(ctx, s.config.Pool, s.config.Schema, state); err != nil {
		return nil, err
	}
	n, err := s.open(ctx, "UTC")
	if err != nil {
		return nil, err
	}
	defer n.close()
	release := n.cancelledBy(r.Context())
	defer release()
	out := &queried{format: f}
	if state.Commits {
		if out.position, err = n.position(ctx, s.config.Name, readBy(relations)); err != nil {
			return nil, err
		}
	}
	if err := n.calls(ctx, q, s.config.Schema); err != nil {
		return nil, err
	}
	if err := n.become(ctx, s.queries.role.name, s.config.Schema); err != nil {
		return nil, err
	}
	err = n.read(ctx, out, a, q)
	if r.Context().Err() != nil {
		return nil, problem(http.StatusServiceUnavailable, codeUnavailable, "the client has gone").because(context.Cause(r.Context()))
	}
	return out, err
}

// readBy stands for relations together: what is known of their views.
func readBy(relations []*catalog.Relation) *catalog.Relation {
	all := &catalog.Relation{}
	for _, r := range relations {
		all.Views = append(all.Views, r.Views...)
		if r.Pipeline != "" {
			all.Pipeline = r.Pipeline
		}
	}
	return all
}

// cancelledBy has PostgreSQL cancel what runs when the client goes. The
// connection is then not used again: the cancellation may come late.
func (n *snapshot) cancelledBy(client context.Context) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(client, func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), acquireTimeout)
		defer cancel()
		_ = n.pg.CancelRequest(ctx) // otherwise the statement's time limit ends it
	})
	return func() {
		if !stop() {
			<-done
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = n.pg.Close(ctx)
		}
	}
}

// become takes on the role, and the settings under which a text means to
// PostgreSQL what it has meant to its parser here. PostgreSQL's own names come
// first, temporary ones last.
func (n *snapshot) become(ctx context.Context, role, schema string) error {
	sql := fmt.Sprintf(`SELECT set_config('temp_file_limit', '%dkB', true) WHERE has_parameter_privilege(session_user, 'temp_file_limit', 'SET');
		SET LOCAL standard_conforming_strings = on;
		SET LOCAL search_path = pg_catalog, %s, pg_temp;
		SET LOCAL ROLE %s`, queryTempKB, catalog.Quote(schema), catalog.Quote(role))
	_, err := n.pg.Exec(ctx, sql).ReadAll()
	return err
}

// read runs the statement and writes its rows.
func (n *snapshot) read(ctx context.Context, out *queried, a *asking, q *parsedQuery) error {
	n.pg.Frontend().SetMaxBodyLen(maxQueryMessage)
	defer n.pg.Frontend().SetMaxBodyLen(anyMessage)
	args := make([][]byte, q.params)
	for i := range args {
		args[i] = []byte(a.params[i])
	}
	if q.explain {
		return n.explain(ctx, out, q, args)
	}
	d, err := n.pg.Prepare(ctx, "", q.sql, nil)
	if err != nil {
		return locateSQL(err)
	}
	st, types, fault := described(d.Fields)
	if fault != nil {
		return fault
	}
	var list string
	if out.format.described == nil {
		list, types = out.format.list(st), nil
	} else {
		list = out.format.described(st, types)
	}
	// A line's end before the bracket: the statement may end with a comment.
	sql := "SELECT " + list + " FROM (" + q.sql + "\n) AS r LIMIT " + strconv.Itoa(a.limit+1)
	if err := n.declare(ctx, sql, args); err != nil {
		return locateSQL(err)
	}
	enc := out.format.encoder(st.columns(), types)
	if out.body, err = enc.head(out.body); err != nil {
		return err
	}
	rows := 0
	for out.truncated == "" {
		got, err := n.fetch(ctx, firstFetch, out.format.described != nil, func(values [][]byte) (err error) {
			switch {
			case out.truncated != "":
			case rows == a.limit:
				out.truncated = "rows"
			case rows > 0 && len(out.body) > maxQueryBytes:
				out.truncated = "bytes"
			default:
				rows++
				out.body, err = enc.row(out.body, values)
			}
			return err
		})
		if err != nil {
			return locateSQL(err)
		}
		if got < firstFetch {
			break
		}
	}
	if out.format.single && rows != 1 {
		return notOne(int64(rows))
	}
	out.body, err = enc.tail(out.body)
	return err
}

// jsonLine is an object of one member.
func jsonLine(name string, value []byte) []byte {
	line := datum.AppendJSONString([]byte{'{'}, []byte(name))
	return append(datum.AppendJSONString(append(line, ':'), value), '}')
}

// described makes of a statement's columns what formats list.
func described(fields []pgconn.FieldDescription) (*statement, []uint32, *Problem) {
	if len(fields) == 0 || len(fields) > maxColumns {
		return nil, nil, refused(0, "the statement gives %d columns", len(fields)).hint("give 1 to %d", maxColumns)
	}
	st := &statement{}
	types := make([]uint32, len(fields))
	names := map[string]bool{}
	for i, f := range fields {
		if names[f.Name] {
			return nil, nil, refused(0, "two columns are called %q", f.Name).hint("name them with AS")
		}
		names[f.Name] = true
		st.outputs = append(st.outputs, output{name: f.Name, boolean: f.DataTypeOID == pgtype.BoolOID})
		types[i] = f.DataTypeOID
	}
	return st, types, nil
}

// explain writes a plan, a line to a row.
func (n *snapshot) explain(ctx context.Context, out *queried, q *parsedQuery, args [][]byte) (err error) {
	const name = "QUERY PLAN"
	enc := out.format.encoder([]string{name}, []uint32{pgtype.TextOID})
	if out.body, err = enc.head(out.body); err != nil {
		return err
	}
	err = n.each(ctx, q.sql, args, func(values [][]byte) (err error) {
		if out.format.described != nil || out.format == csvFormat { // else a row is one JSON text
			out.body, err = enc.row(out.body, values)
			return err
		}
		out.body, err = enc.row(out.body, [][]byte{jsonLine(name, values[0])})
		return err
	})
	if err != nil {
		return locateSQL(err)
	}
	out.body, err = enc.tail(out.body)
	return err
}

// locateSQL adds to a failure its place in the statement.
func locateSQL(err error) error {
	var pg *pgconn.PgError
	var long *pgproto3.ExceededMaxBodyLenErr
	switch {
	case errors.As(err, &long):
		return refused(0, "a row is longer than %d bytes", maxQueryMessage).hint("select less of it")
	case !errors.As(err, &pg):
		return err
	}
	p := sqlProblem(err)
	p.Parameter = "sql"
	if pg.Code == "57014" {
		p.Hint = "narrow it, or make a materialized view of it"
	}
	p.Position = int(pg.Position)
	return p
}

func (s *Server) queryRoutes() {
	op := huma.Operation{
		Method: http.MethodGet, Path: "/v1/query", OperationID: "query", Tags: []string{"tables"},
		Summary:     "Rows of a statement",
		Description: "One SELECT, VALUES, or EXPLAIN of these, over the tables and views of the pipeline's schema, in a read-only transaction of a role that may read these alone.",
		Parameters: []*huma.Param{
			{Name: "sql", In: "query", Required: true, Description: "The statement.", Schema: text(), Example: "SELECT 1 AS one"},
			{Name: "param", In: "query", Description: "The values of $1, $2, …, in order.", Schema: &huma.Schema{Type: "array", Items: text()}},
			{Name: "limit", In: "query", Description: "Rows at most.", Schema: count(maxQueryRows)},
		},
		Responses: rowsResponses(&huma.Schema{Type: "object"}),
		Errors:    []int{400, 401, 403, 404, 406, 414, 422, 429, 503, 504},
	}
	delete(op.Responses, "206")
	huma.Register(s.api, op, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(c huma.Context) {
			r, w := humago.Unwrap(c)
			if err := s.query(w, r); err != nil {
				s.fail(w, r, err)
			}
		}}, nil
	})
}
