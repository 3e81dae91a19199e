package decimal

import (
	"math"
	"math/big"
	"sync"
)

// Logarithms and exponentials are computed in binary with so many bits that
// what is rounded to a result's last digit is right, whatever way it is
// computed: PostgreSQL's own series, which work in decimal with at least
// eight digits more than the result has, round to the same digits.

const (
	bitsPerDigit = 3.3219280948873626
	guardBits    = 96 // beyond the digits of a result
	// halvings of an argument make its series short.
	halvings = 8
	// tieBits say how near to the middle between two results a value counts as
	// lying there: 2^-tieBits of a unit of the last place.
	tieBits = 36
)

// precision gives bits for so many decimal digits, in steps that let ln 2 be
// computed for few of them.
func precision(digits int) uint {
	bits := uint(float64(max(digits, 1))*bitsPerDigit) + guardBits
	return (bits + 127) &^ 63
}

func newFloat(bits uint) *big.Float { return new(big.Float).SetPrec(bits) }

// binary gives a finite number with so many bits.
func (d Decimal) binary(bits uint) *big.Float {
	c, scale := d.Coefficient()
	x := newFloat(bits).SetInt(c)
	if scale > 0 {
		x.Quo(x, newFloat(bits).SetInt(power(int(scale))))
	}
	return x
}

// rounded gives x with so many digits after the point, halves away from zero.
func rounded(x *big.Float, scale int32) Decimal {
	y := newFloat(x.Prec()).Mul(x, newFloat(x.Prec()).SetInt(power(int(scale))))
	half := big.NewFloat(0.5)
	half.SetPrec(x.Prec()).Add(half, new(big.Float).SetMantExp(big.NewFloat(1), -tieBits))
	if y.Sign() < 0 {
		half.Neg(half)
	}
	c, _ := y.Add(y, half).Int(nil)
	return FromBig(c, scale)
}

var ln2Cache sync.Map // bits → *big.Float

// ln2 is the natural logarithm of 2: 18 artanh 1/26 - 2 artanh 1/4801 +
// 8 artanh 1/8749.
func ln2(bits uint) *big.Float {
	if x, ok := ln2Cache.Load(bits); ok {
		return x.(*big.Float)
	}
	const extra = 32
	sum := new(big.Int)
	for _, t := range [][2]int64{{18, 26}, {-2, 4801}, {8, 8749}} {
		term := artanhInverse(t[1], bits+extra)
		sum.Add(sum, term.Mul(term, big.NewInt(t[0])))
	}
	x := newFloat(bits).SetInt(sum)
	x.SetMantExp(x, -int(bits+extra))
	ln2Cache.Store(bits, x)
	return x
}

// artanhInverse is 2^bits artanh 1/n.
func artanhInverse(n int64, bits uint) *big.Int {
	square := big.NewInt(n * n)
	power := new(big.Int).Lsh(big.NewInt(1), bits)
	power.Quo(power, big.NewInt(n))
	sum := new(big.Int)
	for k := int64(1); power.Sign() != 0; k += 2 {
		sum.Add(sum, new(big.Int).Quo(power, big.NewInt(k)))
		power.Quo(power, square)
	}
	return sum
}

// lnFloat is the natural logarithm of a positive number, right to an absolute
// error of about 2^-bits.
func lnFloat(x *big.Float, bits uint) *big.Float {
	// x = m 2^k with m from √½ to √2, and m is made nearer to 1 by roots.
	bits += halvings
	m := newFloat(bits)
	k := x.MantExp(m)
	if m.Cmp(big.NewFloat(math.Sqrt2/2)) < 0 {
		m.SetMantExp(m, 1)
		k--
	}
	for range halvings {
		m.Sqrt(m)
	}
	one := newFloat(bits).SetInt64(1)
	z := newFloat(bits).Quo(newFloat(bits).Sub(m, one), newFloat(bits).Add(m, one))
	square := newFloat(bits).Mul(z, z)
	sum, term := newFloat(bits).Set(z), newFloat(bits).Set(z)
	for n := int64(3); term.Sign() != 0; n += 2 {
		term.Mul(term, square)
		part := newFloat(bits).Quo(term, newFloat(bits).SetInt64(n))
		if part.Sign() == 0 || part.MantExp(nil) < -int(bits) {
			break
		}
		sum.Add(sum, part)
	}
	sum.SetMantExp(sum, halvings+1)
	return sum.Add(sum, newFloat(bits).Mul(ln2(bits), newFloat(bits).SetInt64(int64(k))))
}

// expFloat is e raised to a power, right to a relative error of about
// 2^(20-bits).
func expFloat(x *big.Float, bits uint) *big.Float {
	// x = n ln 2 + r 2^halvings
	quotient := newFloat(bits).Quo(x, ln2(bits))
	f, _ := quotient.Float64()
	n := int64(math.Round(f))
	r := newFloat(bits).Sub(x, newFloat(bits).Mul(ln2(bits), newFloat(bits).SetInt64(n)))
	r.SetMantExp(r, -halvings)
	sum, term := newFloat(bits).SetInt64(1), newFloat(bits).SetInt64(1)
	for k := int64(1); ; k++ {
		term.Mul(term, r)
		term.Quo(term, newFloat(bits).SetInt64(k))
		if term.Sign() == 0 || term.MantExp(nil) < -int(bits) {
			break
		}
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum.SetMantExp(sum, int(n))
}
