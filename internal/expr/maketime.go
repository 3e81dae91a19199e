package expr

import (
	"fmt"
	"math"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// makeDay gives the day that year, month and day name; a negative year is
// before Christ. The year in its message is the one that the caller names.
func makeDay(year, month, day, named int64) (int64, *sqlerr.Error) {
	y := year
	if year < 0 {
		y++ // 1 BC is year 0
	}
	if year == 0 || year == math.MinInt32 || month < 1 || month > 12 || day < 1 || day > int64(datum.DaysInMonth(int(y), int(month))) {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date field value out of range: %d-%02d-%02d", named, month, day)
	}
	const first, last = -4713*12 + 10, 5874898*12 + 5 // the months of PostgreSQL's julian days
	if at := y*12 + month - 1; at < first || at >= last {
		return 0, dayRange(named, month, day)
	}
	return int64(datum.JulianDay(int(y), int(month), int(day)) - datum.EpochJulian), nil
}

func dayRange(year, month, day int64) *sqlerr.Error {
	return sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range: %d-%02d-%02d", year, month, day)
}

func makeDate(f *frame) {
	for _, i := range f.sel {
		year, month, day := f.args[0].Int[i], f.args[1].Int[i], f.args[2].Int[i]
		named := year
		if year < 0 && year != math.MinInt32 {
			named++ // PostgreSQL's message has the year as it reckons
		}
		d, err := makeDay(year, month, day, named)
		if err == nil && !datum.ValidDate(d) {
			err = dayRange(named, month, day)
		}
		if err != nil {
			f.fail(i, err)
			continue
		}
		f.out.Int[i] = d
	}
}

// makeTimestamp is make_timestamp and make_timestamptz, the latter also with
// a time zone as the last argument.
func makeTimestamp(f *frame) {
	for _, i := range f.sel {
		t, err := f.makeMoment(i)
		if err != nil {
			f.fail(i, err)
			continue
		}
		f.out.Int[i] = t
	}
}

func (f *frame) makeMoment(i int32) (int64, *sqlerr.Error) {
	n := func(arg int) int64 { return f.args[arg].Int[i] }
	day, err := makeDay(n(0), n(1), n(2), n(0))
	if err != nil {
		return 0, err
	}
	hour, minute, second := n(3), n(4), f.args[5].Float[i]
	micros := math.RoundToEven(second * 1e6)
	if hour < 0 || hour > 24 || minute < 0 || minute > 59 || !(micros >= 0 && micros <= 60e6) ||
		hour*datum.Hour+minute*datum.Minute+int64(micros) > datum.Day {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "time field value out of range: %d:%02d:%s", hour, minute, twoDigitG(second))
	}
	outOfRange := func() *sqlerr.Error {
		return sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range: %d-%02d-%02d %d:%02d:%s", n(0), n(1), n(2), hour, minute, twoDigitG(second))
	}
	if day >= datum.EndTimestamp/datum.Day+1 {
		return 0, outOfRange()
	}
	t := day*datum.Day + hour*datum.Hour + minute*datum.Minute + int64(micros)
	if !datum.ValidTimestamp(t) {
		return 0, outOfRange()
	}
	if len(f.args) == 7 {
		var zone *time.Location
		if zone, err = f.zoneOf(6, i); err != nil {
			return 0, err
		}
		if t = momentOf(zone, t); !datum.ValidTimestamp(t) {
			return 0, errTimestampRange
		}
	}
	return t, nil
}

// twoDigitG is C's %02g.
func twoDigitG(x float64) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	}
	return fmt.Sprintf("%02.6g", x)
}

// atOffset is timezone(interval, time): sign is 1 from UTC to the clock's
// time, -1 back.
func atOffset(sign int64) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			t, by := f.args[1].Int[i], f.args[0].Interval[i]
			if !finite(t) {
				f.out.Int[i] = t
				continue
			}
			if by.Months != 0 || by.Days != 0 {
				f.fail(i, sqlerr.New(sqlerr.InvalidParameterValue, "interval time zone \"%s\" must not include months or days", datum.Append(nil, f.args[0], int(i))))
				continue
			}
			// PostgreSQL keeps an offset in 32 bits.
			t += sign * int64(int32(by.Micros/datum.Second)) * datum.Second
			if !datum.ValidTimestamp(t) {
				f.fail(i, errTimestampRange)
				continue
			}
			f.out.Int[i] = t
		}
	}
}

// madeTimeFunctions make times and intervals of their parts, and compare
// periods.
func madeTimeFunctions() []*Function {
	const (
		text, i4, f8, interval = column.Text, column.Int4, column.Float8, column.Interval
		date, ts, tz           = column.Date, column.Timestamp, column.Timestamptz
	)
	const moment = "the current date is not the same at each reading of the log; give both times: age(a, b)"
	out := []*Function{
		line("make_date", kinds(i4, i4, i4), date, makeDate, "date of year, month and day"),
		line("make_timestamp", kinds(i4, i4, i4, i4, i4, f8), ts, makeTimestamp, "time of year, month, day, hour, minute and seconds"),
		stable(line("make_timestamptz", kinds(i4, i4, i4, i4, i4, f8), tz, makeTimestamp, "the same in UTC")),
		stable(line("make_timestamptz", kinds(i4, i4, i4, i4, i4, f8, text), tz, makeTimestamp, "the same in a time zone")),
		line("make_interval", kinds(i4, i4, i4, i4, i4, i4, f8), interval, makeInterval, "interval of years, months, weeks, days, hours, mins and secs, also by name: `make_interval(hours => 2)`"),
		line("age", kinds(ts, ts), interval, ageKernel, "years, months, days and time between two times"),
		line("age", kinds(tz, tz), interval, ageKernel, "years, months, days and time between two times, in UTC"),
		refused("age", kinds(ts), interval, moment),
		refused("age", kinds(tz), interval, moment),
		line("justify_hours", kinds(interval), interval, justify(true, false), "24 hours made a day"),
		line("justify_days", kinds(interval), interval, justify(false, true), "30 days made a month"),
		line("justify_interval", kinds(interval), interval, justify(true, true), "24 hours made a day, 30 days a month, all of one sign"),
	}
	for _, k := range []column.Kind{ts, tz} {
		for _, form := range [][]column.Kind{kinds(k, k, k, k), kinds(k, interval, k, interval), kinds(k, k, k, interval), kinds(k, interval, k, k)} {
			f := calledOnNull(line("overlaps", form, column.Bool, overlaps, "two periods share a time: `(a, b) OVERLAPS (c, d)`"))
			f.Stable = k == tz && form[1] == interval || k == tz && form[3] == interval
			out = append(out, f)
		}
	}
	return out
}
