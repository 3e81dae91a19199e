package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// addInterval is timestamp ± interval; sign is 1 or -1. In UTC a timestamptz
// adds like a timestamp.
func addInterval(sign int64, fromDate bool) kernel {
	return func(f *frame) {
		a, by, out := f.args[0].Int, f.args[1].Interval, f.out.Int
		for _, i := range f.sel {
			t := a[i]
			var err *sqlerr.Error
			if fromDate {
				t, err = timestampOfDate(t)
			}
			if err == nil {
				t, err = shift(t, by[i], sign)
			}
			if err != nil {
				f.fail(i, err)
				continue
			}
			out[i] = t
		}
	}
}

// shift moves a time by months, then by days, then by microseconds; a day
// that a month doesn't have becomes its last.
func shift(t int64, by column.IntervalValue, sign int64) (int64, *sqlerr.Error) {
	if !finite(t) {
		return t, nil
	}
	if sign < 0 {
		if by.Months == math.MinInt32 || by.Days == math.MinInt32 || by.Micros == math.MinInt64 {
			return 0, errIntervalRange
		}
		by = column.IntervalValue{Micros: -by.Micros, Days: -by.Days, Months: -by.Months}
	}
	if by.Months != 0 {
		c := datum.Civil(t)
		month := int64(c.Year)*12 + int64(c.Month-1) + int64(by.Months)
		c.Year, c.Month = int(floorDivide(month, 12)), int(month-floorDivide(month, 12)*12)+1
		c.Day = min(c.Day, datum.DaysInMonth(c.Year, c.Month))
		var ok bool
		if t, ok = c.Stored(); !ok {
			return 0, errTimestampRange
		}
	}
	if by.Days != 0 {
		micros, fits := multiplyIntegers(int64(by.Days), datum.Day)
		moved, ok := addIntegers(t, micros)
		if !fits || !ok || !datum.ValidTimestamp(moved) {
			return 0, errTimestampRange
		}
		t = moved
	}
	moved, ok := addIntegers(t, by.Micros)
	if !ok || !datum.ValidTimestamp(moved) {
		return 0, errTimestampRange
	}
	return moved, nil
}

func floorDivide(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// addDays is date ± integer.
func addDays(sign int64) kernel {
	return func(f *frame) {
		a, by, out := f.args[0].Int, f.args[1].Int, f.out.Int
		for _, i := range f.sel {
			if a[i] == column.DateInfinity || a[i] == column.DateNegInfinity {
				out[i] = a[i]
				continue
			}
			d := a[i] + sign*by[i]
			if !datum.ValidDate(d) {
				f.fail(i, errDateRange)
				continue
			}
			out[i] = d
		}
	}
}

var errInfiniteDates = sqlerr.New(sqlerr.DatetimeFieldOverflow, "cannot subtract infinite dates")

// subtractDates is date - date.
func subtractDates(f *frame) {
	a, b, out := f.args[0].Int, f.args[1].Int, f.out.Int
	infinite := func(d int64) bool { return d == column.DateInfinity || d == column.DateNegInfinity }
	for _, i := range f.sel {
		if infinite(a[i]) || infinite(b[i]) {
			f.fail(i, errInfiniteDates)
			continue
		}
		out[i] = a[i] - b[i]
	}
}

var errTimestampNaN = sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp cannot be NaN")

// toTimestamp is to_timestamp(seconds since 1970).
func toTimestamp(f *frame) {
	const (
		unixSeconds = (datum.EpochJulian - datum.UnixJulian) * 86400.0
		low         = (-datum.UnixJulian) * 86400.0
		end         = (datum.EndTimestamp/datum.Day + datum.EpochJulian - datum.UnixJulian) * 86400.0
	)
	a, out := f.args[0].Float, f.out.Int
	for _, i := range f.sel {
		x := a[i]
		switch {
		case math.IsNaN(x):
			f.fail(i, errTimestampNaN)
		case math.IsInf(x, 1):
			out[i] = column.Infinity
		case math.IsInf(x, -1):
			out[i] = column.NegativeInfinity
		case x < low || x >= end:
			f.fail(i, secondsRange(x))
		default:
			t := int64(math.RoundToEven((x - unixSeconds) * datum.Second))
			if !datum.ValidTimestamp(t) {
				f.fail(i, secondsRange(x))
				continue
			}
			out[i] = t
		}
	}
}

func secondsRange(x float64) *sqlerr.Error {
	return sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range: \"%.6g\"", x)
}
