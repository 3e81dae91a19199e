package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// inexactFunctions are logarithms, powers and trigonometry on doubles. Their
// last digit is not defined: PostgreSQL takes it from its C library, this
// program from Go's. On machines of one kind the same log gives the same
// tables; results differ from PostgreSQL's by some units in the last place.
func inexactFunctions() []*Function {
	const f8 = column.Float8
	one := func(name, doc string, op func(float64) (float64, *sqlerr.Error)) *Function {
		return line(name, kinds(f8), f8, floatChecked(op), doc)
	}
	return []*Function{
		one("cbrt", "cube root", always(math.Cbrt)),
		one("||/", "cube root", always(math.Cbrt)),
		one("exp", "e raised to a power", exponential),
		one("ln", "natural logarithm", logarithm(naturalLog)),
		one("log", "logarithm to base 10", logarithm(decimalLog)),
		one("log10", "logarithm to base 10", logarithm(decimalLog)),
		line("power", kinds(f8, f8), f8, floatKernel(powerFloats), "a number raised to a power"),
		line("pow", kinds(f8, f8), f8, floatKernel(powerFloats), "a number raised to a power"),
		line("^", kinds(f8, f8), f8, floatKernel(powerFloats), "a number raised to a power"),
		one("sin", "sine", ofFinite(math.Sin)),
		one("cos", "cosine", ofFinite(math.Cos)),
		one("tan", "tangent", ofFinite(math.Tan)),
		one("cot", "cotangent", ofFinite(func(x float64) float64 { return 1 / math.Tan(x) })),
		one("asin", "inverse sine", within(-1, 1, math.Asin)),
		one("acos", "inverse cosine", within(-1, 1, math.Acos)),
		one("atan", "inverse tangent", always(math.Atan)),
		line("atan2", kinds(f8, f8), f8, floatKernel(func(y, x float64) (float64, *sqlerr.Error) { return math.Atan2(y, x), nil }), "inverse tangent of a quotient"),
		one("sinh", "hyperbolic sine", always(hyperbolicSine)),
		one("cosh", "hyperbolic cosine", always(hyperbolicCosine)),
		one("tanh", "hyperbolic tangent", always(math.Tanh)),
		one("asinh", "inverse hyperbolic sine", always(math.Asinh)),
		one("acosh", "inverse hyperbolic cosine", within(1, math.Inf(1), math.Acosh)),
		one("atanh", "inverse hyperbolic tangent", within(-1, 1, math.Atanh)),
	}
}

var errInputRange = sqlerr.New(sqlerr.NumericValueOutOfRange, "input is out of range")

// always makes a function that can't fail one that could.
func always(op func(float64) float64) func(float64) (float64, *sqlerr.Error) {
	return func(x float64) (float64, *sqlerr.Error) { return op(x), nil }
}

// ofFinite refuses infinities.
func ofFinite(op func(float64) float64) func(float64) (float64, *sqlerr.Error) {
	return func(x float64) (float64, *sqlerr.Error) {
		if math.IsInf(x, 0) {
			return 0, errInputRange
		}
		return op(x), nil
	}
}

// within refuses what lies outside of a function's domain.
func within(low, high float64, op func(float64) float64) func(float64) (float64, *sqlerr.Error) {
	return func(x float64) (float64, *sqlerr.Error) {
		if x < low || x > high {
			return 0, errInputRange
		}
		return op(x), nil
	}
}

// maxExponent is below the greatest number whose exponential is finite.
const maxExponent = 709

func hyperbolicSine(x float64) float64 {
	if math.Abs(x) > maxExponent {
		return math.Copysign(hyperbolicCosine(x), x)
	}
	return math.Sinh(x)
}

func hyperbolicCosine(x float64) float64 {
	if math.Abs(x) > maxExponent {
		half := math.Exp(math.Abs(x) / 2)
		return half / 2 * half
	}
	return math.Cosh(x)
}

func exponential(x float64) (float64, *sqlerr.Error) {
	y := math.Exp(x)
	switch {
	case math.IsInf(y, 1) && !math.IsInf(x, 0):
		return 0, errFloatOverflow
	case y == 0 && !math.IsInf(x, 0):
		return 0, errFloatUnderflow
	}
	return y, nil
}

var (
	errLogOfZero     = sqlerr.New(sqlerr.InvalidLogArgument, "cannot take logarithm of zero")
	errLogOfNegative = sqlerr.New(sqlerr.InvalidLogArgument, "cannot take logarithm of a negative number")
	errZeroPower     = sqlerr.New(sqlerr.InvalidPowerArgument, "zero raised to a negative power is undefined")
	errComplexPower  = sqlerr.New(sqlerr.InvalidPowerArgument, "a negative number raised to a non-integer power yields a complex result")
)

func logarithm(op func(float64) float64) func(float64) (float64, *sqlerr.Error) {
	return func(x float64) (float64, *sqlerr.Error) {
		switch {
		case x == 0:
			return 0, errLogOfZero
		case x < 0:
			return 0, errLogOfNegative
		}
		return op(x), nil
	}
}

func powerFloats(x, y float64) (float64, *sqlerr.Error) {
	switch {
	case math.IsNaN(x) || math.IsNaN(y):
		return math.Pow(x, y), nil
	case x == 0 && y < 0:
		return 0, errZeroPower
	case x < 0 && math.Floor(y) != y:
		return 0, errComplexPower
	}
	if math.IsInf(x, 0) || math.IsInf(y, 0) || x == 0 {
		if x == -1 {
			return 1, nil
		}
		return math.Pow(x, y), nil
	}
	z := power(x, y)
	switch {
	case math.IsInf(z, 0):
		return 0, errFloatOverflow
	case z == 0:
		return 0, errFloatUnderflow
	}
	return z, nil
}
