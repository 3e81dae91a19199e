package decimal

import (
	"math"
	"math/big"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Pow gives d raised to e, with the digits that PostgreSQL 15 gives. (Newer
// ones give more digits to small results of integer powers.)
func (d Decimal) Pow(e Decimal) (Decimal, *sqlerr.Error) {
	if d.form != finite || e.form != finite {
		return powSpecial(d, e)
	}
	switch {
	case d.Sign() == 0 && e.Sign() < 0:
		return d, ErrZeroPower
	case d.Sign() < 0 && !e.integral():
		return d, ErrComplexPower
	}
	if e.integral() {
		if n := e.rescale(0, false); n.big == nil && n.small >= math.MinInt32 && n.small <= math.MaxInt32 {
			return d.powInt(n.small)
		}
	}
	if d.Sign() == 0 {
		return Decimal{scale: minSignificant}, nil
	}
	x := d.Abs()
	// The scale depends on an estimate, which has to be PostgreSQL's own.
	trialScale := int32(max(8-x.lnWeight(), 0))
	trialBits := precision(int(trialScale) + 8)
	estimate, _ := rounded(lnFloat(x.binary(trialBits), trialBits), trialScale).Mul(e) // at most an inexact one
	estimate = estimate.rescale(trialScale, true)
	trial := estimate.nearest()
	if math.Abs(trial) > maxPower*1.00333333 {
		if trial > 0 {
			return d, overflow()
		}
		return Decimal{scale: maxDisplayScale}, nil
	}
	scale := displayScale(minSignificant-int(trial*log10OfE), d, e)
	out, err := expTo(trial, scale, func(bits uint) *big.Float {
		bits += uint(max(e.digits(), 0)) * 4
		return new(big.Float).Mul(lnFloat(x.binary(bits), bits), e.binary(bits))
	})
	if err == nil && d.Sign() < 0 && e.odd() {
		out = out.Neg()
	}
	return out, err
}

// integral tells finite numbers without a fraction, and infinities.
func (d Decimal) integral() bool { return d.form != nan && d.MinScale() == 0 }

// odd tells odd integers.
func (d Decimal) odd() bool {
	if d.form != finite || !d.integral() {
		return false
	}
	c, _ := d.rescale(0, false).Coefficient()
	return c.Bit(0) == 1
}

// powInt raises to an integer.
func (d Decimal) powInt(n int64) (Decimal, *sqlerr.Error) {
	scale := displayScale(minSignificant, d)
	switch n {
	case 0:
		return FromInt64(1).extend(scale), nil
	case 1:
		return d.cut(scale, true)
	case -1:
		return d.inverse(scale)
	case 2:
		square, err := d.Mul(d)
		if err != nil {
			return d, err
		}
		return square.cut(scale, true)
	}
	if d.Sign() == 0 {
		return Decimal{scale: scale}, nil
	}
	weight := d.log10() * float64(n)
	switch {
	case weight > 3*math.MaxInt16*4:
		return d, overflow()
	case weight+1 < -float64(scale):
		return Decimal{scale: scale}, nil
	}
	digits := int(scale) + max(int(math.Abs(weight)), 0) + 24
	bits := precision(digits)
	x := powFloat(d.binary(bits), magnitude(n), bits)
	if n < 0 {
		x.Quo(newFloat(bits).SetInt64(1), x)
	}
	return checked(rounded(x, scale))
}

// inverse gives 1/d with so many digits after the point.
func (d Decimal) inverse(scale int32) (Decimal, *sqlerr.Error) {
	c, s := d.Coefficient()
	return checked(FromBig(divideRounded(power(int(s)+int(scale)), c), scale))
}

// log10 is about the logarithm of |d|.
func (d Decimal) log10() float64 {
	c, scale := d.Coefficient()
	f := new(big.Float).SetInt(c)
	exponent := f.MantExp(f)
	m, _ := f.Float64()
	return math.Log10(math.Abs(m)) + float64(exponent)*math.Log10(2) - float64(scale)
}

func powFloat(x *big.Float, n uint64, bits uint) *big.Float {
	out := newFloat(bits).SetInt64(1)
	for square := newFloat(bits).Set(x); n > 0; n >>= 1 {
		if n&1 == 1 {
			out.Mul(out, square)
		}
		if n > 1 {
			square.Mul(square, square)
		}
	}
	return out
}

// powSpecial follows the rules of C's pow for NaN and infinities.
func powSpecial(d, e Decimal) (Decimal, *sqlerr.Error) {
	one := FromInt64(1)
	isOne := func(x Decimal) bool { return x.form == finite && x.Cmp(one) == 0 }
	switch {
	case d.form == nan && e.form == finite && e.Sign() == 0, e.form == nan && isOne(d):
		return one, nil
	case d.form == nan || e.form == nan:
		return NaN(), nil
	case d.Sign() == 0 && e.Sign() < 0:
		return d, ErrZeroPower
	case d.Sign() < 0 && !e.integral():
		return d, ErrComplexPower
	case isOne(d) || e.Sign() == 0:
		return one, nil
	case d.Sign() == 0:
		return Decimal{}, nil
	case e.form != finite && isOne(d.Neg()):
		return one, nil
	case e.form != finite:
		if (d.Abs().Cmp(one) > 0) == (e.Sign() > 0) {
			return Inf(1), nil
		}
		return Decimal{}, nil
	case e.Sign() < 0:
		return Decimal{}, nil
	case d.Sign() < 0 && e.odd():
		return Inf(-1), nil
	}
	return Inf(1), nil
}
