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
	if !finite(t) {
		return t, nil
	}
	if err := w.truncates(kind); err != nil {
		return 0, err
	}
	if t = truncateFinite(w.unit, t); !datum.ValidTimestamp(t) {
		return 0, errTimestampRange
	}
	return t, nil
}

// truncates checks that date_trunc knows a unit.
func (w unitWord) truncates(kind column.Kind) *sqlerr.Error {
	if _, ok := unitLabels[w.unit]; ok && w.name != "mm" {
		return nil
	}
	if w.unit < zoneUnit {
		w.unit = noUnit // known to extract only
	}
	return w.unsupported(kind)
}

// truncateFinite gives the start of the unit that holds t, which may lie
// before the first timestamp.
func truncateFinite(u unit, t int64) int64 {
	if size := fixedUnits[u]; size > 0 {
		return floorDivide(t, size) * size
	}
	c := truncateCivil(u, datum.Civil(t))
	return int64(datum.JulianDay(c.Year, c.Month, c.Day)-datum.EpochJulian) * datum.Day
}

// fixedUnits are the units that have always the same length and begin at
// multiples of it: 2000-01-01 began one of each.
var fixedUnits = map[unit]int64{
	microsecondUnit: 1, millisecondUnit: 1000, secondUnit: datum.Second,
	minuteUnit: datum.Minute, hourUnit: datum.Hour, dayUnit: datum.Day,
}

// truncateCivil sets the fields of the date below a unit to their start.
func truncateCivil(u unit, c datum.CivilTime) datum.CivilTime {
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
