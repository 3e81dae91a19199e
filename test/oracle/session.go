package oracle

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// session is the one connection that everything happens on: its temporary
// tables go with it.
type session struct {
	conn          *pgx.Conn
	caseCollation string
}

// settings fix what the meaning of text and times depends on. Joins here are
// large on both sides, and a wrong guess at their size must not make one that
// never ends. All that is written is temporary: no commit need wait for disk.
const settings = `
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET search_path = pg_catalog;
SET statement_timeout = 0;
SET client_min_messages = warning;
SET temp_buffers = '64MB';
SET work_mem = '64MB';
SET jit = off;
SET synchronous_commit = off;
SET enable_nestloop = off;
`

func openSession(ctx context.Context, url string) (*session, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	s := &session{conn: conn}
	if err := s.exec(ctx, settings+endFunction+";"+tryFunction); err != nil {
		conn.Close(ctx)
		return nil, err
	}
	err = conn.QueryRow(ctx, `
		SELECT coalesce((SELECT collname FROM pg_collation
			WHERE collname IN ('C.utf8', 'C.UTF-8', 'pg_c_utf8') AND collencoding IN (-1, 6)
			ORDER BY collname LIMIT 1), 'default')`).Scan(&s.caseCollation)
	if err != nil {
		conn.Close(ctx)
		return nil, fmt.Errorf("find the collation C.UTF-8: %w", err)
	}
	return s, nil
}

func (s *session) close() { s.conn.Close(context.Background()) }

func (s *session) finish(sql string) string {
	return strings.ReplaceAll(sql, caseCollation, ident(s.caseCollation))
}

// exec runs statements that have no parameters.
func (s *session) exec(ctx context.Context, sql string) error {
	if _, err := s.conn.PgConn().Exec(ctx, s.finish(sql)).ReadAll(); err != nil {
		return fmt.Errorf("%w in: %s", err, clip(sql))
	}
	return nil
}

func (s *session) count(ctx context.Context, sql string) (int64, error) {
	var n int64
	if err := s.conn.QueryRow(ctx, s.finish(sql)).Scan(&n); err != nil {
		return 0, fmt.Errorf("%w in: %s", err, clip(sql))
	}
	return n, nil
}

// field is a column of a query's result.
type field struct {
	name string
	oid  uint32
}

func (s *session) describe(ctx context.Context, sql string) ([]field, error) {
	d, err := s.conn.PgConn().Prepare(ctx, "", s.finish(sql), nil)
	if err != nil {
		return nil, fmt.Errorf("%w in: %s", err, clip(sql))
	}
	out := make([]field, len(d.Fields))
	for i, f := range d.Fields {
		out[i] = field{f.Name, f.DataTypeOID}
	}
	return out, nil
}

// rows gives a query's result as texts; NULL is "NULL".
func (s *session) rows(ctx context.Context, sql string, args ...any) ([][]string, error) {
	rows, err := s.conn.Query(ctx, s.finish(sql), append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("%w in: %s", err, clip(sql))
	}
	defer rows.Close()
	var out [][]string
	for rows.Next() {
		raw := rows.RawValues()
		line := make([]string, len(raw))
		for i, v := range raw {
			line[i] = "NULL"
			if v != nil {
				line[i] = string(v)
			}
		}
		out = append(out, line)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%w in: %s", err, clip(sql))
	}
	return out, nil
}

// tryFunction runs statements for each number in turn, each number by itself,
// and gives those that fail with the place of the statement that failed.
const tryFunction = `
CREATE FUNCTION pg_temp.ms__try(statements text[], numbers bigint[])
RETURNS TABLE (number bigint, statement integer, code text, message text) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH number IN ARRAY numbers LOOP
		BEGIN
			FOR i IN 1 .. array_length(statements, 1) LOOP
				statement := i;
				EXECUTE statements[i] USING number;
			END LOOP;
		EXCEPTION WHEN OTHERS THEN
			code := SQLSTATE;
			message := SQLERRM;
			RETURN NEXT;
		END;
	END LOOP;
END $$`

// failure is a number for which a statement failed.
type failure struct {
	number    int64
	statement int
	code      string
	message   string
}

func (s *session) try(ctx context.Context, statements []string, numbers []int64) ([]failure, error) {
	finished := make([]string, len(statements))
	for i := range statements {
		finished[i] = s.finish(statements[i])
	}
	rows, err := s.conn.Query(ctx, `SELECT number, statement, code, message FROM pg_temp.ms__try($1, $2)`, finished, numbers)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (failure, error) {
		var f failure
		err := r.Scan(&f.number, &f.statement, &f.code, &f.message)
		return f, err
	})
}

// singleLimit is the length of a range that is gone through one by one:
// halving further costs more.
const singleLimit = 32

// ranged is work over a range of numbers that fails as a whole when it fails
// for one.
type ranged struct {
	run    func(ctx context.Context, from, to int64) error
	single []string // the same for the one number $1
}

// statement is ranged work by one statement with $1 and $2 for the ends.
func (s *session) statement(sql string) ranged {
	return ranged{
		run: func(ctx context.Context, from, to int64) error {
			if _, err := s.conn.Exec(ctx, s.finish(sql), from, to); err != nil {
				return fmt.Errorf("%w in: %s", err, clip(sql))
			}
			return nil
		},
		single: []string{strings.ReplaceAll(sql, "$2", "$1")},
	}
}

// bisect does the work for [from, to], ends included. Where it fails the
// range is halved until the numbers that fail are found; the work is done for
// all others.
func (s *session) bisect(ctx context.Context, work ranged, from, to int64) ([]failure, error) {
	if from > to {
		return nil, nil
	}
	err := work.run(ctx, from, to)
	if err == nil {
		return nil, nil
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || ctx.Err() != nil {
		return nil, err
	}
	if to-from < singleLimit {
		numbers := make([]int64, 0, singleLimit)
		for n := from; n <= to; n++ {
			numbers = append(numbers, n)
		}
		return s.try(ctx, work.single, numbers)
	}
	middle := from + (to-from)/2
	left, err := s.bisect(ctx, work, from, middle)
	if err != nil {
		return nil, err
	}
	right, err := s.bisect(ctx, work, middle+1, to)
	return append(left, right...), err
}

func ident(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// clip bounds the statement that an error shows.
func clip(sql string) string {
	const limit = 2000
	if len(sql) > limit {
		return sql[:limit] + " …"
	}
	return sql
}
