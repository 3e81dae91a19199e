package aggregate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// keeping is an aggregate that keeps values, and what PostgreSQL is asked
// instead: over x, and over t and k, its time and its place in the log.
type keeping struct {
	sql    string
	spec   Spec
	values func(*rand.Rand) string
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
		{"count(DISTINCT x)", of(expr.Count, column.Text, column.Int8, different), words},
		{"count(DISTINCT x)", of(expr.Count, column.Int8, column.Int8, different), integers},
		{"count(DISTINCT x)", of(expr.Count, column.Numeric, column.Int8, different), numerics},
		{"count(DISTINCT x)", of(expr.Count, column.Float8, column.Int8, different), floats},
		{"count(DISTINCT x)", of(expr.Count, column.JSONB, column.Int8, different), documents},
		{"sum(DISTINCT x)", of(expr.Sum, column.Int4, column.Int8, different), integers},
		{"avg(DISTINCT x)", of(expr.Avg, column.Int8, column.Numeric, different), integers},
		{fmt.Sprintf(digits, "sum"), of(expr.Sum, column.Numeric, column.Numeric, different), numerics},
		{fmt.Sprintf(digits, "avg"), of(expr.Avg, column.Numeric, column.Numeric, different), numerics},
		{fmt.Sprintf(digits, "var_samp"), of(expr.VarSamp, column.Numeric, column.Numeric, different), numerics},
		{fmt.Sprintf(digits, "stddev_pop"), of(expr.StddevPop, column.Numeric, column.Numeric, different), numerics},
		{"stddev_samp(DISTINCT x)", of(expr.StddevSamp, column.Int4, column.Numeric, different), integers},
		{"bit_xor(DISTINCT x)", of(expr.BitXor, column.Int4, column.Int4, different), integers},
		{"sum(DISTINCT x)", of(expr.Sum, column.Float8, column.Float8, different), halves},
	}
	return out
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
	return []string{"NULL", "0", "-0", "NaN", "Infinity", "-Infinity", "1.5", "-1e300", fmt.Sprint(r.NormFloat64())}[r.IntN(9)]
}
func halves(r *rand.Rand) string { return fmt.Sprint(float64(r.IntN(9))/2 - 2) }
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
				list := make([]string, 1+rng.IntN(30))
				for i := range list {
					list[i] = c.values(rng)
				}
				var want string
				sql := fmt.Sprintf(`SELECT coalesce((%s)::text, 'NULL') FROM (SELECT nullif(v, 'NULL')::%s%s AS x, (k - 1) %% 3 AS t, k FROM unnest($1::text[]) WITH ORDINALITY AS u (v, k)) AS r`,
					c.sql, c.spec.Arg, collation(c.spec.Arg))
				if err := conn.QueryRow(ctx, sql, list).Scan(&want); err != nil {
					t.Fatal(err)
				}
				whole, restored := inParts(t, rng, c.spec, list)
				if whole != want || restored != want {
					t.Fatalf("of %s: %s, restored %s, PostgreSQL %s", strings.Join(list, ", "), whole, restored, want)
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
func inParts(t *testing.T, rng *rand.Rand, spec Spec, list []string) (whole, restored string) {
	arg := texts(t, spec.Arg, list)
	all := rowsOf(len(list), 0)
	for range spec.More {
		all.More = append(all.More, arg)
	}
	total, again := Make(spec), Make(spec)
	const other = 1 // a group that must not be seen
	total.Grow(2)
	again.Grow(2)
	order := rng.Perm(len(list))
	for len(order) > 0 {
		part := Make(spec)
		part.Grow(2)
		for _, i := range order[:1+rng.IntN(len(order))] {
			part.Update(&Rows{Groups: []uint32{0, other}, Rows: []int32{int32(i), int32(rng.IntN(len(list)))}, Offsets: all.Offsets, Times: all.Times, More: all.More}, arg)
			order = order[1:]
		}
		total.Merge(0, part, 0)
		total.Merge(other, part, other)
		if rng.IntN(2) == 0 || len(order) == 0 {
			again = reload(t, spec, again, EncodeChanges(total, nil, 0))
		}
		if rng.IntN(4) == 0 {
			again = reload(t, spec, Make(spec), total.Encode(nil, 0))
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
	for _, c := range []struct {
		spec  Spec
		bag   func(Accumulator) *bag
		value func(i int) string
	}{
		{of(expr.Count, column.Int8, column.Int8, expr.AggregateForm{Distinct: true}), func(a Accumulator) *bag { return &a.(*distinct).seen }, func(i int) string { return fmt.Sprint(i) }},
		{of(expr.Sum, column.Int8, column.Numeric, expr.AggregateForm{Distinct: true}), func(a Accumulator) *bag { return &a.(*distinct).seen }, func(i int) string { return fmt.Sprint(i) }},
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
