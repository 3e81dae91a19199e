package decimal

import (
	"math"
	"math/big"
	"strconv"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// How many digits a result has is PostgreSQL's choice (numeric.c): at least 16
// that count, and no fewer behind the point than the arguments have.

const (
	minSignificant  = 16
	maxDisplayScale = 1000
	// maxPower is where exp gives up: about 10^2606.
	maxPower = 6000
	log10OfE = 0.434294481903252
)

// What logarithms and powers fail with.
var (
	ErrLogOfZero     = sqlerr.New(sqlerr.InvalidLogArgument, "cannot take logarithm of zero")
	ErrLogOfNegative = sqlerr.New(sqlerr.InvalidLogArgument, "cannot take logarithm of a negative number")
	ErrZeroPower     = sqlerr.New(sqlerr.InvalidPowerArgument, "zero raised to a negative power is undefined")
	ErrComplexPower  = sqlerr.New(sqlerr.InvalidPowerArgument, "a negative number raised to a non-integer power yields a complex result")
)

// displayScale holds a scale to PostgreSQL's limits.
func displayScale(scale int, operands ...Decimal) int32 {
	for _, d := range operands {
		scale = max(scale, int(d.scale))
	}
	return int32(min(max(scale, 0), maxDisplayScale))
}

// nearest gives the nearest double, infinite where there is none.
func (d Decimal) nearest() float64 {
	f, _ := strconv.ParseFloat(d.String(), 64)
	return f
}

// Exp gives e raised to d.
func (d Decimal) Exp() (Decimal, *sqlerr.Error) {
	switch d.form {
	case nan, positiveInfinity:
		return d, nil
	case negativeInfinity:
		return Decimal{}, nil
	}
	f := d.nearest()
	weight := min(max(f*log10OfE, -2000), 2000)
	scale := displayScale(minSignificant-int(weight), d)
	return expTo(f, scale, func(bits uint) *big.Float { return d.binary(bits) })
}

// expTo gives e raised to about f, of which exact gives as many bits as asked
// for.
func expTo(f float64, scale int32, exact func(bits uint) *big.Float) (Decimal, *sqlerr.Error) {
	switch {
	case f >= maxPower:
		return Decimal{}, overflow()
	case f <= -maxPower:
		return Decimal{scale: scale}, nil
	}
	bits := precision(int(scale) + max(int(f*log10OfE), 0) + 2)
	return checked(rounded(expFloat(exact(bits), bits), scale))
}

// Ln gives the natural logarithm.
func (d Decimal) Ln() (Decimal, *sqlerr.Error) {
	if err := d.logarithmOf(); err != nil || d.form != finite {
		return d, err
	}
	scale := displayScale(minSignificant-d.lnWeight(), d)
	bits := precision(int(scale) + 8)
	return checked(rounded(lnFloat(d.binary(bits), bits), scale))
}

// logarithmOf refuses what has no logarithm.
func (d Decimal) logarithmOf() *sqlerr.Error {
	switch {
	case d.form == nan:
	case d.Sign() < 0:
		return ErrLogOfNegative
	case d.Sign() == 0:
		return ErrLogOfZero
	}
	return nil
}

// lnWeight estimates the decimal exponent of the logarithm.
func (d Decimal) lnWeight() int {
	if d.Sign() <= 0 {
		return 0
	}
	if d.Cmp(New(9, 1)) >= 0 && d.Cmp(New(11, 1)) <= 0 {
		rest, _ := d.Sub(FromInt64(1)) // near to 1: no limit is met
		weight, first := rest.leading()
		if first == 0 {
			return 0
		}
		return weight*4 + int(math.Log10(float64(first)))
	}
	weight, first, second := d.leadingTwo()
	ln := math.Log(float64(first*10000+second)) + float64(weight*4-4)*2.302585092994046
	return int(math.Log10(math.Abs(ln)))
}

// leadingTwo is leading with the base-10,000 digit behind the first one.
func (d Decimal) leadingTwo() (weight int, first, second int64) {
	weight, first = d.leading()
	c, scale := d.Coefficient()
	shift := 4*(weight-1) + int(scale)
	c = new(big.Int).Abs(c)
	if shift >= 0 {
		c.Quo(c, power(shift))
	} else {
		c.Mul(c, power(-shift))
	}
	return weight, first, c.Int64() % 10000
}

// Log gives the logarithm of e to the base d.
func (d Decimal) Log(e Decimal) (Decimal, *sqlerr.Error) {
	if d.form != finite || e.form != finite {
		return logSpecial(d, e)
	}
	if err := d.logarithmOf(); err != nil {
		return d, err
	}
	if err := e.logarithmOf(); err != nil {
		return e, err
	}
	if d.Cmp(FromInt64(1)) == 0 {
		return d, divisionByZero()
	}
	baseWeight, weight := d.lnWeight(), e.lnWeight()
	scale := displayScale(minSignificant-(weight-baseWeight), d, e)
	// A base near to 1 has a small logarithm: it needs as many digits more.
	bits := precision(int(scale) + 2*max(-baseWeight, 0) + max(weight-baseWeight, 0) + 8)
	base := lnFloat(d.binary(bits), bits)
	return checked(rounded(base.Quo(lnFloat(e.binary(bits), bits), base), scale))
}

func logSpecial(d, e Decimal) (Decimal, *sqlerr.Error) {
	switch {
	case d.form == nan || e.form == nan:
		return NaN(), nil
	case d.Sign() < 0 || e.Sign() < 0:
		return d, ErrLogOfNegative
	case d.Sign() == 0 || e.Sign() == 0:
		return d, ErrLogOfZero
	case d.form != finite && e.form != finite:
		return NaN(), nil
	case d.form != finite:
		return Decimal{}, nil
	}
	return Inf(1), nil
}
