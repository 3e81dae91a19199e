package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// integerRange is an integer type's range and what PostgreSQL says of a
// value outside it.
type integerRange struct {
	low, high int64
	err       *sqlerr.Error
}

var integerRanges = map[column.Kind]integerRange{
	column.Int2: {math.MinInt16, math.MaxInt16, sqlerr.New(sqlerr.NumericValueOutOfRange, "smallint out of range")},
	column.Int4: {math.MinInt32, math.MaxInt32, sqlerr.New(sqlerr.NumericValueOutOfRange, "integer out of range")},
	column.Int8: {math.MinInt64, math.MaxInt64, sqlerr.New(sqlerr.NumericValueOutOfRange, "bigint out of range")},
}

var errDivisionByZero = sqlerr.New(sqlerr.DivisionByZero, "division by zero")

// integerKernel makes a kernel of an operation that tells whether it fits 64
// bits.
func integerKernel(result column.Kind, op func(a, b int64) (int64, bool)) kernel {
	r := integerRanges[result]
	return func(f *frame) {
		a, b, out := f.args[0].Int, f.args[1].Int, f.out.Int
		for _, i := range f.sel {
			n, ok := op(a[i], b[i])
			if !ok || n < r.low || n > r.high {
				f.fail(i, r.err)
				continue
			}
			out[i] = n
		}
	}
}

func addIntegers(a, b int64) (int64, bool) {
	n := a + b
	return n, (n > a) == (b > 0)
}

func subtractIntegers(a, b int64) (int64, bool) {
	n := a - b
	return n, (n < a) == (b > 0)
}

func multiplyIntegers(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	if a == -1 && b == math.MinInt64 || b == -1 && a == math.MinInt64 {
		return 0, false
	}
	n := a * b
	return n, n/b == a
}

func divideInteger(result column.Kind) kernel {
	r := integerRanges[result]
	return func(f *frame) {
		a, b, out := f.args[0].Int, f.args[1].Int, f.out.Int
		for _, i := range f.sel {
			switch {
			case b[i] == 0:
				f.fail(i, errDivisionByZero)
			case b[i] == -1 && a[i] == r.low:
				f.fail(i, r.err)
			default:
				out[i] = a[i] / b[i]
			}
		}
	}
}

func remainderInteger(f *frame) {
	a, b, out := f.args[0].Int, f.args[1].Int, f.out.Int
	for _, i := range f.sel {
		switch b[i] {
		case 0:
			f.fail(i, errDivisionByZero)
		case -1:
			out[i] = 0
		default:
			out[i] = a[i] % b[i]
		}
	}
}

func negateInteger(kind column.Kind) kernel {
	r := integerRanges[kind]
	return func(f *frame) {
		a, out := f.args[0].Int, f.out.Int
		for _, i := range f.sel {
			if a[i] == r.low {
				f.fail(i, r.err)
				continue
			}
			out[i] = -a[i]
		}
	}
}

func absoluteInteger(kind column.Kind) kernel {
	r := integerRanges[kind]
	return func(f *frame) {
		a, out := f.args[0].Int, f.out.Int
		for _, i := range f.sel {
			if a[i] == r.low {
				f.fail(i, r.err)
				continue
			}
			out[i] = max(a[i], -a[i])
		}
	}
}

// same gives its argument.
func same(f *frame) { copyRows(f.out, f.args[0], f.sel) }
