package decimal

import (
	"math"
	"strconv"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// serverNaN are the bits of the NaN that PostgreSQL makes.
const serverNaN = 0x7ff8 << 48

// FromFloat64 gives the numeric that PostgreSQL makes of a double precision:
// its 15 most significant decimal digits.
func FromFloat64(f float64) Decimal { return fromFloat(f, 64, 15) }

// FromFloat32 is FromFloat64 for a real, with 6 digits.
func FromFloat32(f float32) Decimal { return fromFloat(float64(f), 32, 6) }

func fromFloat(f float64, bits, digits int) Decimal {
	switch {
	case math.IsNaN(f):
		return NaN()
	case math.IsInf(f, 0):
		return Inf(int(math.Copysign(1, f)))
	}
	var room [32]byte
	text := strconv.AppendFloat(room[:0], f, 'g', digits, bits)
	n, _ := scan(text)
	return n.value(text, 0)
}

// Int64 rounds to a bigint, halves away from zero.
func (d Decimal) Int64() (int64, *sqlerr.Error) { return d.integer(64, "bigint") }

// Int32 rounds to an integer.
func (d Decimal) Int32() (int32, *sqlerr.Error) {
	n, err := d.integer(32, "integer")
	return int32(n), err
}

// Int16 rounds to a smallint.
func (d Decimal) Int16() (int16, *sqlerr.Error) {
	n, err := d.integer(16, "smallint")
	return int16(n), err
}

func (d Decimal) integer(bits int, name string) (int64, *sqlerr.Error) {
	switch {
	case d.form == nan:
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "cannot convert NaN to %s", name)
	case d.form != finite:
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "cannot convert infinity to %s", name)
	}
	r := d.rescale(0, true)
	limit := int64(1)<<(bits-1) - 1
	if r.big != nil || r.small > limit || r.small < -limit-1 {
		return 0, sqlerr.New(sqlerr.NumericValueOutOfRange, "%s out of range", name)
	}
	return r.small, nil
}

// Float64 gives the nearest double precision.
func (d Decimal) Float64() (float64, *sqlerr.Error) { return d.float(64, "double precision") }

// Float32 gives the nearest real.
func (d Decimal) Float32() (float32, *sqlerr.Error) {
	f, err := d.float(32, "real")
	return float32(f), err
}

func (d Decimal) float(bits int, name string) (float64, *sqlerr.Error) {
	switch d.form {
	case nan:
		return math.Float64frombits(serverNaN), nil
	case positiveInfinity:
		return math.Inf(1), nil
	case negativeInfinity:
		return math.Inf(-1), nil
	}
	var room [64]byte
	text := d.Append(room[:0])
	f, _ := strconv.ParseFloat(string(text), bits)
	if math.IsInf(f, 0) || f == 0 && d.Sign() != 0 {
		return 0, sqlerr.New(sqlerr.NumericValueOutOfRange, "\"%s\" is out of range for type %s", text, name)
	}
	return f, nil
}
