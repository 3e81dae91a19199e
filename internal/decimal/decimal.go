// Package decimal is PostgreSQL's numeric: exact decimal numbers with a
// display scale, NaN and the two infinities.
//
// A Decimal is coefficient / 10^scale, and its scale is what PostgreSQL calls
// the display scale: 1.10 and 1.1 are equal and print differently. A
// coefficient that fits an int64 is held as one, and arithmetic on such
// numbers makes no garbage; behind it stands math/big.
//
// Invariants:
//
//  1. 0 <= scale <= MaxScale, and at most MaxIntegerDigits digits stand
//     before the point;
//  2. a coefficient that fits an int64 is in small, and big is nil.
//
// What does not fit fails with PostgreSQL's SQLSTATE and message; nothing
// panics on any input.
package decimal

import (
	"math"
	"math/big"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// The limits of PostgreSQL's storage format.
const (
	MaxIntegerDigits = 131072 // before the point: 32,768 base-10,000 digits
	MaxScale         = 16383  // after the point: 14 bits of the header
)

// Limits of PostgreSQL's arithmetic.
const (
	minQuotientDigits = 16   // significant digits that a quotient has at least
	maxQuotientScale  = 1000 // digits after the point that a quotient has at most
)

type form uint8

const (
	finite form = iota
	nan
	positiveInfinity
	negativeInfinity
)

// Decimal is a numeric. The zero value is 0. Decimals are values: no
// operation changes its operands.
type Decimal struct {
	form  form
	scale int32
	small int64
	big   *big.Int // never changed once it stands here
}

// NaN is PostgreSQL's not-a-number: equal to itself, greater than all else.
func NaN() Decimal { return Decimal{form: nan} }

// Inf gives infinity, or -infinity for a negative sign.
func Inf(sign int) Decimal {
	if sign < 0 {
		return Decimal{form: negativeInfinity}
	}
	return Decimal{form: positiveInfinity}
}

// FromInt64 gives n with scale 0.
func FromInt64(n int64) Decimal { return Decimal{small: n} }

// New gives coefficient / 10^scale.
func New(coefficient int64, scale int32) Decimal {
	return Decimal{small: coefficient, scale: scale}
}

// FromBig gives coefficient / 10^scale. It keeps the pointer: the caller
// changes the coefficient no more.
func FromBig(coefficient *big.Int, scale int32) Decimal {
	if coefficient.IsInt64() {
		return Decimal{small: coefficient.Int64(), scale: scale}
	}
	return Decimal{big: coefficient, scale: scale}
}

// Scale is the number of digits after the point, 0 for NaN and infinities.
func (d Decimal) Scale() int32 { return d.scale }

// IsNaN tells NaN.
func (d Decimal) IsNaN() bool { return d.form == nan }

// IsInf is 1 for infinity, -1 for -infinity, else 0.
func (d Decimal) IsInf() int {
	switch d.form {
	case positiveInfinity:
		return 1
	case negativeInfinity:
		return -1
	}
	return 0
}

// Coefficient gives the number as coefficient / 10^scale. The coefficient of
// NaN and the infinities is 0. It must not be changed.
func (d Decimal) Coefficient() (*big.Int, int32) {
	if d.big != nil {
		return d.big, d.scale
	}
	return big.NewInt(d.small), d.scale
}

// Sign is -1, 0 or 1; NaN's is 0.
func (d Decimal) Sign() int {
	switch {
	case d.form == finite && d.big != nil:
		return d.big.Sign()
	case d.form == finite && d.small > 0, d.form == positiveInfinity:
		return 1
	case d.form == finite && d.small < 0, d.form == negativeInfinity:
		return -1
	}
	return 0
}

// Neg gives -d.
func (d Decimal) Neg() Decimal {
	switch {
	case d.form == positiveInfinity:
		return Inf(-1)
	case d.form == negativeInfinity:
		return Inf(1)
	case d.form == nan:
		return d
	case d.big != nil || d.small == math.MinInt64:
		c, _ := d.Coefficient()
		return FromBig(new(big.Int).Neg(c), d.scale)
	}
	d.small = -d.small
	return d
}

// Abs gives |d|.
func (d Decimal) Abs() Decimal {
	if d.Sign() < 0 {
		return d.Neg()
	}
	return d
}

// Cmp is PostgreSQL's order: -Infinity, numbers, Infinity, NaN.
func (d Decimal) Cmp(e Decimal) int {
	if d.form != finite || e.form != finite {
		return compareInts(rank(d.form), rank(e.form))
	}
	if d.big == nil && e.big == nil && d.scale == e.scale {
		return compareInts(d.small, e.small)
	}
	if s, t := d.Sign(), e.Sign(); s != t {
		return compareInts(s, t)
	}
	a, b, _ := align(d, e)
	if a.big == nil && b.big == nil {
		return compareInts(a.small, b.small)
	}
	x, _ := a.Coefficient()
	y, _ := b.Coefficient()
	return x.Cmp(y)
}

func rank(f form) int {
	switch f {
	case negativeInfinity:
		return -1
	case positiveInfinity:
		return 1
	case nan:
		return 2
	}
	return 0
}

func compareInts[T int | int64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func overflow() *sqlerr.Error {
	return sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
}

// safeBits are fewer than a number of MaxIntegerDigits has: most coefficients
// need no counting of digits.
const safeBits = 400_000

// checked holds a result to invariant 1.
func checked(d Decimal) (Decimal, *sqlerr.Error) {
	if d.scale > MaxScale {
		return Decimal{}, overflow()
	}
	if d.big == nil {
		return d, nil
	}
	if d.big.BitLen() < safeBits {
		return d, nil
	}
	if d.digits()-int(d.scale) > MaxIntegerDigits {
		return Decimal{}, overflow()
	}
	return d, nil
}
