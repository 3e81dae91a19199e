package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

func infinity(sign int) float64 { return math.Inf(sign) }

// dateTrunc is date_trunc(unit, timestamp), also for a timestamptz since the
// session's time zone is UTC.
func dateTrunc(kind column.Kind) kernel {
	return func(f *frame) {
		a, out := f.args[1].Int, f.out.Int
		for _, i := range f.sel {
			t, err := truncate(f.unitOf(0, i), kind, a[i])
			if err != nil {
				f.fail(i, err)
				continue
			}
			out[i] = t
		}
	}
}

// truncate gives the start of the unit that holds t.
func truncate(w unitWord, kind column.Kind, t int64) (int64, *sqlerr.Error) {
	if _, ok := unitLabels[w.unit]; !ok {
		return 0, w.unsupported(kind)
	}
	if !finite(t) {
		return t, nil
	}
	if size := fixedUnits[w.unit]; size > 0 {
		rest := t % size
		if rest < 0 {
			rest += size
		}
		t -= rest
	} else {
		c := truncateCivil(w.unit, datum.Civil(t))
		var ok bool
		if t, ok = c.Stored(); !ok {
			return 0, errTimestampRange
		}
	}
	if !datum.ValidTimestamp(t) {
		return 0, errTimestampRange
	}
	return t, nil
}

// fixedUnits are the units that have always the same length and begin at
// multiples of it: 2000-01-01 began one of each.
var fixedUnits = map[unit]int64{
	microsecondUnit: 1, millisecondUnit: 1000, secondUnit: datum.Second,
	minuteUnit: datum.Minute, hourUnit: datum.Hour, dayUnit: datum.Day,
}

// truncateCivil sets all fields below a unit to their start.
func truncateCivil(u unit, c datum.CivilTime) datum.CivilTime {
	c.Hour, c.Minute, c.Second, c.Micros = 0, 0, 0, 0
	switch u {
	case weekUnit:
		julian := datum.JulianDay(c.Year, c.Month, c.Day)
		c.Year, c.Month, c.Day = datum.DateOfJulian(julian - (datum.Weekday(julian)+6)%7)
		return c
	case quarterUnit:
		c.Month -= (c.Month - 1) % 3
	case yearUnit:
		c.Month = 1
	case decadeUnit:
		c.Month = 1
		if c.Year > 0 {
			c.Year = c.Year / 10 * 10
		} else {
			c.Year = -((8 - (c.Year - 1)) / 10) * 10
		}
	case centuryUnit:
		c.Month, c.Year = 1, firstYear(c.Year, 100)
	case millenniumUnit:
		c.Month, c.Year = 1, firstYear(c.Year, 1000)
	}
	c.Day = 1
	return c
}

// firstYear is the first year of a century or millennium.
func firstYear(year, n int) int {
	if year > 0 {
		return (year+n-1)/n*n - (n - 1)
	}
	return -((n-1-(year-1))/n)*n + 1
}

var (
	errStrideMonths  = sqlerr.New(sqlerr.FeatureNotSupported, "timestamps cannot be binned into intervals containing months or years")
	errStrideSign    = sqlerr.New(sqlerr.DatetimeFieldOverflow, "stride must be greater than zero")
	errOriginRange   = sqlerr.New(sqlerr.DatetimeFieldOverflow, "origin out of range")
	errIntervalRange = sqlerr.New(sqlerr.DatetimeFieldOverflow, "interval out of range")
)

// dateBin is date_bin(stride, timestamp, origin).
func dateBin(f *frame) {
	stride, a, origin, out := f.args[0].Interval, f.args[1].Int, f.args[2].Int, f.out.Int
	for _, i := range f.sel {
		t, err := bin(stride[i], a[i], origin[i])
		if err != nil {
			f.fail(i, err)
			continue
		}
		out[i] = t
	}
}

func bin(stride column.IntervalValue, t, origin int64) (int64, *sqlerr.Error) {
	if !finite(t) {
		return t, nil
	}
	if !finite(origin) {
		return 0, errOriginRange
	}
	if stride.Months != 0 {
		return 0, errStrideMonths
	}
	days, ok := multiplyIntegers(int64(stride.Days), datum.Day)
	size, ok2 := addIntegers(days, stride.Micros)
	if !ok || !ok2 {
		return 0, errIntervalRange
	}
	if size <= 0 {
		return 0, errStrideSign
	}
	distance, ok := subtractIntegers(t, origin)
	if !ok {
		return 0, errIntervalRange
	}
	rest := distance % size
	start := origin + distance - rest
	if rest < 0 {
		if start, ok = subtractIntegers(start, size); !ok || !datum.ValidTimestamp(start) {
			return 0, errTimestampRange
		}
	}
	return start, nil
}
