package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// intervalFunctions are the operators that give an interval.
func intervalFunctions() []*Function {
	const interval, f8 = column.Interval, column.Float8
	const ts, tz = column.Timestamp, column.Timestamptz
	return []*Function{
		line("+", kinds(interval, interval), interval, addIntervals(1), "sum"),
		line("-", kinds(interval, interval), interval, addIntervals(-1), "difference"),
		line("-", kinds(interval), interval, negateInterval, "negation"),
		line("*", kinds(interval, f8), interval, scaleInterval(0), "multiple"),
		line("*", kinds(f8, interval), interval, scaleInterval(1), "multiple"),
		line("/", kinds(interval, f8), interval, divideInterval, "quotient"),
		line("-", kinds(ts, ts), interval, subtractTimestamps, "days and time between"),
		line("-", kinds(tz, tz), interval, subtractTimestamps, "days and time between"),
		line("extract", kinds(column.Text, interval), column.Numeric, extractInterval, "a unit of an interval"),
		line("date_part", kinds(column.Text, interval), f8, datePartInterval, "a unit of an interval, as a double"),
		line("date_trunc", kinds(column.Text, interval), interval, truncInterval, "an interval without what is smaller than a unit"),
		line("timezone", kinds(interval, ts), tz, atOffset(-1), "`x AT TIME ZONE INTERVAL '2 hours'`: the moment when clocks so far ahead of UTC show x"),
		line("timezone", kinds(interval, tz), ts, atOffset(1), "`x AT TIME ZONE INTERVAL '2 hours'`: what clocks so far ahead of UTC show at x"),
	}
}

func addIntervals(sign int64) kernel {
	return func(f *frame) {
		a, b := f.args[0].Interval, f.args[1].Interval
		for _, i := range f.sel {
			micros, ok := addIntegers(a[i].Micros, sign*b[i].Micros)
			days := int64(a[i].Days) + sign*int64(b[i].Days)
			months := int64(a[i].Months) + sign*int64(b[i].Months)
			if !ok || int64(int32(days)) != days || int64(int32(months)) != months {
				f.fail(i, errIntervalRange)
				continue
			}
			f.out.Interval[i] = column.IntervalValue{Micros: micros, Days: int32(days), Months: int32(months)}
		}
	}
}

func negateInterval(f *frame) {
	a := f.args[0].Interval
	for _, i := range f.sel {
		v := a[i]
		if v.Micros == math.MinInt64 || v.Days == math.MinInt32 || v.Months == math.MinInt32 {
			f.fail(i, errIntervalRange)
			continue
		}
		f.out.Interval[i] = column.IntervalValue{Micros: -v.Micros, Days: -v.Days, Months: -v.Months}
	}
}

// scaleInterval multiplies an interval; the fraction of a month becomes days
// of a month of 30, the fraction of a day becomes time.
func scaleInterval(interval int) kernel {
	return func(f *frame) {
		a, by := f.args[interval].Interval, f.args[1-interval].Float
		for _, i := range f.sel {
			v, ok := multiplyInterval(a[i], by[i])
			if !ok {
				f.fail(i, errIntervalRange)
				continue
			}
			f.out.Interval[i] = v
		}
	}
}

func multiplyInterval(v column.IntervalValue, by float64) (column.IntervalValue, bool) {
	return scaleParts(v, func(part float64) float64 { return part * by })
}

// scaleParts applies a multiplication or division to each part.
func scaleParts(v column.IntervalValue, scale func(float64) float64) (column.IntervalValue, bool) {
	fits32 := func(x float64) bool { return x >= math.MinInt32 && x < -math.MinInt32 }
	months, days := scale(float64(v.Months)), scale(float64(v.Days))
	if !fits32(months) || !fits32(days) {
		return v, false
	}
	out := column.IntervalValue{Months: int32(months), Days: int32(days)}
	// Rounding to microseconds keeps 0.1 months from losing one.
	round := func(x float64) float64 { return math.RoundToEven(x*1e6) / 1e6 }
	monthDays := round((months - float64(out.Months)) * 30)
	seconds := round((days - float64(out.Days) + monthDays - math.Trunc(monthDays)) * 86400)
	extra := int32(monthDays)
	if math.Abs(seconds) >= 86400 {
		extra += int32(seconds / 86400)
		seconds -= float64(int32(seconds/86400)) * 86400
	}
	out.Days += extra
	micros := math.RoundToEven(scale(float64(v.Micros)) + seconds*1e6)
	if !(micros >= math.MinInt64 && micros < -math.MinInt64) {
		return v, false
	}
	out.Micros = int64(micros)
	return out, true
}

// extractInterval is extract(unit from interval).
func extractInterval(f *frame) {
	a := f.args[1].Interval
	for _, i := range f.sel {
		d, err := intervalUnit(f.unitOf(0, i), a[i])
		f.setDecimal(i, d, err)
	}
}

func intervalUnit(w unitWord, v column.IntervalValue) (decimal.Decimal, *sqlerr.Error) {
	years, rest := int64(v.Months/12), v.Micros
	hours, rest := rest/datum.Hour, rest%datum.Hour
	minutes, rest := rest/datum.Minute, rest%datum.Minute
	var n int64
	switch w.unit {
	case microsecondUnit:
		n = rest
	case millisecondUnit:
		return decimal.New(rest, 3), nil
	case secondUnit:
		return decimal.New(rest, 6), nil
	case minuteUnit:
		n = minutes
	case hourUnit:
		n = hours
	case dayUnit:
		n = int64(v.Days)
	case monthUnit:
		n = int64(v.Months % 12)
	case quarterUnit:
		n = int64(v.Months%12)/3 + 1
	case yearUnit:
		n = years
	case decadeUnit:
		n = years / 10
	case centuryUnit:
		n = years / 100
	case millenniumUnit:
		n = years / 1000
	case epochUnit:
		return intervalEpoch(v)
	default:
		return decimal.Decimal{}, w.unsupported(column.Interval)
	}
	return decimal.FromInt64(n), nil
}

// intervalEpoch is an interval in seconds, a year counted as 365.25 days and
// a month as 30.
func intervalEpoch(v column.IntervalValue) (decimal.Decimal, *sqlerr.Error) {
	days := int64(v.Months/12)*1461 + (int64(v.Months%12)*30+int64(v.Days))*4 // quarters of a day
	seconds := decimal.FromInt64(days * (86400 / 4))
	return seconds.Add(decimal.New(v.Micros, 6))
}
