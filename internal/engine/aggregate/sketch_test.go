package aggregate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
)

var approxCount = of(expr.ApproxCountDistinct, column.Int8, column.Int8, expr.AggregateForm{})

// about gives the estimate of n different values, some met twice, and whether
// the group has registers.
func about(n int, first int64) (estimate float64, dense bool) {
	arg := column.NewVector(column.Of(column.Int8), n)
	for i := range n {
		arg.Int[i] = first + int64(i)
	}
	a := newCardinality()
	a.Grow(1)
	rows := rowsOf(n, 0)
	a.Update(rows, arg)
	rows.Rows, rows.Groups = rows.Rows[:n/8], rows.Groups[:n/8]
	a.Update(rows, arg)
	out := column.NewVector(column.Of(column.Int8), 1)
	a.Result(0, out, 0)
	return float64(out.Int[0]), a.blocks[0] != 0
}

// TestApproxCountError holds the estimate to the error that is stated: none up
// to 64 values, 1.6 % beyond as the root of the mean square, and no bias.
func TestApproxCountError(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64} {
		if got, dense := about(n, 7); got != float64(n) || dense {
			t.Errorf("%v for %d values", got, n)
		}
	}
	const standard = 1.04 / 64
	for _, c := range []struct{ n, trials int }{{65, 200}, {300, 200}, {3000, 100}, {30_000, 30}, {200_000, 8}} {
		var square, sum, worst float64
		for trial := range c.trials {
			got, dense := about(c.n, int64(trial)<<32)
			if !dense {
				t.Fatalf("%d values have no registers", c.n)
			}
			off := got/float64(c.n) - 1
			square += off * off
			sum += off
			worst = max(worst, math.Abs(off))
		}
		trials := float64(c.trials)
		root, bias := math.Sqrt(square/trials), sum/trials
		t.Logf("%d values: error %.2f %%, bias %.2f %%, at most %.2f %%", c.n, 100*root, 100*bias, 100*worst)
		// How far a root of a mean square, and a mean, of so many trials may be
		// from what it estimates: four of their own standard errors. An estimate
		// is rounded to a whole number.
		whole := 0.5 / float64(c.n)
		if root > standard*(1+4/math.Sqrt(2*trials))+whole || math.Abs(bias) > standard*4/math.Sqrt(trials)+whole || worst > 6*standard {
			t.Errorf("%d values: error %.2f %%, bias %.2f %%, at most %.2f %%; stated are 1.6 %%", c.n, 100*root, 100*bias, 100*worst)
		}
	}
}

// TestApproxPercentileError compares with the exact percentile: a value of the
// group, less than 1/256 of it away.
func TestApproxPercentileError(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 7))
	for _, value := range []func() float64{
		func() float64 { return rng.ExpFloat64() * 100 },
		func() float64 { return rng.NormFloat64() },
		func() float64 { return math.Ldexp(rng.NormFloat64(), rng.IntN(2000)-1000) },
		func() float64 { return float64(rng.IntN(200)) },
		func() float64 { return 1e9 + float64(rng.IntN(1000)) },
		func() float64 { return []float64{0, math.Inf(1), math.Inf(-1), math.NaN(), -1}[rng.IntN(5)] },
	} {
		for range 60 {
			values := make([]float64, 1+rng.IntN(3000))
			arg := column.NewVector(column.Of(column.Float8), len(values))
			for i := range values {
				values[i] = value()
				arg.Float[i] = values[i]
			}
			fraction := []float64{0, 1, 0.5, 0.99, rng.Float64()}[rng.IntN(5)]
			var got [2]float64
			for k, kind := range []expr.AggregateKind{expr.PercentileDisc, expr.ApproxPercentile} {
				a := Make(of(kind, column.Float8, column.Float8, expr.AggregateForm{Fraction: fraction}))
				a.Grow(1)
				a.Update(rowsOf(len(values), 0), arg)
				out := column.NewVector(column.Of(column.Float8), 1)
				if err := a.Result(0, out, 0); err != nil {
					t.Fatal(err)
				}
				got[k] = out.Float[0]
			}
			exact, near := got[0], got[1]
			same := exact == near || math.IsNaN(exact) && math.IsNaN(near)
			if !same && !(near > exact && near-exact < math.Abs(exact)/256) {
				t.Fatalf("percentile %g of %d values: %g, exact %g", fraction, len(values), near, exact)
			}
			if !slices.ContainsFunc(values, func(v float64) bool { return v == near || math.IsNaN(v) && math.IsNaN(near) }) {
				t.Fatalf("%g is none of the values", near)
			}
			if fraction == 1 && !same {
				t.Fatalf("the greatest value is %g, not %g", exact, near)
			}
		}
	}
}

// TestApproxPercentileIsBounded holds that no group of numbers is full.
func TestApproxPercentileIsBounded(t *testing.T) {
	if bytes := int64(1<<20) * (bagEntryBytes + 3); bytes > MaxSetBytes {
		t.Errorf("all buckets take %d bytes, more than a group may", bytes)
	}
}

// TestSketchesDoNotDependOnOrder cuts the same rows into parts in many ways,
// and restores what was written of them.
func TestSketchesDoNotDependOnOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 8))
	for _, n := range []int{1, 40, 64, 65, 90, 500, 3000} {
		for _, spec := range []Spec{approxCount, of(expr.ApproxPercentile, column.Float8, column.Float8, expr.AggregateForm{Fraction: 0.7})} {
			list := make([]string, n)
			for i := range list {
				if list[i] = fmt.Sprint(rng.IntN(1 << 30)); rng.IntN(10) == 0 {
					list[i] = []string{"NULL", list[0]}[rng.IntN(2)]
				}
			}
			all := Make(spec)
			all.Grow(1)
			all.Update(rowsOf(n, 0), texts(t, spec.Arg, list))
			want := result(all, spec.Result, 0)
			for range 6 {
				if whole, restored := inParts(t, rng, spec, list, list); whole != want || restored != want {
					t.Fatalf("%s of %d: %s, restored %s, want %s", spec.Kind, n, whole, restored, want)
				}
			}
		}
	}
}

// TestChangesOfRegisters holds that what is written of a group with registers
// is those that have risen.
func TestChangesOfRegisters(t *testing.T) {
	arg := column.NewVector(column.Of(column.Int8), 5001)
	for i := range arg.Int {
		arg.Int[i] = int64(i)
	}
	a := newCardinality()
	a.Grow(1)
	rows := rowsOf(arg.Len(), 0)
	rows.Rows, rows.Groups = rows.Rows[:5000], rows.Groups[:5000]
	a.Update(rows, arg)
	if n := len(a.EncodeChanges(nil, 0)); n < 1000 {
		t.Errorf("%d bytes for 5,000 values", n)
	}
	a.Update(rows, arg)
	if n := len(a.EncodeChanges(nil, 0)); n > 2 {
		t.Errorf("%d bytes for nothing new", n)
	}
	a.Update(&Rows{Groups: []uint32{0}, Rows: []int32{5000}, Offsets: rows.Offsets, Times: rows.Times}, arg)
	if n := len(a.EncodeChanges(nil, 0)); n > 8 {
		t.Errorf("%d bytes for one value more", n)
	}
}
