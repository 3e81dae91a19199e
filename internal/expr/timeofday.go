package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// timeOfDayFunctions are the functions and operators of the type time.
func timeOfDayFunctions() []*Function {
	const (
		time, date, ts, interval  = column.Time, column.Date, column.Timestamp, column.Interval
		text, integer, f8, number = column.Text, column.Int4, column.Float8, column.Numeric
	)
	const noOverlaps = "compare the ends: a < d AND c < b"
	out := []*Function{
		line("+", kinds(time, interval), time, moveTime(1), "later by an interval, round the clock"),
		mirrored("+", kinds(interval, time), time, moveTime(1), "later by an interval, round the clock"),
		line("-", kinds(time, interval), time, moveTime(-1), "earlier by an interval, round the clock"),
		line("-", kinds(time, time), interval, timeBetween, "time between"),
		line("+", kinds(date, time), ts, dateAndTime, "the time on the date"),
		mirrored("+", kinds(time, date), ts, dateAndTime, "the time on the date"),
		line("extract", kinds(text, time), number, extractTime(false), "a unit of a time of day: `extract(hour from x)`"),
		line("date_part", kinds(text, time), f8, extractTime(true), "a unit of a time of day, as a double"),
		line("make_time", kinds(integer, integer, f8), time, makeTime, "time of hour, minute and seconds"),
	}
	for _, args := range [][]column.Kind{{time, time, time, time}, {time, interval, time, interval}, {time, time, time, interval}, {time, interval, time, time}} {
		out = append(out, refused("overlaps", args, column.Bool, noOverlaps))
	}
	return out
}

// moveTime adds the time of an interval, not its days and months.
func moveTime(sign int64) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.out.Int[i] = clockTime(f.args[0].Int[i] + sign*(f.args[1].Interval[i].Micros%datum.Day))
		}
	}
}

// clockTime is what a clock shows: from 0 up to but without 24 hours.
func clockTime(micros int64) int64 {
	micros %= datum.Day
	if micros < 0 {
		micros += datum.Day
	}
	return micros
}

func timeBetween(f *frame) {
	for _, i := range f.sel {
		f.out.Interval[i] = column.IntervalValue{Micros: f.args[0].Int[i] - f.args[1].Int[i]}
	}
}

func dateAndTime(f *frame) {
	for _, i := range f.sel {
		days, micros := f.args[0].Int[i], f.args[1].Int[i]
		switch {
		case days == column.DateInfinity:
			f.out.Int[i] = column.Infinity
		case days == column.DateNegInfinity:
			f.out.Int[i] = column.NegativeInfinity
		case days >= datum.EndTimestamp/datum.Day:
			f.fail(i, errDateTimestamp)
		case !datum.ValidTimestamp(days*datum.Day + micros):
			f.fail(i, errTimestampRange)
		default:
			f.out.Int[i] = days*datum.Day + micros
		}
	}
}

func makeTime(f *frame) {
	for _, i := range f.sel {
		hour, minute, second := f.args[0].Int[i], f.args[1].Int[i], f.args[2].Float[i]
		micros := math.RoundToEven(second * datum.Second)
		if hour < 0 || minute < 0 || minute > 59 || math.IsNaN(micros) || micros < 0 || micros > datum.Minute ||
			hour > 24 || float64((hour*60+minute)*datum.Minute)+micros > datum.Day {
			f.fail(i, sqlerr.New(sqlerr.DatetimeFieldOverflow, "time field value out of range: %d:%02d:%s", hour, minute, twoDigitG(second)))
			continue
		}
		f.out.Int[i] = (hour*60+minute)*datum.Minute + int64(micros)
	}
}

// timeUnits are the units that a time of day has, in microseconds.
func extractTime(asDouble bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			w := parseUnit(f.bytes(0, i))
			micros := f.args[1].Int[i]
			n, scale, ok := timeUnit(w.unit, micros)
			switch {
			case !ok:
				f.fail(i, w.unsupported(column.Time))
			case asDouble && w.unit == epochUnit:
				f.out.Float[i] = float64(n) / datum.Second
			case asDouble && scale > 0:
				unit := int64(power10Int(int(scale)))
				f.out.Float[i] = float64(n/unit) + float64(n%unit)/float64(unit)
			case asDouble:
				f.out.Float[i] = float64(n)
			default:
				f.setDecimal(i, decimal.New(n, scale), nil)
			}
		}
	}
}

// timeUnit gives a unit of a time of day as n / 10^scale.
func timeUnit(u unit, micros int64) (n int64, scale int32, ok bool) {
	switch u {
	case microsecondUnit:
		return micros % datum.Minute, 0, true
	case millisecondUnit:
		return micros % datum.Minute, 3, true
	case secondUnit:
		return micros % datum.Minute, 6, true
	case minuteUnit:
		return micros / datum.Minute % 60, 0, true
	case hourUnit:
		return micros / datum.Hour, 0, true
	case epochUnit:
		return micros, 6, true
	}
	return 0, 0, false
}

// Casts of the type time.

func timestampToTime(f *frame) {
	for _, i := range f.sel {
		t := f.args[0].Int[i]
		if f.out.Null[i] = !finite(t); !f.out.Null[i] {
			f.out.Int[i] = clockTime(t)
		}
	}
}

func intervalToTime(f *frame) {
	for _, i := range f.sel {
		f.out.Int[i] = clockTime(f.args[0].Interval[i].Micros)
	}
}

func timeToInterval(f *frame) {
	for _, i := range f.sel {
		f.out.Interval[i] = column.IntervalValue{Micros: f.args[0].Int[i]}
	}
}
