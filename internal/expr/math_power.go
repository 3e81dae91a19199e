package expr

import "math"

// Go's own Pow loses digits where the exponent is great, and its Log those of
// numbers below the normal ones. Here powers are computed with twice the
// precision of a double: as the sum of a double and a smaller one.

// pair is high + low, where low is less than half a unit of high's last place.
type pair struct{ high, low float64 }

func sumOf(a, b float64) pair {
	s := a + b
	t := s - a
	return pair{s, (a - (s - t)) + (b - t)}
}

func productOf(a, b float64) pair {
	p := a * b
	return pair{p, math.FMA(a, b, -p)}
}

func (x pair) times(y pair) pair {
	p := productOf(x.high, y.high)
	p.low += math.FMA(x.high, y.low, float64(x.low*y.high))
	return sumOf(p.high, p.low)
}

func (x pair) plus(y pair) pair {
	s := sumOf(x.high, y.high)
	s.low += x.low + y.low
	return sumOf(s.high, s.low)
}

func (x pair) over(y pair) pair {
	q := x.high / y.high
	p := y.times(pair{q, 0})
	rest := x.plus(pair{-p.high, -p.low})
	return sumOf(q, rest.high/y.high)
}

var ln2 = pair{0.6931471805599453, 2.3190468138462996e-17}

// logPair is the natural logarithm of a positive finite number: with
// s = (m-1)/(m+1) it is 2(s + s³/3 + s⁵/5 + …) for m from √½ to √2.
func logPair(x float64) pair {
	m, exponent := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, exponent = m*2, exponent-1
	}
	const terms = 22 // (√2-1)/(√2+1) to the power of 45 is below 2^-113
	s := sumOf(m, -1).over(sumOf(m, 1))
	square := s.times(s)
	var sum pair
	for n := terms; n >= 0; n-- {
		sum = sum.times(square).plus(pair{1, 0}.over(pair{float64(2*n + 1), 0}))
	}
	sum = sum.times(s)
	sum = pair{2 * sum.high, 2 * sum.low}
	return ln2.times(pair{float64(exponent), 0}).plus(sum)
}

// naturalLog is math.Log for positive numbers, subnormal ones too.
func naturalLog(x float64) float64 {
	if x < 0x1p-1000 {
		return logPair(x).high
	}
	return math.Log(x)
}

var ln10 = logPair(10)

func decimalLog(x float64) float64 {
	if x < 0x1p-1000 {
		return logPair(x).over(ln10).high
	}
	return math.Log10(x)
}

// maxSquarings bounds the whole exponents whose powers are products: those of
// a number from ½ to 1 stay far from the least double.
const maxSquarings = 512

// power is x to the power of y, for finite x other than 0 and finite y that
// is whole if x is negative.
func power(x, y float64) float64 {
	whole := math.Floor(y) == y
	if whole && math.Abs(y) <= maxSquarings {
		return wholePower(x, int(y))
	}
	l := logPair(math.Abs(x)).times(pair{y, 0})
	if math.Abs(l.high) > 800 {
		l.low = 0 // out of range anyway
	}
	z := math.Exp(l.high)
	if !math.IsInf(z, 0) {
		z = math.FMA(z, l.low, z)
	}
	if x < 0 && whole && math.Mod(y, 2) != 0 {
		return -z
	}
	return z
}

// wholePower multiplies; what fits a double comes out exactly.
func wholePower(x float64, n int) float64 {
	m, exponent := math.Frexp(x)
	result, factor := pair{1, 0}, pair{m, 0}
	for k := max(n, -n); k > 0; k >>= 1 {
		if k&1 == 1 {
			result = result.times(factor)
		}
		factor = factor.times(factor)
	}
	if n < 0 {
		result = pair{1, 0}.over(result)
	}
	return math.Ldexp(result.high+result.low, exponent*n)
}
