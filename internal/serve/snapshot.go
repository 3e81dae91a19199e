package serve

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

//go:embed position.sql
var positionSQL string

// position is where a pipeline stands in a snapshot. Texts are as PostgreSQL
// prints them; "" stands for none.
type position struct {
	commit      string
	committedAt string
	watermark   string
	finalBefore string
	finalStart  string
}

// snapshot is a read-only transaction of PostgreSQL: all that is read through
// it is from one instant. It works on the protocol's text form, so that no
// value is decoded on its way.
type snapshot struct {
	conn *pgxpool.Conn
	pg   *pgconn.PgConn
	gone func() // gives the client's place back
}

// open begins a snapshot with times in a zone that PostgreSQL knows. The
// session's settings that decide how values print are set for the transaction,
// whatever the pool's are.
func (s *Server) open(ctx context.Context, zone string) (*snapshot, error) {
	conn, gone, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	n := &snapshot{conn, conn.Conn().PgConn(), gone}
	begin := fmt.Sprintf(`BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
		SET LOCAL search_path = %s;
		SET LOCAL statement_timeout = %d;
		SET LOCAL idle_in_transaction_session_timeout = %d;
		SET LOCAL cursor_tuple_fraction = 1;
		SET LOCAL TimeZone = %s;
		SET LOCAL DateStyle = 'ISO, MDY';
		SET LOCAL IntervalStyle = 'postgres';
		SET LOCAL bytea_output = 'hex';
		SET LOCAL extra_float_digits = 1`,
		catalog.Quote(s.config.Schema), s.config.Limits.StatementTimeout.Milliseconds(), s.config.Limits.AnswerTimeout.Milliseconds(), catalog.Quote(zone))
	if _, err := n.pg.Exec(ctx, begin).ReadAll(); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// acquire takes one of the readers' connections, of which each client has a
// share; gone gives the client's place back, after the connection.
func (s *Server) acquire(ctx context.Context) (conn *pgxpool.Conn, gone func(), err error) {
	wait, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	gone, err = s.gates.reads.enter(wait, callerOf(ctx).client())
	if err != nil && ctx.Err() == nil {
		return nil, nil, problem(503, codeShare, "this client has its share of the database connections in use").hint("ask fewer questions at once")
	}
	if err != nil {
		return nil, nil, err
	}
	conn, err = s.config.Pool.Acquire(wait)
	if err != nil {
		gone()
		if ctx.Err() == nil && errors.Is(wait.Err(), context.DeadlineExceeded) {
			return nil, nil, problem(503, codeUnavailable, "no database connection was free for %s", acquireTimeout).hint("try again; fewer or smaller requests at once help").because(err)
		}
		return nil, nil, err
	}
	return conn, gone, nil
}

// close ends the transaction and gives the connection back; one that is in
// doubt is thrown away by the pool. It may be called again.
func (n *snapshot) close() {
	if n.conn == nil {
		return
	}
	defer n.gone()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := n.pg.Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
		_ = n.conn.Conn().Close(ctx) // the pool drops it
	}
	n.conn.Release()
	n.conn = nil
}

// position reads where the pipeline of a relation stands.
func (n *snapshot) position(ctx context.Context, pipeline string, r *catalog.Relation) (position, error) {
	if r.Pipeline != "" {
		pipeline = r.Pipeline
	}
	view := ""
	if r.Live != nil {
		view = r.Live.View
	}
	views, err := json.Marshal(append([]string{}, r.Views...))
	if err != nil {
		return position{}, err
	}
	var p position
	result := n.pg.ExecParams(ctx, positionSQL, [][]byte{[]byte(pipeline), views, []byte(view)}, nil, nil, nil)
	if result.NextRow() {
		v := result.Values()
		p = position{string(v[0]), string(v[1]), string(v[2]), string(v[3]), string(v[4])}
	}
	_, err = result.Close()
	return p, err
}

const cursor = "millstream_rows"

// declare opens the cursor of a statement.
func (n *snapshot) declare(ctx context.Context, sql string, args [][]byte) error {
	return n.each(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR WITHOUT HOLD FOR "+sql, args, nil)
}

// each runs a statement and gives its rows to take, whose values are valid
// during the call only.
func (n *snapshot) each(ctx context.Context, sql string, args [][]byte, take func(values [][]byte) error) error {
	result := n.pg.ExecParams(ctx, sql, args, unused(sql, args), nil, nil)
	var failed error
	for result.NextRow() {
		if failed = take(result.Values()); failed != nil { // nobody wants the rest: don't read it
			_ = n.pg.Close(ctx)
			break
		}
	}
	if _, err := result.Close(); failed == nil {
		failed = err
	}
	return failed
}

// quotedName and parameter find the parameters of a statement, which are not
// in the names of columns.
var (
	quotedName = regexp.MustCompile(`"(?:[^"]|"")*"`)
	parameter  = regexp.MustCompile(`\$\d+`)
)

// unused declares the parameters as text that a part of a statement does not
// have, like those of the order where rows are only counted: PostgreSQL finds
// the others' types by their casts, and wants to know all.
func unused(sql string, args [][]byte) []uint32 {
	if len(args) == 0 {
		return nil
	}
	types := make([]uint32, len(args))
	for i := range types {
		types[i] = pgtype.TextOID
	}
	for _, name := range parameter.FindAllString(quotedName.ReplaceAllString(sql, ""), -1) {
		if i, err := strconv.Atoi(name[1:]); err == nil && i >= 1 && i <= len(types) {
			types[i-1] = 0 // to be found
		}
	}
	return types
}

// types gives the OIDs of a statement's columns.
func (n *snapshot) types(ctx context.Context, sql string) ([]uint32, error) {
	d, err := n.pg.Prepare(ctx, "", sql, nil)
	if err != nil {
		return nil, err
	}
	types := make([]uint32, len(d.Fields))
	for i, f := range d.Fields {
		types[i] = f.DataTypeOID
	}
	return types, nil
}

// fetch gives the next rows of the cursor, at most count of them, to take,
// whose values are valid during the call only. It gives how many there were.
func (n *snapshot) fetch(ctx context.Context, count int, binary bool, take func(values [][]byte) error) (int, error) {
	formats := []int16{pgx.TextFormatCode}
	if binary {
		formats = []int16{pgx.BinaryFormatCode}
	}
	result := n.pg.ExecParams(ctx, fmt.Sprintf("FETCH FORWARD %d FROM %s", count, cursor), nil, nil, nil, formats)
	rows := 0
	var failed error
	for result.NextRow() {
		rows++
		if failed = take(result.Values()); failed != nil { // nobody wants the rest: don't read it
			_ = n.pg.Close(ctx)
			break
		}
	}
	if _, err := result.Close(); failed == nil {
		failed = err
	}
	return rows, failed
}

// undefined tells that a statement names what is no longer there: the
// catalogue changed since it was read.
func undefined(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "42703" || pg.Code == "42P01")
}
