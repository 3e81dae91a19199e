package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// extractKernel is extract(unit from time), a numeric whose scale depends on
// the unit.
func extractKernel(kind column.Kind) kernel {
	return func(f *frame) {
		a := f.args[1].Int
		for _, i := range f.sel {
			w := f.unitOf(0, i)
			t, infinite, err := timestampFor(kind, a[i], w)
			switch {
			case err != nil:
				f.fail(i, err)
			case infinite != 0 && !w.unit.grows():
				f.out.Null[i] = true
			case infinite != 0:
				f.setDecimal(i, decimal.Inf(infinite), nil)
			default:
				d, err := extractDecimal(w.unit, kind, t)
				f.setDecimal(i, d, err)
			}
		}
	}
}

// datePartKernel is date_part(unit, time), a double.
func datePartKernel(kind column.Kind) kernel {
	return func(f *frame) {
		a := f.args[1].Int
		for _, i := range f.sel {
			w := f.unitOf(0, i)
			t := a[i]
			if kind == column.Date {
				var err *sqlerr.Error
				if t, err = timestampOfDate(t); err != nil {
					f.fail(i, err)
					continue
				}
			}
			// date_part of a date is that of its midnight.
			reported := kind
			if kind == column.Date {
				reported = column.Timestamp
			}
			t, infinite, err := timestampFor(reported, t, w)
			switch {
			case err != nil:
				f.fail(i, err)
			case infinite != 0 && !w.unit.grows():
				f.out.Null[i] = true
			case infinite != 0:
				f.out.Float[i] = infinity(infinite)
			default:
				f.out.Float[i] = extractFloat(w.unit, reported, t)
			}
		}
	}
}

// timestampFor checks that a type has a unit and gives its value as a
// timestamp, or the sign of an infinite one. An infinite timestamp without
// zone has the units of the zone too, all NULL.
func timestampFor(kind column.Kind, value int64, w unitWord) (t int64, infinite int, err *sqlerr.Error) {
	switch {
	case kind == column.Date && value == column.DateInfinity, kind != column.Date && value == column.Infinity:
		infinite = 1
	case kind == column.Date && value == column.DateNegInfinity, kind != column.Date && value == column.NegativeInfinity:
		infinite = -1
	}
	ofZone := w.unit >= zoneUnit && kind == column.Timestamp
	if !w.unit.has(kind) && !(infinite != 0 && ofZone) {
		return 0, 0, w.unsupported(kind)
	}
	return value, infinite, nil
}

// has tells whether values of a type have the unit.
func (u unit) has(kind column.Kind) bool {
	switch {
	case u == noUnit:
		return false
	case kind == column.Date:
		return u >= dayUnit && u <= epochUnit
	case kind == column.Time:
		return u <= hourUnit || u == epochUnit
	case u >= zoneUnit:
		return kind == column.Timestamptz
	}
	return true
}

// grows tells the units that grow with time for ever; the others go round,
// and have no value at infinity.
func (u unit) grows() bool {
	switch u {
	case yearUnit, decadeUnit, centuryUnit, millenniumUnit, isoYearUnit, julianUnit, epochUnit:
		return true
	}
	return false
}

// extractDecimal computes a unit of a finite timestamp, or of a finite date
// given as days.
func extractDecimal(u unit, kind column.Kind, t int64) (decimal.Decimal, *sqlerr.Error) {
	if kind == column.Date {
		julian := t + datum.EpochJulian
		switch u {
		case julianUnit:
			return decimal.FromInt64(julian), nil
		case epochUnit:
			return decimal.FromInt64((julian - datum.UnixJulian) * (datum.Day / datum.Second)), nil
		}
		year, month, day := datum.DateOfJulian(int(julian))
		return decimal.FromInt64(extractInteger(u, datum.CivilTime{Year: year, Month: month, Day: day})), nil
	}
	c := datum.Civil(t)
	switch u {
	case millisecondUnit:
		return decimal.New(extractInteger(microsecondUnit, c), 3), nil
	case secondUnit:
		return decimal.New(extractInteger(microsecondUnit, c), 6), nil
	case epochUnit:
		return epochDecimal(t)
	case julianUnit:
		return julianDecimal(c)
	}
	return decimal.FromInt64(extractInteger(u, c)), nil
}

// epochDecimal is the seconds since 1970. Where the microseconds don't fit 64
// bits, PostgreSQL divides, and the quotient has fewer digits.
func epochDecimal(t int64) (decimal.Decimal, *sqlerr.Error) {
	if micros, ok := subtractIntegers(t, column.UnixEpochMicros); ok && micros < math.MaxInt64 {
		return decimal.New(micros, 6), nil
	}
	micros, err := decimal.FromInt64(t).Sub(decimal.FromInt64(column.UnixEpochMicros))
	if err != nil {
		return micros, err
	}
	seconds, err := micros.Div(decimal.FromInt64(datum.Second))
	if err != nil {
		return seconds, err
	}
	return seconds.Round(6)
}

// julianDecimal is a time as a julian day with its fraction.
func julianDecimal(c datum.CivilTime) (decimal.Decimal, *sqlerr.Error) {
	day := datum.JulianDay(c.Year, c.Month, c.Day)
	fraction, err := decimal.FromInt64(microsOfDay(c)).Div(decimal.FromInt64(datum.Day))
	if err != nil {
		return fraction, err
	}
	return decimal.FromInt64(int64(day)).Add(fraction)
}

func microsOfDay(c datum.CivilTime) int64 {
	return ((int64(c.Hour)*60+int64(c.Minute))*60+int64(c.Second))*datum.Second + int64(c.Micros)
}

// extractFloat computes a unit of a finite timestamp with date_part's own
// rounding.
func extractFloat(u unit, kind column.Kind, t int64) float64 {
	c := datum.Civil(t)
	switch u {
	case millisecondUnit:
		return float64(c.Second)*1000 + float64(c.Micros)/1000
	case secondUnit:
		return float64(c.Second) + float64(c.Micros)/1e6
	case epochUnit:
		if difference, ok := subtractIntegers(t, column.UnixEpochMicros); ok {
			return float64(difference) / 1e6
		}
		return (float64(t) - column.UnixEpochMicros) / 1e6
	case julianUnit:
		seconds := float64((c.Hour*60+c.Minute)*60+c.Second) + float64(c.Micros)/1e6
		return float64(datum.JulianDay(c.Year, c.Month, c.Day)) + seconds/86400
	}
	return float64(extractInteger(u, c))
}

// extractInteger computes a unit that is whole. Years before 1 AD count
// -1, -2, …; CivilTime has them as 0, -1, ….
func extractInteger(u unit, c datum.CivilTime) int64 {
	year := int64(c.Year)
	switch u {
	case microsecondUnit:
		return int64(c.Second)*datum.Second + int64(c.Micros)
	case minuteUnit:
		return int64(c.Minute)
	case hourUnit:
		return int64(c.Hour)
	case dayUnit:
		return int64(c.Day)
	case monthUnit:
		return int64(c.Month)
	case quarterUnit:
		return int64(c.Month-1)/3 + 1
	case yearUnit:
		return withoutYearZero(year)
	case decadeUnit:
		if year >= 0 {
			return year / 10
		}
		return -((8 - (year - 1)) / 10)
	case centuryUnit:
		return yearsRounded(year, 100)
	case millenniumUnit:
		return yearsRounded(year, 1000)
	}
	return extractFromDay(u, datum.JulianDay(c.Year, c.Month, c.Day), c)
}

func withoutYearZero(year int64) int64 {
	if year > 0 {
		return year
	}
	return year - 1
}

// yearsRounded counts centuries or millennia: 1 to 100 AD is the first one,
// 100 to 1 BC is -1.
func yearsRounded(year, n int64) int64 {
	if year > 0 {
		return (year + n - 1) / n
	}
	return -((n - 1 - (year - 1)) / n)
}

// extractFromDay computes the units that follow from the julian day.
func extractFromDay(u unit, julian int, c datum.CivilTime) int64 {
	switch u {
	case dowUnit:
		return int64(datum.Weekday(julian))
	case isoDowUnit:
		return int64((datum.Weekday(julian)+6)%7 + 1)
	case doyUnit:
		return int64(datum.DayOfYear(c.Year, c.Month, c.Day))
	case weekUnit:
		_, week := datum.ISOWeek(julian)
		return int64(week)
	case isoYearUnit:
		year, _ := datum.ISOWeek(julian)
		return withoutYearZero(int64(year))
	}
	return 0 // the session's time zone is UTC: timezone, its hour and minute
}
