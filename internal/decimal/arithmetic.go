package decimal

import (
	"math"
	"math/big"
	"math/bits"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Add gives d + e.
func (d Decimal) Add(e Decimal) (Decimal, *sqlerr.Error) {
	if d.form != finite || e.form != finite {
		return addSpecial(d, e), nil
	}
	a, b, scale := align(d, e)
	if a.big == nil && b.big == nil {
		sum := a.small + b.small
		if (sum > a.small) == (b.small > 0) {
			return Decimal{small: sum, scale: scale}, nil
		}
	}
	x, _ := a.Coefficient()
	y, _ := b.Coefficient()
	return checked(FromBig(new(big.Int).Add(x, y), scale))
}

func addSpecial(d, e Decimal) Decimal {
	switch {
	case d.form == nan || e.form == nan, d.form != finite && e.form != finite && d.form != e.form:
		return NaN()
	case d.form != finite:
		return d
	}
	return e
}

// Sub gives d - e.
func (d Decimal) Sub(e Decimal) (Decimal, *sqlerr.Error) { return d.Add(e.Neg()) }

// Mul gives d * e, rounded where the product has more than MaxScale digits
// after the point.
func (d Decimal) Mul(e Decimal) (Decimal, *sqlerr.Error) {
	if d.form != finite || e.form != finite {
		if d.form == nan || e.form == nan || d.Sign() == 0 || e.Sign() == 0 {
			return NaN(), nil
		}
		return Inf(d.Sign() * e.Sign()), nil
	}
	scale := d.scale + e.scale
	if d.big == nil && e.big == nil && scale <= MaxScale {
		if c, ok := multiply(d.small, e.small); ok {
			return Decimal{small: c, scale: scale}, nil
		}
	}
	x, _ := d.Coefficient()
	y, _ := e.Coefficient()
	product := FromBig(new(big.Int).Mul(x, y), scale)
	if scale > MaxScale {
		product = product.rescale(MaxScale, true)
	}
	return checked(product)
}

func divisionByZero() *sqlerr.Error {
	return sqlerr.New(sqlerr.DivisionByZero, "division by zero")
}

// Div gives d / e with at least 16 significant digits, and at least as many
// digits after the point as each operand has.
func (d Decimal) Div(e Decimal) (Decimal, *sqlerr.Error) {
	if d.form != finite || e.form != finite {
		return divideSpecial(d, e)
	}
	if e.Sign() == 0 {
		return Decimal{}, divisionByZero()
	}
	scale := quotientScale(d, e)
	shift := int(scale) + int(e.scale) - int(d.scale)
	if q, ok := divideSmall(d, e, shift); ok {
		return Decimal{small: q, scale: scale}, nil
	}
	x, _ := d.Coefficient()
	y, _ := e.Coefficient()
	if shift >= 0 {
		x = new(big.Int).Mul(x, power(shift))
	} else {
		y = new(big.Int).Mul(y, power(-shift))
	}
	return checked(FromBig(divideRounded(x, y), scale))
}

func divideSpecial(d, e Decimal) (Decimal, *sqlerr.Error) {
	switch {
	case d.form == nan || e.form == nan:
		return NaN(), nil
	case d.form != finite && e.form != finite:
		return NaN(), nil
	case e.form != finite:
		return Decimal{}, nil
	case e.Sign() == 0:
		return Decimal{}, divisionByZero()
	}
	return Inf(d.Sign() * e.Sign()), nil
}

// divideSmall divides in 128 bits.
func divideSmall(d, e Decimal, shift int) (int64, bool) {
	if d.big != nil || e.big != nil || shift < 0 || shift >= len(smallPowers) {
		return 0, false
	}
	divisor := magnitude(e.small)
	hi, lo := bits.Mul64(magnitude(d.small), uint64(smallPowers[shift]))
	if hi >= divisor {
		return 0, false
	}
	q, r := bits.Div64(hi, lo, divisor)
	if r >= divisor-r {
		q++
	}
	return signed(q, (d.small < 0) != (e.small < 0))
}

// divideRounded gives x / y, halves away from zero.
func divideRounded(x, y *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(x, y, new(big.Int))
	if r.Lsh(r, 1).CmpAbs(y) >= 0 {
		q.Add(q, big.NewInt(int64(x.Sign()*y.Sign())))
	}
	return q
}

// quotientScale is PostgreSQL's select_div_scale: it estimates the quotient's
// weight from the first base-10,000 digits of the operands.
func quotientScale(d, e Decimal) int32 {
	weight1, first1 := d.leading()
	weight2, first2 := e.leading()
	weight := weight1 - weight2
	if first1 <= first2 {
		weight--
	}
	scale := max(int32(minQuotientDigits-weight*4), d.scale, e.scale, 0)
	return min(scale, maxQuotientScale)
}

// leading gives the first base-10,000 digit that is not 0 and its weight:
// d = first * 10000^weight + … . Both are 0 for 0.
func (d Decimal) leading() (weight int, first int64) {
	n := d.digits()
	if n == 0 {
		return 0, 0
	}
	exponent := n - 1 - int(d.scale)
	weight = exponent >> 2
	width := exponent - 4*weight + 1 // decimal digits in the first one
	if width >= n {
		return weight, int64(magnitude(d.small)) * smallPowers[width-n]
	}
	if d.big == nil {
		return weight, int64(magnitude(d.small) / uint64(power64(n-width)))
	}
	q := new(big.Int).Quo(d.big, power(n-width))
	return weight, q.Abs(q).Int64()
}

func power64(n int) int64 {
	if n < len(smallPowers) {
		return smallPowers[n]
	}
	return math.MaxInt64
}

// Mod gives what is left of d after a division by e that is cut towards zero.
func (d Decimal) Mod(e Decimal) (Decimal, *sqlerr.Error) {
	switch {
	case d.form == nan || e.form == nan:
		return NaN(), nil
	case e.form == finite && e.Sign() == 0:
		return Decimal{}, divisionByZero()
	case d.form != finite:
		return NaN(), nil
	case e.form != finite:
		return d, nil
	}
	a, b, scale := align(d, e)
	if a.big == nil && b.big == nil {
		if b.small == -1 {
			return Decimal{scale: scale}, nil
		}
		return Decimal{small: a.small % b.small, scale: scale}, nil
	}
	x, _ := a.Coefficient()
	y, _ := b.Coefficient()
	return checked(FromBig(new(big.Int).Rem(x, y), scale))
}
