package expr

import (
	"math"
	"math/big"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// mathFunctions are the functions of numbers whose results are exact, or
// rounded as IEEE 754 says: the same on every machine.
func mathFunctions() []*Function {
	const i4, i8, f8, number = column.Int4, column.Int8, column.Float8, column.Numeric
	return []*Function{
		line("sqrt", kinds(f8), f8, floatChecked(squareRoot), "square root"),
		line("|/", kinds(f8), f8, floatChecked(squareRoot), "square root"),
		line("sqrt", kinds(number), number, decimalFunction(decimal.Decimal.Sqrt), "square root, with at least 16 significant digits"),
		line("sign", kinds(f8), f8, floatFunction(signOfFloat), "-1, 0 or 1"),
		line("sign", kinds(number), number, decimalFunction(signOfDecimal), "-1, 0 or 1"),
		line("trunc", kinds(f8), f8, floatFunction(math.Trunc), "cut to an integer, towards zero"),
		line("trunc", kinds(number), number, decimalFunction(truncDecimal), "cut to an integer, towards zero"),
		line("trunc", kinds(number, i4), number, truncToScale, "cut to so many digits after the point, towards zero"),
		line("div", kinds(number, number), number, decimalKernel(decimal.Decimal.DivTrunc), "quotient, cut to an integer"),
		line("gcd", kinds(i4, i4), i4, divisorInteger(i4), "greatest common divisor"),
		line("gcd", kinds(i8, i8), i8, divisorInteger(i8), "greatest common divisor"),
		line("gcd", kinds(number, number), number, decimalKernel(decimal.Decimal.GCD), "greatest common divisor"),
		line("lcm", kinds(i4, i4), i4, multipleInteger(i4), "least common multiple"),
		line("lcm", kinds(i8, i8), i8, multipleInteger(i8), "least common multiple"),
		line("lcm", kinds(number, number), number, decimalKernel(decimal.Decimal.LCM), "least common multiple"),
		line("scale", kinds(number), i4, scaleOf(false), "number of digits after the point"),
		line("min_scale", kinds(number), i4, scaleOf(true), "number of digits after the point that are needed"),
		line("trim_scale", kinds(number), number, decimalFunction(trimScale), "without zeros at the end"),
		line("width_bucket", kinds(f8, f8, f8, i4), i4, widthBucketFloat, "number of the bucket, of equal ones between two bounds, that holds a value"),
		line("width_bucket", kinds(number, number, number, i4), i4, widthBucketDecimal, "number of the bucket, of equal ones between two bounds, that holds a value"),
		line("degrees", kinds(f8), f8, floatChecked(degrees), "radians as degrees"),
		line("radians", kinds(f8), f8, floatChecked(radians), "degrees as radians"),
		line("pi", kinds(), f8, piKernel, "π"),
		line("exp", kinds(number), number, decimalFunction(decimal.Decimal.Exp), "e raised to a power, with at least 16 significant digits"),
		line("ln", kinds(number), number, decimalFunction(decimal.Decimal.Ln), "natural logarithm, with at least 16 significant digits"),
		line("log", kinds(number), number, decimalFunction(logOfDecimal), "logarithm to base 10, with at least 16 significant digits"),
		line("log10", kinds(number), number, decimalFunction(logOfDecimal), "logarithm to base 10, with at least 16 significant digits"),
		line("log", kinds(number, number), number, decimalKernel(decimal.Decimal.Log), "logarithm of the second to the base of the first"),
		line("power", kinds(number, number), number, decimalKernel(decimal.Decimal.Pow), "a number raised to a power, with at least 16 digits after the point, or significant ones"),
		line("pow", kinds(number, number), number, decimalKernel(decimal.Decimal.Pow), "a number raised to a power"),
		line("^", kinds(number, number), number, decimalKernel(decimal.Decimal.Pow), "a number raised to a power"),
	}
}

// logOfDecimal is the logarithm to base 10.
func logOfDecimal(d decimal.Decimal) (decimal.Decimal, *sqlerr.Error) {
	return decimal.FromInt64(10).Log(d)
}

// bitFunctions are the operators on the bits of integers.
func bitFunctions() []*Function {
	var out []*Function
	for _, k := range []column.Kind{column.Int2, column.Int4, column.Int8} {
		out = append(out,
			line("&", kinds(k, k), k, bits(func(a, b int64) int64 { return a & b }), "bits that are set in both"),
			line("|", kinds(k, k), k, bits(func(a, b int64) int64 { return a | b }), "bits that are set in one or both"),
			line("#", kinds(k, k), k, bits(func(a, b int64) int64 { return a ^ b }), "bits that are set in one, not both"),
			line("~", kinds(k), k, notBits, "bits that are not set"),
			line("<<", kinds(k, column.Int4), k, shiftBits(k, true), "bits moved to the left"),
			line(">>", kinds(k, column.Int4), k, shiftBits(k, false), "bits moved to the right, the sign kept"),
		)
	}
	absolute := func(k column.Kind, by kernel) *Function { return line("@", kinds(k), k, by, "absolute value") }
	return append(out,
		absolute(column.Int2, absoluteInteger(column.Int2)),
		absolute(column.Int4, absoluteInteger(column.Int4)),
		absolute(column.Int8, absoluteInteger(column.Int8)),
		absolute(column.Float4, floatFunction(math.Abs)),
		absolute(column.Float8, floatFunction(math.Abs)),
		absolute(column.Numeric, decimalFunction(absoluteDecimal)),
	)
}

func bits(op func(a, b int64) int64) kernel {
	return func(f *frame) {
		a, b, out := f.args[0].Int, f.args[1].Int, f.out.Int
		for _, i := range f.sel {
			out[i] = op(a[i], b[i])
		}
	}
}

func notBits(f *frame) {
	a, out := f.args[0].Int, f.out.Int
	for _, i := range f.sel {
		out[i] = ^a[i]
	}
}

// shiftBits shifts as processors do, by the count's lowest bits: 6 for a
// bigint, 5 for shorter integers, which are computed in 32 bits.
func shiftBits(kind column.Kind, left bool) kernel {
	mask := int64(31)
	if kind == column.Int8 {
		mask = 63
	}
	return func(f *frame) {
		a, by, out := f.args[0].Int, f.args[1].Int, f.out.Int
		for _, i := range f.sel {
			x := a[i] >> (by[i] & mask)
			if left {
				x = a[i] << (by[i] & mask)
			}
			switch kind {
			case column.Int2:
				x = int64(int16(x))
			case column.Int4:
				x = int64(int32(x))
			}
			out[i] = x
		}
	}
}

// floatChecked makes a kernel of a function that can fail.
func floatChecked(op func(float64) (float64, *sqlerr.Error)) kernel {
	return func(f *frame) {
		a, out := f.args[0].Float, f.out.Float
		for _, i := range f.sel {
			x, err := op(a[i])
			if err != nil {
				f.fail(i, err)
				continue
			}
			out[i] = x
		}
	}
}

func squareRoot(x float64) (float64, *sqlerr.Error) {
	if x < 0 {
		return 0, decimal.ErrNegativeRoot
	}
	return math.Sqrt(x), nil
}

func signOfFloat(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func signOfDecimal(d decimal.Decimal) (decimal.Decimal, *sqlerr.Error) {
	if d.IsNaN() {
		return d, nil
	}
	return decimal.FromInt64(int64(d.Sign())), nil
}

func truncDecimal(d decimal.Decimal) (decimal.Decimal, *sqlerr.Error) { return d.Trunc(0) }

// truncToScale is trunc(numeric, integer).
func truncToScale(f *frame) {
	scale := f.args[1].Int
	for _, i := range f.sel {
		d, err := f.decimal(0, i).Trunc(int32(scale[i]))
		f.setDecimal(i, d, err)
	}
}

func trimScale(d decimal.Decimal) (decimal.Decimal, *sqlerr.Error) { return d.Trunc(d.MinScale()) }

// scaleOf is scale and, if least, min_scale: NULL for NaN and infinities.
func scaleOf(least bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			d := f.decimal(0, i)
			if f.out.Null[i] = d.IsNaN() || d.IsInf() != 0; f.out.Null[i] {
				continue
			}
			f.out.Int[i] = int64(d.Scale())
			if least {
				f.out.Int[i] = int64(d.MinScale())
			}
		}
	}
}

func outOfRange(kind column.Kind) *sqlerr.Error {
	return sqlerr.New(sqlerr.NumericValueOutOfRange, "%s out of range", kind.Name())
}

func greatestDivisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func absolute(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// divisorInteger is gcd; that of the least integer with itself or 0 is out of
// range.
func divisorInteger(kind column.Kind) kernel {
	limit := uint64(math.MaxInt32)
	if kind == column.Int8 {
		limit = math.MaxInt64
	}
	failure := outOfRange(kind)
	return func(f *frame) {
		for _, i := range f.sel {
			d := greatestDivisor(absolute(f.args[0].Int[i]), absolute(f.args[1].Int[i]))
			if d > limit {
				f.fail(i, failure)
				continue
			}
			f.out.Int[i] = int64(d)
		}
	}
}

func multipleInteger(kind column.Kind) kernel {
	limit := uint64(math.MaxInt32)
	if kind == column.Int8 {
		limit = math.MaxInt64
	}
	failure := outOfRange(kind)
	return func(f *frame) {
		for _, i := range f.sel {
			a, b := absolute(f.args[0].Int[i]), absolute(f.args[1].Int[i])
			if a == 0 || b == 0 {
				f.out.Int[i] = 0
				continue
			}
			if a /= greatestDivisor(a, b); a > limit/b {
				f.fail(i, failure)
				continue
			}
			f.out.Int[i] = int64(a * b)
		}
	}
}

const radiansPerDegree = 0.0174532925199432957692

func degrees(x float64) (float64, *sqlerr.Error) { return divideFloats(x, radiansPerDegree) }

func radians(x float64) (float64, *sqlerr.Error) { return multiplyFloats(x, radiansPerDegree) }

func piKernel(f *frame) {
	for _, i := range f.sel {
		f.out.Float[i] = math.Pi
	}
}

var (
	errBucketCount  = sqlerr.New(sqlerr.InvalidWidthBucket, "count must be greater than zero")
	errBucketNaN    = sqlerr.New(sqlerr.InvalidWidthBucket, "operand, lower bound, and upper bound cannot be NaN")
	errBucketBounds = sqlerr.New(sqlerr.InvalidWidthBucket, "lower and upper bounds must be finite")
	errBucketEqual  = sqlerr.New(sqlerr.InvalidWidthBucket, "lower bound cannot equal upper bound")
)

// setBucket sets the number of a bucket, or fails the row.
func (f *frame) setBucket(i int32, n int64, err *sqlerr.Error) {
	switch {
	case err != nil:
		f.fail(i, err)
	case n > math.MaxInt32:
		f.fail(i, errIntegerRange)
	default:
		f.out.Int[i] = n
	}
}

func widthBucketFloat(f *frame) {
	for _, i := range f.sel {
		n, err := bucketOfFloat(f.args[0].Float[i], f.args[1].Float[i], f.args[2].Float[i], f.args[3].Int[i])
		f.setBucket(i, n, err)
	}
}

// bucketOfFloat never gives a bucket that doesn't hold x. (PostgreSQL before
// 17 may, where the distance of the bounds overflows or a quotient is rounded
// to the next bucket.)
func bucketOfFloat(x, low, high float64, count int64) (int64, *sqlerr.Error) {
	switch {
	case count <= 0:
		return 0, errBucketCount
	case math.IsNaN(x) || math.IsNaN(low) || math.IsNaN(high):
		return 0, errBucketNaN
	case math.IsInf(low, 0) || math.IsInf(high, 0):
		return 0, errBucketBounds
	case low == high:
		return 0, errBucketEqual
	case low < high && x < low, low > high && x > low:
		return 0, nil
	case low < high && x >= high, low > high && x <= high:
		return count + 1, nil
	}
	share := (x - low) / (high - low)
	if math.IsInf(high-low, 0) {
		share = (x/2 - low/2) / (high/2 - low/2)
	}
	return min(int64(float64(count)*share), count-1) + 1, nil
}

func widthBucketDecimal(f *frame) {
	for _, i := range f.sel {
		n, err := bucketOfDecimal(f.decimal(0, i), f.decimal(1, i), f.decimal(2, i), f.args[3].Int[i])
		f.setBucket(i, n, err)
	}
}

func bucketOfDecimal(x, low, high decimal.Decimal, count int64) (int64, *sqlerr.Error) {
	up := low.Cmp(high)
	switch {
	case count <= 0:
		return 0, errBucketCount
	case x.IsNaN() || low.IsNaN() || high.IsNaN():
		return 0, errBucketNaN
	case low.IsInf() != 0 || high.IsInf() != 0:
		return 0, errBucketBounds
	case up == 0:
		return 0, errBucketEqual
	case x.Cmp(low)*up > 0:
		return 0, nil
	case x.Cmp(high)*up <= 0:
		return count + 1, nil
	}
	above, err := x.Sub(low)
	if err != nil {
		return 0, err
	}
	width, err := high.Sub(low)
	if err != nil {
		return 0, err
	}
	if above, err = above.Mul(decimal.FromInt64(count)); err != nil {
		return 0, err
	}
	q, err := above.DivTrunc(width)
	if err != nil {
		return 0, err
	}
	n, _ := q.Coefficient()
	return new(big.Int).Add(n, big.NewInt(1)).Int64(), nil
}
