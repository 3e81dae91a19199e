package decimal

import (
	"math"
	"math/big"
	"math/bits"
)

// smallPowers are the powers of ten that fit an int64.
var smallPowers = func() (p [19]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// bigPowers are those that aligning and dividing need most.
var bigPowers = func() (p [64]*big.Int) {
	p[0] = big.NewInt(1)
	for i := 1; i < len(p); i++ {
		p[i] = new(big.Int).Mul(p[i-1], big.NewInt(10))
	}
	return p
}()

// power gives 10^n, not to be changed.
func power(n int) *big.Int {
	if n < len(bigPowers) {
		return bigPowers[n]
	}
	return new(big.Int).Exp(bigPowers[1], big.NewInt(int64(n)), nil)
}

// times gives d with n more digits in its coefficient and the same scale:
// d * 10^n.
func (d Decimal) times(n int) Decimal {
	if n == 0 || (d.big == nil && d.small == 0) {
		return d
	}
	if d.big == nil && n < len(smallPowers) {
		if c, ok := multiply(d.small, smallPowers[n]); ok {
			d.small = c
			return d
		}
	}
	c, _ := d.Coefficient()
	return FromBig(new(big.Int).Mul(c, power(n)), d.scale)
}

// align gives two finite numbers the greater of their scales.
func align(d, e Decimal) (Decimal, Decimal, int32) {
	scale := max(d.scale, e.scale)
	return d.extend(scale), e.extend(scale), scale
}

// extend gives d a scale that is not less than its own.
func (d Decimal) extend(scale int32) Decimal {
	d = d.times(int(scale - d.scale))
	d.scale = scale
	return d
}

// digits counts the decimal digits of the coefficient; 0 has none.
func (d Decimal) digits() int {
	if d.big == nil {
		return countDigits(magnitude(d.small))
	}
	// The estimate is at most one too low.
	n := int(float64(d.big.BitLen()-1) * math.Log10(2))
	for d.big.CmpAbs(power(n)) >= 0 {
		n++
	}
	return n
}

func countDigits(u uint64) int {
	if u == 0 {
		return 0
	}
	n := bits.Len64(u) * 1233 >> 12
	if n < len(smallPowers) && u >= uint64(smallPowers[n]) || n == 19 && u >= 1e19 {
		n++
	}
	return n
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func multiply(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true
	}
	return int64(lo), true
}

// signed gives a magnitude its sign, if the result fits.
func signed(u uint64, negative bool) (int64, bool) {
	if u > math.MaxInt64 {
		return 0, false
	}
	if negative {
		return -int64(u), true
	}
	return int64(u), true
}
