package aggregate

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/expr"
)

// texts makes a vector of values from their text, "NULL" for none.
func texts(t testing.TB, typ column.Type, values []string) *column.Vector {
	t.Helper()
	v := column.NewVector(typ, len(values))
	for i, s := range values {
		if s == "NULL" {
			v.Null[i] = true
			continue
		}
		if err := datum.Input(v, i, []byte(s)); err != nil {
			t.Fatalf("%s %q: %v", typ, s, err)
		}
	}
	return v
}

func result(a Accumulator, typ column.Type, g uint32) string {
	out := column.NewVector(typ, 1)
	if err := a.Result(g, out, 0); err != nil {
		return err.Code + " " + err.Message
	}
	if out.Null[0] {
		return "NULL"
	}
	return string(datum.Append(nil, out, 0))
}

func rowsOf(n int, partition int32) *Rows {
	r := &Rows{Partition: partition, Groups: make([]uint32, n)}
	for i := range n {
		r.Rows = append(r.Rows, int32(i))
		r.Offsets = append(r.Offsets, int64(i))
		r.Times = append(r.Times, int64(i%3)) // several rows of one time
	}
	return r
}

func TestResults(t *testing.T) {
	cases := []struct {
		kind        expr.AggregateKind
		arg, result column.Kind
		values      []string
		want        string
	}{
		{expr.Count, column.Text, column.Int8, []string{"a", "NULL", "b"}, "2"},
		{expr.CountStar, column.Invalid, column.Int8, []string{"a", "NULL", "b"}, "3"},
		{expr.Sum, column.Int4, column.Int8, []string{"2147483647", "2147483647", "NULL"}, "4294967294"},
		{expr.Sum, column.Int4, column.Int8, []string{"NULL"}, "NULL"},
		{expr.Sum, column.Int8, column.Numeric, []string{"9223372036854775807", "9223372036854775807"}, "18446744073709551614"},
		{expr.Sum, column.Int8, column.Numeric, []string{"-9223372036854775808", "-9223372036854775808"}, "-18446744073709551616"},
		{expr.Avg, column.Int4, column.Numeric, []string{"1", "2"}, "1.5000000000000000"},
		{expr.Avg, column.Int4, column.Numeric, []string{"10", "10", "11"}, "10.3333333333333333"},
		{expr.Sum, column.Numeric, column.Numeric, []string{"1.10", "2.2", "NULL"}, "3.30"},
		{expr.Sum, column.Numeric, column.Numeric, []string{"1", "99999999999999999999999999999999999999999.5"}, "100000000000000000000000000000000000000000.5"},
		{expr.Sum, column.Numeric, column.Numeric, []string{"Infinity", "-Infinity"}, "NaN"},
		{expr.Sum, column.Numeric, column.Numeric, []string{"Infinity", "1"}, "Infinity"},
		{expr.Avg, column.Numeric, column.Numeric, []string{"1.0", "2.00"}, "1.5000000000000000"},
		{expr.Sum, column.Float8, column.Float8, []string{"0.1", "0.2", "0.3"}, "0.6"},
		{expr.Sum, column.Float8, column.Float8, []string{"1e308", "1e308"}, "22003 value out of range: overflow"},
		{expr.Sum, column.Float8, column.Float8, []string{"1e308", "1e308", "-1e308"}, "1e+308"},
		{expr.Sum, column.Float8, column.Float8, []string{"Infinity", "1"}, "Infinity"},
		{expr.Sum, column.Float8, column.Float8, []string{"Infinity", "-Infinity"}, "NaN"},
		{expr.Sum, column.Float8, column.Float8, []string{"5e-324", "5e-324"}, "1e-323"},
		{expr.Sum, column.Float4, column.Float4, []string{"3e38", "3e38"}, "22003 value out of range: overflow"},
		{expr.Avg, column.Float8, column.Float8, []string{"1", "2", "NULL"}, "1.5"},
		{expr.Min, column.Int4, column.Int4, []string{"3", "-1", "NULL", "2"}, "-1"},
		{expr.Max, column.Int4, column.Int4, []string{"3", "-1", "NULL", "2"}, "3"},
		{expr.Max, column.Text, column.Text, []string{"a", "é", "z"}, "é"},
		{expr.Max, column.Float8, column.Float8, []string{"1", "NaN", "Infinity"}, "NaN"},
		{expr.Min, column.Numeric, column.Numeric, []string{"1.0", "1.00", "2"}, "1.00"},
		{expr.Max, column.Numeric, column.Numeric, []string{"2.00", "2.0", "1"}, "2.0"},
		{expr.BoolAnd, column.Bool, column.Bool, []string{"t", "NULL", "f"}, "f"},
		{expr.BoolAnd, column.Bool, column.Bool, []string{"t", "NULL"}, "t"},
		{expr.BoolOr, column.Bool, column.Bool, []string{"f", "NULL"}, "f"},
		{expr.BoolOr, column.Bool, column.Bool, []string{"NULL"}, "NULL"},
		{expr.VarPop, column.Float8, column.Float8, []string{"1e8", "100000001", "100000002", "NULL"}, "0.6666666666666666"},
		{expr.VarSamp, column.Float8, column.Float8, []string{"1"}, "NULL"},
		{expr.VarPop, column.Float8, column.Float8, []string{"0.1", "0.1", "0.1"}, "0"},
		{expr.StddevPop, column.Float8, column.Float8, []string{"1e300", "-1e300"}, "1e+300"},
		{expr.VarPop, column.Float8, column.Float8, []string{"1e300", "-1e300"}, "22003 value out of range: overflow"},
		{expr.StddevPop, column.Float8, column.Float8, []string{"1e-300", "-1e-300"}, "1e-300"},
		{expr.StddevSamp, column.Float8, column.Float8, []string{"1", "Infinity"}, "NaN"},
		{expr.StddevSamp, column.Float4, column.Float8, []string{"1.5", "2.5"}, "0.7071067811865476"},
		{expr.BitAnd, column.Int4, column.Int4, []string{"6", "NULL", "3"}, "2"},
		{expr.BitOr, column.Int2, column.Int2, []string{"1", "-32768"}, "-32767"},
		{expr.BitXor, column.Int8, column.Int8, []string{"5", "3", "5"}, "3"},
		{expr.BitXor, column.Int8, column.Int8, []string{"NULL"}, "NULL"},
		{expr.FirstValue, column.Text, column.Text, []string{"a", "b", "c", "d"}, "a"},
		{expr.LastValue, column.Text, column.Text, []string{"a", "b", "c", "d"}, "c"},
		{expr.LastValue, column.Numeric, column.Numeric, []string{"1", "2", "3", "4", "5", "1.00"}, "1.00"},
		{expr.FirstValue, column.Int4, column.Int4, []string{"NULL", "2"}, "NULL"},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%d %s %v", c.kind, c.arg, c.values), func(t *testing.T) {
			typ := column.Of(c.arg)
			var arg *column.Vector
			if c.arg != column.Invalid {
				arg = texts(t, typ, c.values)
			}
			a := New(c.kind, typ, column.Of(c.result))
			a.Grow(1)
			a.Update(rowsOf(len(c.values), 0), arg)
			if got := result(a, column.Of(c.result), 0); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestOrderDoesNotMatter cuts the same rows into partials in many ways,
// merges them in any order, with a trip through the encoding, and wants the
// same result to the last digit.
func TestOrderDoesNotMatter(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	kinds := []struct {
		kind        expr.AggregateKind
		arg, result column.Kind
		value       func() string
	}{
		{expr.Sum, column.Float8, column.Float8, func() string { return randomFloat(rng) }},
		{expr.Avg, column.Float8, column.Float8, func() string { return randomFloat(rng) }},
		{expr.Sum, column.Float4, column.Float4, func() string { return fmt.Sprint(float32(rng.NormFloat64() * 1e3)) }},
		{expr.Sum, column.Numeric, column.Numeric, func() string { return randomNumeric(rng) }},
		{expr.Avg, column.Numeric, column.Numeric, func() string { return randomNumeric(rng) }},
		{expr.Sum, column.Int8, column.Numeric, func() string { return fmt.Sprint(int64(rng.Uint64())) }},
		{expr.Min, column.Numeric, column.Numeric, func() string { return []string{"1", "1.0", "1.00", "2"}[rng.IntN(4)] }},
		{expr.Max, column.Float8, column.Float8, func() string { return []string{"0", "-0", "-1"}[rng.IntN(3)] }},
		{expr.Max, column.Text, column.Text, func() string { return fmt.Sprint(rng.IntN(1000)) }},
		{expr.VarSamp, column.Float8, column.Float8, func() string { return randomFloat(rng) }},
		{expr.StddevPop, column.Float8, column.Float8, func() string { return randomFloat(rng) }},
		{expr.StddevSamp, column.Numeric, column.Numeric, func() string { return randomNumeric(rng) }},
		{expr.VarPop, column.Int8, column.Numeric, func() string { return fmt.Sprint(int64(rng.Uint64()) >> rng.IntN(64)) }},
		{expr.BitXor, column.Int4, column.Int4, func() string { return fmt.Sprint(int32(rng.Uint32())) }},
		{expr.BitAnd, column.Int4, column.Int4, func() string { return fmt.Sprint(int32(rng.Uint32()) | 1<<rng.IntN(31)) }},
		{expr.FirstValue, column.Text, column.Text, func() string { return fmt.Sprint(rng.IntN(1000)) }},
		{expr.LastValue, column.Numeric, column.Numeric, func() string { return []string{"1", "NULL", "1.00", "2"}[rng.IntN(4)] }},
	}
	for _, k := range kinds {
		values := make([]string, 200)
		for i := range values {
			values[i] = k.value()
		}
		typ, out := column.Of(k.arg), column.Of(k.result)
		arg := texts(t, typ, values)
		whole := New(k.kind, typ, out)
		whole.Grow(1)
		whole.Update(rowsOf(len(values), 0), arg)
		want := result(whole, out, 0)
		for range 20 {
			if got := result(shuffled(t, rng, k.kind, typ, out, arg), out, 0); got != want {
				t.Fatalf("aggregate %d over %s: got %s, want %s\n%v", k.kind, k.arg, got, want, values)
			}
		}
	}
}

func shuffled(t *testing.T, rng *rand.Rand, kind expr.AggregateKind, typ, out column.Type, arg *column.Vector) Accumulator {
	n := arg.Len()
	parts := make([]Accumulator, 1+rng.IntN(5))
	for i := range parts {
		parts[i] = New(kind, typ, out)
		parts[i].Grow(1)
	}
	all := rowsOf(n, 0)
	for _, i := range rng.Perm(n) {
		parts[rng.IntN(len(parts))].Update(&Rows{Groups: []uint32{0}, Rows: []int32{int32(i)}, Offsets: all.Offsets, Times: all.Times}, arg)
	}
	total := New(kind, typ, out)
	total.Grow(1)
	for _, p := range parts {
		total.Merge(0, p, 0)
		next := New(kind, typ, out)
		next.Grow(1)
		rest, err := next.Decode(total.Encode(nil, 0), 0)
		if err != nil || len(rest) != 0 {
			t.Fatalf("decode: %v, %d bytes left", err, len(rest))
		}
		total = next
	}
	return total
}

func randomFloat(rng *rand.Rand) string {
	switch rng.IntN(10) {
	case 0:
		return fmt.Sprint(math.Ldexp(rng.NormFloat64(), rng.IntN(1900)-1000))
	case 1:
		return "5e-324"
	}
	return fmt.Sprint(rng.NormFloat64() * 1e4)
}

func randomNumeric(rng *rand.Rand) string {
	s := fmt.Sprintf("%d.%0*d", int64(rng.Uint64())>>rng.IntN(60), 1+rng.IntN(10), rng.IntN(10))
	if rng.IntN(20) == 0 {
		s = "1234567890123456789012345678901234567890" + s[1:]
	}
	return s
}

// TestFloatSumIsExact compares with sums in arbitrary precision, over values
// of all magnitudes and after more additions than a limb takes at once.
func TestFloatSumIsExact(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	for range 300 {
		a := &floatSum{result: column.Float8}
		a.Grow(1)
		want := new(big.Float).SetPrec(2500)
		for range rng.IntN(200) {
			x := math.Float64frombits(rng.Uint64())
			if rng.IntN(2) == 0 {
				x = rng.NormFloat64()
			}
			if math.IsNaN(x) || math.IsInf(x, 0) {
				continue
			}
			a.groups[0].n++
			a.add(0, x)
			want.Add(want, new(big.Float).SetFloat64(x))
			if rng.IntN(10) == 0 {
				a.carry(0)
			}
		}
		f, _ := want.Float64()
		if got, _ := a.sum(0); got != f {
			t.Fatalf("got %v, want %v", got, f)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{2, 0, 1, 33, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, a := range []Accumulator{
			New(expr.Sum, column.Of(column.Float8), column.Of(column.Float8)),
			New(expr.Avg, column.Of(column.Numeric), column.Of(column.Numeric)),
			New(expr.Max, column.Of(column.Text), column.Of(column.Text)),
			New(expr.BoolAnd, column.Of(column.Bool), column.Of(column.Bool)),
			New(expr.Sum, column.Of(column.Int8), column.Of(column.Numeric)),
			New(expr.VarPop, column.Of(column.Numeric), column.Of(column.Numeric)),
			New(expr.StddevSamp, column.Of(column.Float8), column.Of(column.Float8)),
			New(expr.BitOr, column.Of(column.Int8), column.Of(column.Int8)),
			New(expr.LastValue, column.Of(column.Text), column.Of(column.Text)),
			New(expr.StringAgg, column.Of(column.Text), column.Of(column.Text)),
			New(expr.PercentileDisc, column.Of(column.Numeric), column.Of(column.Numeric)),
			New(expr.ApproxCountDistinct, column.Of(column.Text), column.Of(column.Int8)),
			Make(of(expr.Sum, column.Numeric, column.Numeric, expr.AggregateForm{Distinct: true})),
		} {
			a.Grow(1)
			// Must not panic, whatever b is.
			if _, err := a.Decode(b, 0); err == nil {
				_, _ = a.Decode(b, 0)
			}
		}
	})
}

func BenchmarkFloatSum(b *testing.B) {
	const n = 4096
	arg := column.NewVector(column.Of(column.Float8), n)
	for i := range n {
		arg.Float[i] = float64(i) * 1.25
	}
	rows := rowsOf(n, 0)
	for i := range rows.Groups {
		rows.Groups[i] = uint32(i % 64)
	}
	a := New(expr.Sum, column.Of(column.Float8), column.Of(column.Float8))
	a.Grow(64)
	b.ReportAllocs()
	for b.Loop() {
		a.Update(rows, arg)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
}
