package decimal

import (
	"math/big"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// ErrNegativeRoot is what the square root of a negative number fails with.
var ErrNegativeRoot = sqlerr.New(sqlerr.InvalidPowerArgument, "cannot take square root of a negative number")

// Sqrt gives the square root with at least 16 significant digits, and at
// least as many digits after the point as d has, rounded to the nearest.
func (d Decimal) Sqrt() (Decimal, *sqlerr.Error) {
	switch {
	case d.form == nan || d.form == positiveInfinity:
		return d, nil
	case d.Sign() < 0:
		return Decimal{}, ErrNegativeRoot
	}
	weight, _ := d.leading()
	scale := min(max(int32(minQuotientDigits-(weight*2+1)), d.scale, 0), maxQuotientScale)
	return d.SqrtTo(scale)
}

// SqrtTo gives the square root of a finite number that is not negative with
// so many digits after the point, rounded to the nearest.
func (d Decimal) SqrtTo(scale int32) (Decimal, *sqlerr.Error) {
	if d.Sign() == 0 {
		return Decimal{scale: scale}, nil
	}
	// One digit more than the result has, cut: no root lies on the border
	// between two results unless it is exact.
	c, _ := d.Coefficient()
	shift := 2*(int(scale)+1) - int(d.scale)
	if shift >= 0 {
		c = new(big.Int).Mul(c, power(shift))
	} else {
		c = new(big.Int).Quo(c, power(-shift))
	}
	return FromBig(new(big.Int).Sqrt(c), scale+1).cut(scale, true)
}

// DivTrunc gives d / e cut to an integer.
func (d Decimal) DivTrunc(e Decimal) (Decimal, *sqlerr.Error) {
	if d.form != finite || e.form != finite {
		return divideSpecial(d, e)
	}
	if e.Sign() == 0 {
		return Decimal{}, divisionByZero()
	}
	a, b, _ := align(d, e)
	x, _ := a.Coefficient()
	y, _ := b.Coefficient()
	return checked(FromBig(new(big.Int).Quo(x, y), 0))
}

// GCD gives the greatest number that both are multiples of.
func (d Decimal) GCD(e Decimal) (Decimal, *sqlerr.Error) {
	if d.form != finite || e.form != finite {
		return NaN(), nil
	}
	a, b, scale := align(d, e)
	x, _ := a.Coefficient()
	y, _ := b.Coefficient()
	return checked(FromBig(new(big.Int).GCD(nil, nil, new(big.Int).Abs(x), new(big.Int).Abs(y)), scale))
}

// LCM gives the least positive number that is a multiple of both, 0 if one
// is 0.
func (d Decimal) LCM(e Decimal) (Decimal, *sqlerr.Error) {
	if d.form != finite || e.form != finite {
		return NaN(), nil
	}
	a, b, scale := align(d, e)
	if a.Sign() == 0 || b.Sign() == 0 {
		return Decimal{scale: scale}, nil
	}
	g, err := d.GCD(e)
	if err != nil {
		return g, err
	}
	x, _ := a.Coefficient()
	y, _ := b.Coefficient()
	z, _ := g.Coefficient()
	product := new(big.Int).Mul(new(big.Int).Quo(x, z), y)
	return checked(FromBig(product.Abs(product), scale))
}

// MinScale is the number of digits after the point that d needs.
func (d Decimal) MinScale() int32 {
	if d.form != finite || d.Sign() == 0 {
		return 0
	}
	scale := d.scale
	if d.big == nil {
		for c := d.small; scale > 0 && c%10 == 0; c /= 10 {
			scale--
		}
		return scale
	}
	// Halving the search keeps the divisions of a long number few.
	low, high := int32(0), scale
	for low < high {
		middle := (low + high) / 2
		if divides(d.big, int(scale-middle)) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}
