package expr

import (
	"context"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	pg_query "github.com/pganalyze/pg_query_go/v6"
	pgquery "github.com/wasilibs/go-pgquery"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// The differential test's size and seed: the same each time, so that a change
// of the code is what makes it fail. MILLSTREAM_EXPR_COUNT and
// MILLSTREAM_EXPR_SEED change them, to look for more.
const (
	defaultExpressions = 5000
	defaultSeed        = 1
	testRows           = 14
	expressionDepth    = 4
	expressionsAtOnce  = 200
)

//go:embed testdata/try.sql
var trySQL string

// result is what an expression gives: an error of the whole expression, or a
// value or an error for each row.
type result struct {
	bindError string // SQLSTATE of PostgreSQL's, code of ours
	message   string
	typ       string
	rows      []rowResult
}

type rowResult struct {
	state, message string // of an error
	null           bool
	value          string
}

func (r rowResult) String() string {
	switch {
	case r.state != "":
		return r.state + ": " + r.message
	case r.null:
		return "NULL"
	}
	return strconv.Quote(r.value)
}

// testTable makes the columns' values for a seed: a batch, and the statements
// that make the same table.
func testTable(seed uint64) (*column.Batch, string) {
	random := rand.New(rand.NewPCG(seed, 2))
	batch := &column.Batch{N: testRows}
	names, lines := []string{"id integer"}, make([]string, testRows)
	for i := range lines {
		lines[i] = strconv.Itoa(i)
	}
	for _, c := range testColumns {
		names = append(names, c.name+" "+c.t.String())
		v := column.NewVector(c.t, testRows)
		order := random.Perm(max(testRows, len(c.values)))
		for i := range testRows {
			if random.IntN(8) == 0 {
				v.Null[i] = true
				lines[i] += ", NULL"
				continue
			}
			text := c.values[order[i]%len(c.values)]
			if err := datum.Input(v, i, []byte(text)); err != nil {
				panic(fmt.Sprintf("column %s, value %q: %v", c.name, text, err))
			}
			lines[i] += ", '" + strings.ReplaceAll(text, "'", "''") + "'"
		}
		batch.Cols = append(batch.Cols, v)
	}
	return batch, "CREATE TABLE data (" + strings.Join(names, ", ") + ");\nINSERT INTO data VALUES (" + strings.Join(lines, "),\n(") + ")"
}

// testBinder resolves the columns of testColumns.
func testBinder() *Binder {
	return &Binder{
		Column: func(parts []string, offset int32) (Expr, error) {
			for i, c := range testColumns {
				if len(parts) == 1 && parts[0] == c.name {
					return &Column{Index: i, Name: c.name, T: c.t}, nil
				}
			}
			return nil, &diag.Diagnostic{Code: "MS0000", Message: "no column " + strings.Join(parts, ".")}
		},
		Position: func(offset int32) diag.Position { return diag.Position{Line: 1, Column: int(offset) + 1} },
	}
}

// parseExpression parses one expression.
func parseExpression(sql string) (*pg_query.Node, error) {
	tree, err := pgquery.Parse("SELECT " + sql)
	if err != nil {
		return nil, err
	}
	return tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().Val, nil
}

func bindSQL(sql string) (Expr, error) {
	n, err := parseExpression(sql)
	if err != nil {
		return nil, err
	}
	return testBinder().BindTyped(n)
}

// evaluateOurs gives this package's result. refused tells that it is one of
// the documented refusals.
func evaluateOurs(sql string, batch *column.Batch) (r result, refused bool) {
	e, err := bindSQL(sql)
	if err != nil {
		d := diag.From(err)
		if d == nil {
			return result{bindError: "syntax", message: err.Error()}, false
		}
		return result{bindError: d[0].Code, message: d[0].Message}, refusals[d[0].Code]
	}
	sel := make([]int32, batch.N)
	for i := range sel {
		sel[i] = int32(i)
	}
	var errs RowErrors
	errs.Reset(batch.N)
	v := Compile(e).Eval(batch, sel, &errs)
	r.typ = e.Type().Kind.Name()
	for i := range batch.N {
		row := rowResult{null: v.Null[i]}
		if err := errs.Get(int32(i)); err != nil {
			row = rowResult{state: err.Code, message: err.Message}
		} else if !v.Null[i] {
			row.value = string(datum.Append(nil, v, i))
		}
		r.rows = append(r.rows, row)
	}
	return r, false
}

// refusals are the codes of what PostgreSQL has and this package refuses.
var refusals = map[string]bool{
	codeVolatile: true, codeInterval: true, codeUnsupported: true, codeUnsupportedType: true,
	codeAggregateForm: true, codeUnsupportedOverload: true, codeTooDeep: true, codeConstantRequired: true,
	codeUnknownZone: true, codeUnknownUnit: true,
}

// oracle asks PostgreSQL.
type oracle struct{ conn *pgx.Conn }

func newOracle(t testing.TB, setup string) *oracle {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	for _, sql := range []string{"SET TimeZone = 'UTC'", "SET DateStyle = 'ISO, MDY'", "SET jit = off", "SET statement_timeout = '60s'", setup, trySQL} {
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return &oracle{conn}
}

func (o *oracle) evaluate(t testing.TB, expressions []string) []result {
	t.Helper()
	out := make([]result, len(expressions))
	rows, err := o.conn.Query(context.Background(),
		`SELECT e.n, r.id, r.state, r.message, r.is_null, r.value, r.typ
		 FROM unnest($1::text[]) WITH ORDINALITY e(x, n), LATERAL try(e.x) r ORDER BY 1, 2`, expressions)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var n, id int
		var state, message, value, typ *string
		var null bool
		if err := rows.Scan(&n, &id, &state, &message, &null, &value, &typ); err != nil {
			t.Fatal(err)
		}
		r := &out[n-1]
		if id < 0 {
			r.bindError, r.message = *state, *message
			continue
		}
		row := rowResult{null: null}
		if state != nil {
			row = rowResult{state: *state, message: *message}
		} else {
			r.typ = *typ
			if !null {
				row.value = *value
			}
		}
		r.rows = append(r.rows, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// difference says where two results differ, "" if they agree.
func difference(ours, theirs result) string {
	if (ours.bindError != "") != (theirs.bindError != "") {
		return fmt.Sprintf("ours: %s %s\n  PostgreSQL: %s %s", or(ours.bindError, "works"), ours.message, or(theirs.bindError, "works"), theirs.message)
	}
	if ours.bindError != "" {
		return ""
	}
	if theirs.typ != "" && ours.typ != theirs.typ {
		return fmt.Sprintf("type %s, PostgreSQL: %s", ours.typ, theirs.typ)
	}
	for i, a := range ours.rows {
		b := theirs.rows[i]
		// PostgreSQL before 17 doesn't notice that an interval overflows.
		if a.state == errIntervalRange.Code && a.message == errIntervalRange.Message {
			continue
		}
		if a.state == sqlerr.FeatureNotSupported && a.message == errPresent.Message || a.state == errGrowth.Code && a.message == errGrowth.Message {
			continue
		}
		// PostgreSQL cuts a text in a message within a character.
		if a.state == b.state && !utf8.ValidString(b.message) {
			continue
		}
		if a != b {
			return fmt.Sprintf("row %d: %v\n  PostgreSQL: %v", i, a, b)
		}
	}
	return ""
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func environment(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// TestDifferential generates typed expressions and compares every row's value
// or error with PostgreSQL's.
func TestDifferential(t *testing.T) {
	seed := environment("MILLSTREAM_EXPR_SEED", defaultSeed)
	count := int(environment("MILLSTREAM_EXPR_COUNT", defaultExpressions))
	t.Logf("reproduce with MILLSTREAM_EXPR_SEED=%d MILLSTREAM_EXPR_COUNT=%d", seed, count)
	g := newGenerator(seed)
	batch, setup := testTable(seed)
	o := newOracle(t, setup)
	refusedCount, bindErrors, values, rowErrors, failures := 0, 0, 0, 0, 0
	var smallest *generated
	for done := 0; done < count; {
		var list []*generated
		var texts []string
		for len(list) < expressionsAtOnce {
			e := g.any()
			list, texts = append(list, e), append(texts, e.sql)
		}
		for i, theirs := range o.evaluate(t, texts) {
			ours, refused := evaluateOurs(texts[i], batch)
			switch {
			case refused:
				refusedCount++
				continue
			case ours.bindError != "":
				bindErrors++
			}
			done++
			for _, r := range ours.rows {
				if r.state != "" {
					rowErrors++
				} else {
					values++
				}
			}
			if d := difference(ours, theirs); d != "" {
				failures++
				if small := smaller(t, o, batch, list[i]); smallest == nil || len(small.sql) < len(smallest.sql) {
					smallest = small
				}
				if failures <= 40 {
					small := smaller(t, o, batch, list[i])
					ours, _ := evaluateOurs(small.sql, batch)
					t.Logf("%s\n  %s", small.sql, difference(ours, o.evaluate(t, []string{small.sql})[0]))
				}
			}
		}
	}
	t.Logf("%d expressions refused, %d fail to bind, %d values, %d row errors", refusedCount, bindErrors, values, rowErrors)
	if smallest != nil {
		ours, _ := evaluateOurs(smallest.sql, batch)
		t.Errorf("seed %d: %d expressions differ; the smallest is\n%s\n  %s", seed, failures, smallest.sql,
			difference(ours, o.evaluate(t, []string{smallest.sql})[0]))
	}
}

// smaller finds the smallest part of a failing expression that fails too.
func smaller(t testing.TB, o *oracle, batch *column.Batch, e *generated) *generated {
	for _, kid := range e.kids {
		ours, refused := evaluateOurs(kid.sql, batch)
		if !refused && difference(ours, o.evaluate(t, []string{kid.sql})[0]) != "" {
			return smaller(t, o, batch, kid)
		}
	}
	return e
}
