package aggregate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// keeping is an aggregate that keeps values, and what PostgreSQL is asked
// instead: over x, y, and t and k, a row's time and its place in the log.
type keeping struct {
	sql    string
	spec   Spec
	values func(*rand.Rand) string
	order  func(*rand.Rand) string // of y, by which rows are ordered; nil where that is x
}

func of(kind expr.AggregateKind, arg, result column.Kind, form expr.AggregateForm) Spec {
	return Spec{Kind: kind, Arg: column.Of(arg), Result: column.Of(result), AggregateForm: form}
}

// digits makes PostgreSQL choose, of equal numerics, the one with the most
// digits.
const digits = "(SELECT %s(d) FROM (SELECT DISTINCT ON (d) d FROM unnest(array_agg(x)) AS u (d) ORDER BY d, scale(d) DESC) AS v)"

func keepings() []keeping {
	different := expr.AggregateForm{Distinct: true}
	out := []keeping{
		{"count(DISTINCT x)", of(expr.Count, column.Text, column.Int8, different), words, nil},
		{"count(DISTINCT x)", of(expr.Count, column.Int8, column.Int8, different), integers, nil},
		{"count(DISTINCT x)", of(expr.Count, column.Numeric, column.Int8, different), numerics, nil},
		{"count(DISTINCT x)", of(expr.Count, column.Float8, column.Int8, different), floats, nil},
		{"count(DISTINCT x)", of(expr.Count, column.JSONB, column.Int8, different), documents, nil},
		{"sum(DISTINCT x)", of(expr.Sum, column.Int4, column.Int8, different), integers, nil},
		{"avg(DISTINCT x)", of(expr.Avg, column.Int8, column.Numeric, different), integers, nil},
		{fmt.Sprintf(digits, "sum"), of(expr.Sum, column.Numeric, column.Numeric, different), numerics, nil},
		{fmt.Sprintf(digits, "avg"), of(expr.Avg, column.Numeric, column.Numeric, different), numerics, nil},
		{fmt.Sprintf(digits, "var_samp"), of(expr.VarSamp, column.Numeric, column.Numeric, different), numerics, nil},
		{fmt.Sprintf(digits, "stddev_pop"), of(expr.StddevPop, column.Numeric, column.Numeric, different), numerics, nil},
		{"stddev_samp(DISTINCT x)", of(expr.StddevSamp, column.Int4, column.Numeric, different), integers, nil},
		{"bit_xor(DISTINCT x)", of(expr.BitXor, column.Int4, column.Int4, different), integers, nil},
		{"sum(DISTINCT x)", of(expr.Sum, column.Float8, column.Float8, different), halves, nil},
	}
	list := func(kind expr.AggregateKind, sql string, by column.Kind, o expr.SortOrder, values, order func(*rand.Rand) string) {
		spec := of(kind, column.Text, column.Text, expr.AggregateForm{Separator: "; "})
		if kind != expr.StringAgg {
			spec.Arg, spec.Result = column.Of(column.JSONB), column.Of(column.JSONB)
		}
		if order != nil {
			spec.Order, spec.More = []expr.SortOrder{o}, []column.Type{column.Of(by)}
		}
		out = append(out, keeping{sql, spec, values, order})
	}
	list(expr.StringAgg, "string_agg(x, '; ' ORDER BY t, k)", 0, expr.SortOrder{}, words, nil)
	list(expr.JSONBAgg, "jsonb_agg(x -> 0 ORDER BY t, k)", 0, expr.SortOrder{}, arrays, nil)
	list(expr.JSONBObjectAgg, "jsonb_object_agg((SELECT key FROM jsonb_object_keys(x) AS key), (SELECT value FROM jsonb_each(x)) ORDER BY t, k)", 0, expr.SortOrder{}, objects, nil)
	for _, by := range []struct {
		kind   column.Kind
		values func(*rand.Rand) string
	}{
		{column.Text, words}, {column.Int4, integers}, {column.Numeric, numerics}, {column.Float8, floats}, {column.Float4, floats}, {column.Bool, booleans},
		{column.Timestamptz, times}, {column.Date, times}, {column.Interval, intervals}, {column.UUID, ids},
	} {
		list(expr.StringAgg, "string_agg(x, '; ' ORDER BY y, t, k)", by.kind, expr.SortOrder{}, words, by.values)
		list(expr.StringAgg, "string_agg(x, '; ' ORDER BY y DESC, t, k)", by.kind, expr.SortOrder{Desc: true, NullsFirst: true}, words, by.values)
	}
	list(expr.JSONBAgg, "jsonb_agg(x -> 0 ORDER BY y NULLS FIRST, t, k)", column.Int4, expr.SortOrder{NullsFirst: true}, arrays, integers)
	list(expr.JSONBObjectAgg, "jsonb_object_agg((SELECT key FROM jsonb_object_keys(x) AS key), (SELECT value FROM jsonb_each(x)) ORDER BY y DESC NULLS LAST, t, k)", column.Text, expr.SortOrder{Desc: true}, objects, words)
	for _, desc := range []bool{false, true} {
		order := "ORDER BY x"
		if desc {
			order += " DESC"
		}
		unique := of(expr.StringAgg, column.Text, column.Text, expr.AggregateForm{Distinct: true, Separator: ", ", Order: []expr.SortOrder{{Desc: desc, NullsFirst: desc}}})
		unique.More = []column.Type{column.Of(column.Text)}
		out = append(out, keeping{"string_agg(DISTINCT x, ', ' " + order + ")", unique, words, nil})
		for _, fraction := range []float64{0, 0.1, 0.25, 0.5, 0.9, 0.999, 1} {
			form := expr.AggregateForm{Fraction: fraction, Desc: desc}
			disc := fmt.Sprintf("percentile_disc(%g) WITHIN GROUP (%s)", fraction, order)
			out = append(out,
				keeping{fmt.Sprintf("percentile_cont(%g) WITHIN GROUP (%s)", fraction, order), of(expr.PercentileCont, column.Float8, column.Float8, form), numbers, nil},
				keeping{disc, of(expr.PercentileDisc, column.Text, column.Text, form), words, nil},
				keeping{disc, of(expr.PercentileDisc, column.Int8, column.Int8, form), integers, nil},
				keeping{mostDigits(disc), of(expr.PercentileDisc, column.Numeric, column.Numeric, form), numerics, nil},
				keeping{disc, of(expr.PercentileDisc, column.Timestamptz, column.Timestamptz, form), times, nil})
		}
		mode := "mode() WITHIN GROUP (" + order + ")"
		out = append(out,
			keeping{mode, of(expr.Mode, column.Text, column.Text, expr.AggregateForm{Desc: desc}), words, nil},
			keeping{"left((" + mode + ")::text, 1)", of(expr.Mode, column.Bool, column.Bool, expr.AggregateForm{Desc: desc}), booleans, nil},
			keeping{mostDigits(mode), of(expr.Mode, column.Numeric, column.Numeric, expr.AggregateForm{Desc: desc}), numerics, nil},
			keeping{mode, of(expr.Mode, column.Float8, column.Float8, expr.AggregateForm{Desc: desc}), positives, nil})
	}
	return out
}

// mostDigits makes PostgreSQL take, of the values that equal one, that with the
// most digits.
func mostDigits(sql string) string {
	return "(SELECT w FROM unnest(array_agg(x)) AS u (w) WHERE w = " + sql + " ORDER BY scale(w) DESC LIMIT 1)"
}

func words(r *rand.Rand) string {
	return []string{"NULL", "", "a", "b", "ab", "a b", "é", "Z", "z", "日本", strings.Repeat("x", r.IntN(40))}[r.IntN(11)]
}
func integers(r *rand.Rand) string {
	return []string{"NULL", fmt.Sprint(r.IntN(20) - 10), fmt.Sprint(int32(r.Uint32()))}[r.IntN(3)]
}
func numerics(r *rand.Rand) string {
	return []string{"NULL", "1", "1.0", "1.000", "-2.50", "-2.5", "0", "0.00", "-0.0007", "12345678901234567890.125", "12345678901234567890.12500", "1e30", "NaN", "Infinity",
		randomNumeric(r)}[r.IntN(15)]
}
func floats(r *rand.Rand) string {
	return []string{"NULL", "0", "-0", "NaN", "Infinity", "-Infinity", "1.5", "-1e30", fmt.Sprint(r.NormFloat64())}[r.IntN(9)]
}
func numbers(r *rand.Rand) string { // without zeros of two signs
	if v := floats(r); v != "-0" {
		return v
	}
	return "-1e300"
}
func halves(r *rand.Rand) string    { return fmt.Sprint(float64(r.IntN(9))/2 - 2) }
func positives(r *rand.Rand) string { return fmt.Sprint(float64(1+r.IntN(5)) / 2) }
func booleans(r *rand.Rand) string  { return []string{"NULL", "t", "f"}[r.IntN(3)] }
func times(r *rand.Rand) string {
	return []string{"NULL", "infinity", "-infinity", "1999-12-31", "2024-02-29", fmt.Sprintf("20%02d-01-01", r.IntN(30))}[r.IntN(6)]
}
func intervals(r *rand.Rand) string {
	return []string{"NULL", "1 month", "30 days", "-1 us", "0", fmt.Sprintf("%d hours", r.IntN(2000)-1000)}[r.IntN(6)]
}
func ids(r *rand.Rand) string {
	return fmt.Sprintf("%08x-0000-0000-0000-%012x", r.Uint32()>>r.IntN(32), r.IntN(5))
}
func arrays(r *rand.Rand) string {
	return []string{`[null]`, `["a"]`, `[1.0]`, `[{"k": [1]}]`, `[[]]`, fmt.Sprintf("[%d]", r.IntN(9))}[r.IntN(6)]
}
func objects(r *rand.Rand) string {
	return fmt.Sprintf(`{"%s": %s}`, []string{"a", "b", "ab", "é", ""}[r.IntN(5)], []string{"null", "1", `"x"`, fmt.Sprint(r.IntN(99))}[r.IntN(4)])
}
func documents(r *rand.Rand) string {
	return []string{"NULL", "null", "1", "1.0", `{"a": 1.0}`, `{"a": 1}`, `["a"]`, `"a"`}[r.IntN(8)]
}

// TestValuesArePostgres compares aggregates that keep values with PostgreSQL,
// to the last digit. The rows come in any order and in parts; what is restored
// from the changes that were written of them gives the same.
func TestValuesArePostgres(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	for _, c := range keepings() {
		t.Run(fmt.Sprintf("%s of %s", c.sql, c.spec.Arg), func(t *testing.T) {
			for range 25 {
				list, by := make([]string, 1+rng.IntN(30)), column.Of(column.Text)
				for i := range list {
					list[i] = c.values(rng)
				}
				order := list
				if c.order != nil {
					by, order = c.spec.More[0], make([]string, len(list))
					for i := range order {
						order[i] = c.order(rng)
					}
				}
				var want string
				sql := fmt.Sprintf(`SELECT coalesce((%s)::text, 'NULL') FROM (SELECT nullif(v, 'NULL')::%s%s AS x, nullif(w, 'NULL')::%s%s AS y, (k - 1) %% 3 AS t, k FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (v, w, k)) AS r`,
					c.sql, c.spec.Arg, collation(c.spec.Arg), by, collation(by))
				if err := conn.QueryRow(ctx, sql, list, order).Scan(&want); err != nil {
					t.Fatal(err)
				}
				whole, restored := inParts(t, rng, c.spec, list, order)
				if whole != want || restored != want {
					t.Fatalf("of %s by %s: %s, restored %s, PostgreSQL %s", strings.Join(list, ", "), strings.Join(order, ", "), whole, restored, want)
				}
			}
		})
	}
}

func collation(t column.Type) string {
	if t.Kind == column.Text {
		return ` COLLATE "C"`
	}
	return ""
}

// inParts adds rows in any order to partial results, merges these into one, and
// gives its value, and that of another which is told of the changes only.
func inParts(t *testing.T, rng *rand.Rand, spec Spec, list, order []string) (whole, restored string) {
	arg := texts(t, spec.Arg, list)
	all := rowsOf(len(list), 0)
	for _, typ := range spec.More {
		all.More = append(all.More, texts(t, typ, order))
	}
	total, again := Make(spec), Make(spec)
	const other = 1 // a group that must not be seen
	total.Grow(2)
	again.Grow(2)
	left := rng.Perm(len(list))
	for len(left) > 0 {
		part := Make(spec)
		part.Grow(2)
		for _, i := range left[:1+rng.IntN(len(left))] {
			part.Update(&Rows{Groups: []uint32{0, other}, Rows: []int32{int32(i), int32(rng.IntN(len(list)))}, Offsets: all.Offsets, Times: all.Times, More: all.More}, arg)
			left = left[1:]
		}
		total.Merge(0, part, 0)
		total.Merge(other, part, other)
		if rng.IntN(2) == 0 || len(left) == 0 {
			again = reload(t, spec, again, EncodeChanges(total, nil, 0))
		}
		if rng.IntN(4) == 0 {
			if rng.IntN(2) == 0 {
				again = Make(spec)
			}
			again = reload(t, spec, again, total.Encode(nil, 0))
			EncodeChanges(total, nil, 0)
		}
		result(total, spec.Result, 0)
	}
	return result(total, spec.Result, 0), result(again, spec.Result, 0)
}

// reload reads what was written of group 0 into a.
func reload(t *testing.T, spec Spec, a Accumulator, written []byte) Accumulator {
	t.Helper()
	a.Grow(2)
	rest, err := a.Decode(written, 0)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%s: decode: %v, %d bytes left", spec.Kind, err, len(rest))
	}
	return a
}

// TestFullGroups holds that a group that keeps too much says so, whatever the
// order in which it came to it, and that its neighbours go on.
func TestFullGroups(t *testing.T) {
	unique := of(expr.StringAgg, column.Text, column.Text, expr.AggregateForm{Distinct: true, Order: []expr.SortOrder{{}}})
	unique.More = []column.Type{column.Of(column.Text)}
	for _, c := range []struct {
		spec  Spec
		bag   func(Accumulator) *bag
		value func(i int) string
	}{
		{of(expr.Count, column.Int8, column.Int8, expr.AggregateForm{Distinct: true}), func(a Accumulator) *bag { return &a.(*distinct).seen }, func(i int) string { return fmt.Sprint(i) }},
		{of(expr.Sum, column.Int8, column.Numeric, expr.AggregateForm{Distinct: true}), func(a Accumulator) *bag { return &a.(*distinct).seen }, func(i int) string { return fmt.Sprint(i) }},
		{of(expr.PercentileCont, column.Float8, column.Float8, expr.AggregateForm{}), func(a Accumulator) *bag { return &a.(*ranked).values }, func(i int) string { return fmt.Sprint(i) }},
		{unique, func(a Accumulator) *bag { return &a.(*list).items }, func(i int) string { return strings.Repeat("x", i) }},
	} {
		list := make([]string, 100)
		for i := range list {
			list[i] = c.value(i)
		}
		arg := texts(t, c.spec.Arg, list)
		add := func(a Accumulator, g uint32, from, to int) {
			a.Grow(2)
			rows := rowsOf(len(list), 0)
			for range c.spec.More {
				rows.More = append(rows.More, arg)
			}
			rows.Rows, rows.Groups = rows.Rows[from:to], rows.Groups[from:to]
			for i := range rows.Groups {
				rows.Groups[i] = g
			}
			a.Update(rows, arg)
		}
		one, two := Make(c.spec), Make(c.spec)
		one.Grow(2)
		two.Grow(2)
		add(one, 0, 0, 60)
		add(one, 1, 0, 3)
		held := c.bag(one).groups[0].bytes
		c.bag(one).limit, c.bag(two).limit = held, held
		before := result(one, c.spec.Result, 0)
		if strings.HasPrefix(before, "54000") {
			t.Errorf("%s: full at its limit: %s", c.spec.Kind, before)
		}
		add(one, 0, 0, 60) // nothing new
		add(two, 0, 40, 100)
		for _, a := range []Accumulator{one, two} {
			if a == two {
				two.Merge(0, one, 0)
			} else {
				add(one, 0, 60, 61)
			}
			if got := result(a, c.spec.Result, 0); !strings.HasPrefix(got, "54000 "+c.spec.Kind.String()) {
				t.Errorf("%s: %s, want 54000", c.spec.Kind, got)
			}
			if again := result(reload(t, c.spec, Make(c.spec), a.Encode(nil, 0)), c.spec.Result, 0); !strings.HasPrefix(again, "54000") {
				t.Errorf("%s: %s after a restart, want 54000", c.spec.Kind, again)
			}
			if c.bag(a).groups[0].bytes != 0 {
				t.Errorf("%s: a full group keeps %d bytes", c.spec.Kind, c.bag(a).groups[0].bytes)
			}
		}
		if got := result(one, c.spec.Result, 1); strings.HasPrefix(got, "54000") {
			t.Errorf("%s: its neighbour is full too: %s", c.spec.Kind, got)
		}
	}
}

// TestChangesAreSmall holds that what is written of a large group is what has
// been added to it.
func TestChangesAreSmall(t *testing.T) {
	const many = 5000
	arg := column.NewVector(column.Of(column.Float8), many)
	for i := range many {
		arg.Float[i] = float64(i)
	}
	for _, spec := range []Spec{
		of(expr.Avg, column.Float8, column.Float8, expr.AggregateForm{Distinct: true}),
		of(expr.PercentileDisc, column.Float8, column.Float8, expr.AggregateForm{}),
	} {
		a := Make(spec)
		a.Grow(1)
		rows := rowsOf(many, 0)
		rows.Rows, rows.Groups = rows.Rows[:many-1], rows.Groups[:many-1]
		a.Update(rows, arg)
		if n := len(EncodeChanges(a, nil, 0)); n < many {
			t.Errorf("%s: %d bytes for %d values", spec.Kind, n, many)
		}
		a.Update(&Rows{Groups: []uint32{0}, Rows: []int32{many - 1}, Offsets: rows.Offsets, Times: rows.Times}, arg)
		if n := len(EncodeChanges(a, nil, 0)); n == 0 || n > 100 {
			t.Errorf("%s: %d bytes for one value more", spec.Kind, n)
		}
	}
}

// TestLargeGroupsAreOrdered holds that the order that is kept of a large group
// is right when it grows.
func TestLargeGroupsAreOrdered(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 6))
	arg := column.NewVector(column.Of(column.Int8), 1000)
	for i := range arg.Int {
		arg.Int[i] = rng.Int64N(2000) - 1000
	}
	a := newRanked(of(expr.PercentileDisc, column.Int8, column.Int8, expr.AggregateForm{Fraction: 0.5}))
	a.Grow(2)
	all := rowsOf(arg.Len(), 0)
	for had, n := 0, 1; n < arg.Len(); had, n = n, n+1+rng.IntN(150) {
		rows := *all
		rows.Rows, rows.Groups = rows.Rows[had:n], rows.Groups[had:n]
		a.Update(&rows, arg)
		sorted := slices.Clone(arg.Int[:n])
		slices.Sort(sorted)
		if got, want := result(a, column.Of(column.Int8), 0), fmt.Sprint(sorted[(n+1)/2-1]); got != want {
			t.Fatalf("the median of %d is %s, want %s", n, got, want)
		}
	}
	a.Clear()
	a.Grow(2)
	if got := result(a, column.Of(column.Int8), 0); got != "NULL" {
		t.Errorf("%s of nothing", got)
	}
}
