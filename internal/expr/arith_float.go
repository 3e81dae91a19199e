package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

var (
	errFloatOverflow  = sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: overflow")
	errFloatUnderflow = sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: underflow")
)

// floatKernel makes a kernel of an operation on doubles.
func floatKernel(op func(a, b float64) (float64, *sqlerr.Error)) kernel {
	return func(f *frame) {
		a, b, out := f.args[0].Float, f.args[1].Float, f.out.Float
		for _, i := range f.sel {
			x, err := op(a[i], b[i])
			if err != nil {
				f.fail(i, err)
				continue
			}
			out[i] = x
		}
	}
}

// checked gives the error that PostgreSQL gives when finite operands make an
// infinity, or (for products and quotients) operands other than zero make
// zero.
func overflowed(result, a, b float64) bool {
	return math.IsInf(result, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0)
}

func addFloats(a, b float64) (float64, *sqlerr.Error) {
	x := a + b
	if overflowed(x, a, b) {
		return 0, errFloatOverflow
	}
	return x, nil
}

func subtractFloats(a, b float64) (float64, *sqlerr.Error) { return addFloats(a, -b) }

func multiplyFloats(a, b float64) (float64, *sqlerr.Error) {
	return checkProduct(a*b, a, b)
}

func checkProduct(x, a, b float64) (float64, *sqlerr.Error) {
	if overflowed(x, a, b) {
		return 0, errFloatOverflow
	}
	if x == 0 && a != 0 && b != 0 {
		return 0, errFloatUnderflow
	}
	return x, nil
}

func divideFloats(a, b float64) (float64, *sqlerr.Error) {
	if b == 0 && !math.IsNaN(a) {
		return 0, errDivisionByZero
	}
	return checkQuotient(a/b, a, b)
}

func checkQuotient(x, a, b float64) (float64, *sqlerr.Error) {
	if math.IsInf(x, 0) && !math.IsInf(a, 0) {
		return 0, errFloatOverflow
	}
	if x == 0 && a != 0 && !math.IsInf(b, 0) {
		return 0, errFloatUnderflow
	}
	return x, nil
}

// The operations on reals compute in single precision; a real is held as the
// double that equals it.

func addReals(a, b float64) (float64, *sqlerr.Error) {
	x := float64(float32(a) + float32(b))
	if overflowed(x, a, b) {
		return 0, errFloatOverflow
	}
	return x, nil
}

func subtractReals(a, b float64) (float64, *sqlerr.Error) { return addReals(a, -b) }

func multiplyReals(a, b float64) (float64, *sqlerr.Error) {
	return checkProduct(float64(float32(a)*float32(b)), a, b)
}

func divideReals(a, b float64) (float64, *sqlerr.Error) {
	if b == 0 && !math.IsNaN(a) {
		return 0, errDivisionByZero
	}
	return checkQuotient(float64(float32(a)/float32(b)), a, b)
}

// floatFunction makes a kernel of a function that can't fail.
func floatFunction(op func(float64) float64) kernel {
	return func(f *frame) {
		a, out := f.args[0].Float, f.out.Float
		for _, i := range f.sel {
			out[i] = op(a[i])
		}
	}
}

func negateFloat(x float64) float64 { return -x }
