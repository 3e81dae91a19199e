package expr

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

func mustBind(t testing.TB, sql string) Expr {
	t.Helper()
	e, err := bindSQL(sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return e
}

func all(n int) []int32 {
	sel := make([]int32, n)
	for i := range sel {
		sel[i] = int32(i)
	}
	return sel
}

// nullInRow tells whether a tree compares a row's value with one that is always
// NULL: that is printed as a comparison like others, which would be folded.
func nullInRow(e Expr) (found bool) {
	Walk(e, func(e Expr) bool {
		if call, ok := e.(*Call); ok && call.Function.CalledOnNull && isComparison(call.Function.Name) {
			for _, a := range call.Args {
				c, ok := a.(*Const)
				found = found || ok && c.Value.Null[0]
			}
		}
		return !found
	})
	return found
}

func isComparison(name string) bool {
	return slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, name)
}

// TestSQLBindsBack prints generated expressions and binds the text again:
// the tree is equal.
func TestSQLBindsBack(t *testing.T) {
	g := newGenerator(7)
	count := 0
	for count < 2000 {
		sql := g.expression(g.kind(), 3).sql
		e, err := bindSQL(sql)
		if err != nil {
			continue
		}
		// What a stable function gave becomes a constant like others.
		if e, err = fold(e); err != nil {
			continue
		}
		if nullInRow(e) {
			continue
		}
		count++
		text := SQL(e)
		again, err := bindSQL(text)
		if err != nil {
			t.Fatalf("%s\nprinted as %s\n%v", sql, text, err)
		}
		if !Equal(e, again) {
			t.Fatalf("%s\nprinted as %s\nthen as    %s", sql, text, SQL(again))
		}
		if e.Type() != again.Type() {
			t.Fatalf("%s: type %v, then %v", text, e.Type(), again.Type())
		}
	}
}

// TestSelection evaluates generated expressions over parts of a batch: each
// row has the value and the error that it has in the whole batch, and rows
// that aren't selected have no errors.
func TestSelection(t *testing.T) {
	g := newGenerator(11)
	batch, _ := testTable(11)
	for count := 0; count < 1500; {
		sql := g.expression(g.kind(), 3).sql
		e, err := bindSQL(sql)
		if err != nil {
			continue
		}
		count++
		want, _ := evaluateOurs(sql, batch)
		p := Compile(e)
		for range 3 {
			var sel []int32
			for i := range batch.N {
				if g.IntN(2) == 0 {
					sel = append(sel, int32(i))
				}
			}
			var errs RowErrors
			errs.Reset(batch.N)
			v := p.Eval(batch, sel, &errs)
			if v.Len() != batch.N {
				t.Fatalf("%s: %d values for %d rows", sql, v.Len(), batch.N)
			}
			selected := make([]bool, batch.N)
			for _, i := range sel {
				selected[i] = true
				got := rowResult{null: v.Null[i]}
				if err := errs.Get(i); err != nil {
					got = rowResult{state: err.Code, message: err.Message}
				} else if !v.Null[i] {
					got.value = string(datum.Append(nil, v, int(i)))
				}
				if got != want.rows[i] {
					t.Fatalf("%s, row %d of %v: %v, of all rows: %v", sql, i, sel, got, want.rows[i])
				}
			}
			for i, s := range selected {
				if !s && errs.Get(int32(i)) != nil {
					t.Fatalf("%s: row %d isn't selected and failed", sql, i)
				}
			}
		}
	}
}

func TestLazy(t *testing.T) {
	batch := &column.Batch{N: 3, Cols: make([]*column.Vector, len(testColumns))}
	v := column.NewVector(column.Of(column.Int4), 3)
	v.Int[0], v.Int[1], v.Null[2] = 0, 2, true
	batch.Cols[2] = v // i4
	for sql, want := range map[string][]string{
		"CASE WHEN i4 <> 0 THEN 10 / i4 END":                {"NULL", `"5"`, "NULL"},
		"CASE i4 WHEN 0 THEN -1 ELSE 10 / i4 END":           {`"-1"`, `"5"`, "NULL"},
		"i4 = 0 OR 10 / i4 = 5":                             {`"t"`, `"t"`, "NULL"},
		"i4 <> 0 AND 10 / i4 = 5":                           {`"f"`, `"t"`, "NULL"},
		"10 / i4 = 5 AND i4 <> 0":                           {"22012: division by zero", `"t"`, "NULL"},
		"COALESCE(i4, 1 / 1)":                               {`"0"`, `"2"`, `"1"`},
		"COALESCE(NULLIF(i4, 0), 1 / i4)":                   {"22012: division by zero", `"2"`, "NULL"},
		"COALESCE(1 / i4, 7)":                               {"22012: division by zero", `"0"`, `"7"`},
		"CASE WHEN 1 / i4 = 1 THEN 1 / (i4 - 2) ELSE 5 END": {"22012: division by zero", `"5"`, `"5"`},
		"1 / i4 IS NULL":                                    {"22012: division by zero", `"f"`, `"t"`},
	} {
		r, _ := evaluateOurs(sql, batch)
		var got []string
		for _, row := range r.rows {
			got = append(got, row.String())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (%s): %s", sql, r.message, d)
		}
	}
}

func TestRowErrors(t *testing.T) {
	var r RowErrors
	r.Reset(4)
	if r.Any() {
		t.Error("errors in the beginning")
	}
	first, second := sqlerr.New("22012", "first"), sqlerr.New("22003", "second")
	r.Set(2, first)
	r.Set(2, second)
	if r.Get(2) != first || r.Get(1) != nil || !r.Any() {
		t.Errorf("row 2 has %v, row 1 %v", r.Get(2), r.Get(1))
	}
	if d := cmp.Diff([]int32{1, 3}, r.Compact([]int32{1, 2, 3})); d != "" {
		t.Error(d)
	}
	r.Reset(3)
	if r.Any() || r.Get(2) != nil {
		t.Error("errors stay after Reset")
	}
	r.Reset(100)
	r.Set(99, first)
	if d := cmp.Diff([]int32{}, r.Compact([]int32{99})); d != "" {
		t.Error(d)
	}
}

func TestSelectTrue(t *testing.T) {
	v := column.NewVector(column.Of(column.Bool), 5)
	v.Int = []int64{1, 0, 1, 1, 1}
	v.Null[3] = true
	sel := []int32{0, 1, 3, 4}
	if d := cmp.Diff([]int32{0, 4}, SelectTrue(v, sel, nil)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int32{0, 4}, SelectTrue(v, sel, sel)); d != "" {
		t.Error("in place:", d)
	}
}

func TestAsCalendar(t *testing.T) {
	for sql, want := range map[string]CalendarSpec{
		"date_bin('5 minutes', tz, '2000-01-01 00:00:01+00')":        {Function: "date_bin", Stride: column.IntervalValue{Micros: 300e6}, Origin: 1e6},
		"date_bin(2 * INTERVAL '1 day', ts, TIMESTAMP '2000-01-02')": {Function: "date_bin", Stride: column.IntervalValue{Days: 2}, Origin: 86400e6},
		"date_bin('1 day', tz, DATE '2000-01-01')":                   {Function: "date_bin", Stride: column.IntervalValue{Days: 1}},
		"date_trunc('HOURS', ts)":                                    {Function: "date_trunc", Unit: "hour"},
		"date_trunc('mon', tz)":                                      {Function: "date_trunc", Unit: "month", Zone: "UTC"},
		"date_trunc('day', tz, 'europe/paris')":                      {Function: "date_trunc", Unit: "day", Zone: "Europe/Paris"},
		"date_trunc('week', d)":                                      {Function: "date_trunc", Unit: "week", Zone: "UTC"},
		"date_trunc('us', ts)":                                       {Function: "date_trunc", Unit: "microseconds"},
	} {
		got, operand, ok := AsCalendar(mustBind(t, sql))
		if !ok || operand == nil || !operand.Type().Kind.IsTime() {
			t.Errorf("%s isn't recognised", sql)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", sql, d)
		}
	}
	for _, sql := range []string{"tz", "date_trunc(s, tz)", "date_bin('1 month', ts, '2000-01-01')",
		"date_bin('0 s', ts, '2000-01-01')", "date_bin('1 s', ts, 'infinity')", "date_bin('1 s', ts, ts)", "date_trunc('day', tz) + INTERVAL '1 hour'", "i4 + 1"} {
		if _, _, ok := AsCalendar(mustBind(t, sql)); ok {
			t.Errorf("%s is recognised", sql)
		}
	}
}

// hours cuts time into windows of an hour up to a limit.
type hours struct{ limit int64 }

func (h hours) Start(t int64) (int64, bool) {
	return floorDivide(t, datum.Hour) * datum.Hour, t < h.limit
}
func (h hours) End(start int64) int64 { return start + datum.Hour }

func TestWindowCall(t *testing.T) {
	operand := &Column{Index: 0, Name: "at", T: column.Of(column.Timestamptz)}
	v := column.NewVector(operand.T, 4)
	v.Int = []int64{90 * datum.Minute, 500 * datum.Hour, column.Infinity, 0}
	v.Null[3] = true
	batch := &column.Batch{N: 4, Cols: []*column.Vector{v}}
	for end, want := range map[bool]int64{false: datum.Hour, true: 2 * datum.Hour} {
		e := NewWindowCall(end, hours{100 * datum.Hour}, operand)
		if e.Type() != operand.T {
			t.Errorf("type %v", e.Type())
		}
		var errs RowErrors
		errs.Reset(4)
		got := Compile(e).Eval(batch, all(4), &errs)
		if got.Int[0] != want || got.Null[0] || !got.Null[3] {
			t.Errorf("end %v: %v %v", end, got.Int, got.Null)
		}
		for _, i := range []int32{1, 2} {
			if err := errs.Get(i); err == nil || err.Code != "22008" || err.Message != "timestamp out of range" {
				t.Errorf("row %d: %v", i, err)
			}
		}
		if errs.Get(0) != nil || errs.Get(3) != nil {
			t.Error("good rows fail")
		}
		if !Equal(e, NewWindowCall(end, hours{100 * datum.Hour}, operand)) || Equal(e, NewWindowCall(!end, hours{100 * datum.Hour}, operand)) ||
			Equal(e, NewWindowCall(end, hours{1}, operand)) {
			t.Error("Equal doesn't tell windows apart by their end and assigner")
		}
	}
}

func TestEqual(t *testing.T) {
	distinct := []string{"i4", "i8", "i4 + 1", "i4 + 2", "i4 - 1", "1 + i4", "i4 = 1", "i4 IS DISTINCT FROM 1", "s", "s || 'a'", "v", "v::text",
		"b AND i4 = 1", "b OR i4 = 1", "CASE WHEN b THEN 1 ELSE 2 END", "CASE WHEN b THEN 1 END", "COALESCE(i4, 1)", "COALESCE(i4, 2)",
		"n::numeric(4,2)", "n::numeric(4,1)", "n + 1.0", "n + 1.00", "f8 + '-0'", "f8 + '0'", "f8 + 'NaN'", "NULL::integer", "NULL::bigint", "i4 + NULLIF(i4, 1)",
		"ts + INTERVAL '1 day'", "ts + INTERVAL '24 hours'", "true", "1", "1.0", "'1'"}
	for i, a := range distinct {
		for j, b := range distinct {
			if got := Equal(mustBind(t, a), mustBind(t, b)); got != (i == j) {
				t.Errorf("Equal(%s, %s) is %v", a, b, got)
			}
		}
	}
	if !Equal(nil, nil) || Equal(nil, mustBind(t, "1")) {
		t.Error("nil")
	}
}

func TestCoerce(t *testing.T) {
	for _, c := range []struct {
		sql  string
		to   column.Type
		want string // SQL, or the error
	}{
		{"i4", column.Of(column.Int8), "i4::bigint"},
		{"i4", column.Of(column.Int2), "i4::smallint"},
		{"i4", column.Of(column.Text), "i4::text"},
		{"s", column.Of(column.Int4), "type text is not cast to integer by itself"},
		{"b", column.Of(column.Int4), "type boolean is not cast to integer by itself"},
		{"j", column.Of(column.Date), "cannot cast type jsonb to date"},
		{"s", column.Type{Kind: column.Varchar, Length: 3}, "s::character varying::character varying(3)"},
		{"v", column.Type{Kind: column.Varchar, Length: 6}, "v"},
		{"m", column.Type{Kind: column.Numeric, Precision: 10, Scale: 2}, "m"},
		{"m", column.Type{Kind: column.Numeric, Precision: 9, Scale: 2}, "m::numeric(9,2)"},
		{"1", column.Of(column.Numeric), "'1'::numeric"},
		{"ts", column.Of(column.Date), "ts::date"},
	} {
		e, err := Coerce(mustBind(t, c.sql), c.to)
		var got string
		if err != nil {
			got = diag.From(err)[0].Message
		} else {
			got = SQL(e)
			if e.Type() != c.to {
				t.Errorf("%s to %v has type %v", c.sql, c.to, e.Type())
			}
		}
		if got != c.want {
			t.Errorf("%s to %v: %s, want %s", c.sql, c.to, got, c.want)
		}
	}
	// An assignment fails what a cast cuts.
	long := &Const{T: column.Of(column.Text), Value: column.NewVector(column.Of(column.Text), 1)}
	long.Value.SetString(0, "abcd")
	_, err := Coerce(long, column.Type{Kind: column.Varchar, Length: 3})
	var d *diag.Diagnostic
	if !errors.As(err, &d) || d.Message != "value too long for type character varying(3)" {
		t.Errorf("assigning abcd to varchar(3): %v", err)
	}
}

func TestUnify(t *testing.T) {
	for _, c := range []struct {
		list []string
		want string
	}{
		{[]string{"i2", "i4"}, "integer"},
		{[]string{"i8", "n", "f4"}, "real"},
		{[]string{"f8", "n"}, "double precision"},
		{[]string{"v", "v"}, "character varying(6)"},
		{[]string{"v", "s"}, "character varying"}, // as in PostgreSQL, the first one
		{[]string{"s", "v"}, "text"},
		{[]string{"m", "m"}, "numeric(10,2)"},
		{[]string{"m", "n"}, "numeric"},
		{[]string{"d", "tz"}, "timestamp with time zone"},
		{[]string{"i4", "s"}, "UNION types integer and text cannot be matched"},
	} {
		exprs := make([]Expr, len(c.list))
		for i, sql := range c.list {
			exprs[i] = mustBind(t, sql)
		}
		out, typ, err := Unify(exprs)
		got := typ.String()
		if err != nil {
			got = diag.From(err)[0].Message
		} else {
			for _, e := range out {
				if e.Type().Kind != typ.Kind {
					t.Errorf("%v: %s has type %v", c.list, SQL(e), e.Type())
				}
			}
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.list, got, c.want)
		}
	}
}

func TestAggregates(t *testing.T) {
	b := testBinder()
	b.Aggregates = true
	for sql, want := range map[string]string{
		"count(*)":                               "count(*) bigint",
		"count('x')":                             "count('x'::text) bigint",
		"sum(i2)":                                "sum(i2) bigint",
		"sum(i8)":                                "sum(i8) numeric",
		"sum(f4)":                                "sum(f4) real",
		"avg(f4)":                                "avg(f4) double precision",
		"avg(i4)":                                "avg(i4) numeric",
		"min(v)":                                 "min(v::text) text",
		"max(tz)":                                "max(tz) timestamp with time zone",
		"every(b)":                               "bool_and(b) boolean",
		"sum(i4) FILTER (WHERE b AND true)":      "sum(i4) FILTER (WHERE b) bigint",
		"sum(i4 + 1 * 2) / (count(*) - 1)":       "sum(i4 + 2) / (count(*) - (1::bigint)) bigint",
		"CASE WHEN max(i4) > 1 THEN 'a' END":     "CASE WHEN max(i4) > 1 THEN 'a'::text ELSE NULL::text END text",
		"max(d) - min(d)":                        "max(d) - min(d) integer",
		"sum(i2) = ANY (ARRAY[1, 2])":            "sum(i2) = ANY (ARRAY[1, 2]) boolean",
		"count(b) FILTER (WHERE i4 IS NOT NULL)": "count(b) FILTER (WHERE i4 IS NOT NULL) bigint",
		"count(DISTINCT s)":                      "count(DISTINCT s) bigint",
		"avg(DISTINCT i4) FILTER (WHERE b)":      "avg(DISTINCT i4) FILTER (WHERE b) numeric",
		"max(DISTINCT i4)":                       "max(i4) integer",
		"string_agg(s, ', ')":                    "string_agg(s, ', ') text",
		"string_agg(v, NULL ORDER BY i4 + 1 DESC NULLS LAST, s NULLS FIRST) FILTER (WHERE b)": "string_agg(v::text, '' ORDER BY i4 + 1 DESC NULLS LAST, s NULLS FIRST) FILTER (WHERE b) text",
		"string_agg(DISTINCT s, '|')":                        "string_agg(DISTINCT s, '|' ORDER BY s) text",
		"string_agg(DISTINCT v, '' ORDER BY v DESC)":         "string_agg(DISTINCT v::text, '' ORDER BY v DESC) text",
		"jsonb_agg(i4 ORDER BY d)":                           "jsonb_agg(i4 ORDER BY d) jsonb",
		"approx_count_distinct(DISTINCT j)":                  "approx_count_distinct(j) bigint",
		"approx_percentile(f8, .99) FILTER (WHERE b)":        "approx_percentile(f8, 0.99) FILTER (WHERE b) double precision",
		"jsonb_agg(DISTINCT i4)":                             "jsonb_agg(DISTINCT i4 ORDER BY i4) jsonb",
		"jsonb_object_agg(s, i4)":                            "jsonb_object_agg(s, i4) jsonb",
		"percentile_cont(0.50) WITHIN GROUP (ORDER BY i4)":   "percentile_cont(0.5) WITHIN GROUP (ORDER BY i4::double precision) double precision",
		"percentile_disc(1) WITHIN GROUP (ORDER BY tz DESC)": "percentile_disc(1) WITHIN GROUP (ORDER BY tz DESC) timestamp with time zone",
		"mode() WITHIN GROUP (ORDER BY s)":                   "mode() WITHIN GROUP (ORDER BY s) text",
	} {
		n, err := parseExpression(sql)
		if err != nil {
			t.Fatal(err)
		}
		e, err := b.BindTyped(n)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		got := SQL(e) + " " + e.Type().String()
		if sql == "sum(i4 + 1 * 2) / (count(*) - 1)" {
			// The cast of the constant is folded.
			want = "sum(i4 + 2) / (count(*) - 1) bigint"
		}
		if got != want {
			t.Errorf("%s is %s, want %s", sql, got, want)
		}
	}
}

func TestFloatOrder(t *testing.T) {
	order := []float64{math.Inf(-1), -1, 0, 1, math.Inf(1), math.NaN()}
	for i, a := range order {
		for j, b := range order {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := orderFloats(a, b); got != want {
				t.Errorf("%v and %v: %d", a, b, got)
			}
		}
	}
	if orderFloats(0, math.Copysign(0, -1)) != 0 {
		t.Error("0 and -0 differ")
	}
}
