package decimal

import (
	"math/big"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Round gives d with scale digits after the point, halves away from zero. A
// negative scale rounds before the point.
func (d Decimal) Round(scale int32) (Decimal, *sqlerr.Error) { return d.cut(scale, true) }

// Trunc is Round towards zero.
func (d Decimal) Trunc(scale int32) (Decimal, *sqlerr.Error) { return d.cut(scale, false) }

func (d Decimal) cut(scale int32, round bool) (Decimal, *sqlerr.Error) {
	if d.form != finite {
		return d, nil
	}
	scale = min(max(scale, -MaxIntegerDigits-1), MaxScale)
	return checked(d.rescale(scale, round))
}

// rescale gives a finite number the scale, which may be negative: then the
// result has scale 0 and zeros before the point.
func (d Decimal) rescale(scale int32, round bool) Decimal {
	if scale >= d.scale {
		return d.extend(scale)
	}
	drop := int(d.scale - scale)
	d = d.shorten(drop, round)
	d.scale = 0
	if scale < 0 {
		return d.times(int(-scale))
	}
	d.scale = scale
	return d
}

// shorten divides the coefficient by 10^n.
func (d Decimal) shorten(n int, round bool) Decimal {
	if d.big == nil {
		d.small = shortenSmall(d.small, n, round)
		return d
	}
	if round {
		return FromBig(divideRounded(d.big, power(n)), d.scale)
	}
	return FromBig(new(big.Int).Quo(d.big, power(n)), d.scale)
}

func shortenSmall(c int64, n int, round bool) int64 {
	if n >= len(smallPowers) {
		// 10^19 / 2 lies within an int64, so 19 digits can still round to 1.
		if u := magnitude(c); round && n == len(smallPowers) && u >= 5e18 {
			if c < 0 {
				return -1
			}
			return 1
		}
		return 0
	}
	p := smallPowers[n]
	q, r := c/p, c%p
	if round && magnitude(r) >= uint64(p)-magnitude(r) && r != 0 {
		if c < 0 {
			return q - 1
		}
		return q + 1
	}
	return q
}

// Floor gives the greatest integer that is not above d.
func (d Decimal) Floor() (Decimal, *sqlerr.Error) {
	t, err := d.cut(0, false)
	if err != nil || d.form != finite || d.Sign() >= 0 || t.Cmp(d) == 0 {
		return t, err
	}
	return t.Sub(FromInt64(1))
}

// Ceil gives the least integer that is not below d.
func (d Decimal) Ceil() (Decimal, *sqlerr.Error) {
	t, err := d.cut(0, false)
	if err != nil || d.form != finite || d.Sign() <= 0 || t.Cmp(d) == 0 {
		return t, err
	}
	return t.Add(FromInt64(1))
}

// Fit makes d a numeric(precision, scale). Precision 0 leaves it as it is.
func (d Decimal) Fit(precision, scale int32) (Decimal, *sqlerr.Error) {
	if precision == 0 || d.form == nan {
		return d, nil
	}
	if d.form != finite {
		return Decimal{}, fieldOverflow()
	}
	r := d.rescale(scale, true)
	if r.Sign() != 0 && r.digits()-int(r.scale) > int(precision-scale) {
		return Decimal{}, fieldOverflow()
	}
	return r, nil
}

func fieldOverflow() *sqlerr.Error {
	return sqlerr.New(sqlerr.NumericValueOutOfRange, "numeric field overflow")
}
