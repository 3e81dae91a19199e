package json

import (
	"math"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// epochInput sets value i of v, a timestamptz, from a number since 1970. The
// number is what numeric's input takes, less NaN and the infinities; its
// microseconds are exact, and what is finer is rounded as round(numeric) does
// it, half away from zero.
func epochInput(t *target, first byte, text []byte, v *column.Vector, i int) *sqlerr.Error {
	micros, ok := wholeEpoch(text, t.Epoch)
	if !ok {
		var err *sqlerr.Error
		if micros, err = exactEpoch(first, text, t.Epoch); err != nil {
			return err
		}
	}
	micros += column.UnixEpochMicros
	if !datum.ValidTimestamp(micros) {
		return timestampOutOfRange()
	}
	v.Int[i], v.Null[i] = micros, false
	return nil
}

// wholeEpoch is the fast way for whole numbers whose microseconds stay well
// within 64 bits.
func wholeEpoch(text []byte, unit codec.Epoch) (micros int64, ok bool) {
	n, ok := whole(text)
	if !ok {
		return 0, false
	}
	const most = math.MaxInt64 / 4
	switch unit {
	case codec.EpochSeconds:
		return n * 1_000_000, n <= most/1_000_000 && n >= -most/1_000_000
	case codec.EpochMillis:
		return n * 1000, n <= most/1000 && n >= -most/1000
	case codec.EpochNanos:
		micros, rest := n/1000, n%1000
		if rest >= 500 {
			micros++
		} else if rest <= -500 {
			micros--
		}
		return micros, true
	}
	return n, true
}

// exactEpoch reads every other number.
func exactEpoch(first byte, text []byte, unit codec.Epoch) (micros int64, err *sqlerr.Error) {
	invalid := sqlerr.InvalidTextRepresentation
	switch first {
	case '{', '[', 't', 'f':
		return 0, sqlerr.New(invalid, `invalid number of %s since 1970: "%s"`, unitName(unit), text)
	}
	d, err := decimal.Parse(text)
	switch {
	case err != nil && err.Code == sqlerr.NumericValueOutOfRange:
		return 0, timestampOutOfRange()
	case err != nil || d.IsNaN() || d.IsInf() != 0:
		return 0, sqlerr.New(invalid, `invalid number of %s since 1970: "%s"`, unitName(unit), text)
	}
	if d, err = d.Mul(microsPer[unit]); err == nil {
		if d, err = d.Round(0); err == nil {
			micros, err = d.Int64()
		}
	}
	// Below the bound the shift to 2000 would overflow.
	if err != nil || micros < math.MinInt64-column.UnixEpochMicros {
		return 0, timestampOutOfRange()
	}
	return micros, nil
}

var microsPer = map[codec.Epoch]decimal.Decimal{
	codec.EpochSeconds: decimal.FromInt64(1_000_000),
	codec.EpochMillis:  decimal.FromInt64(1000),
	codec.EpochMicros:  decimal.FromInt64(1),
	codec.EpochNanos:   decimal.New(1, 3),
}

func unitName(unit codec.Epoch) string {
	switch unit {
	case codec.EpochSeconds:
		return "seconds"
	case codec.EpochMillis:
		return "milliseconds"
	case codec.EpochMicros:
		return "microseconds"
	}
	return "nanoseconds"
}

func timestampOutOfRange() *sqlerr.Error {
	return sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range")
}
