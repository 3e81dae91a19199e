package expr

import "github.com/millstream-dev/millstream/internal/column"

// timeFunctions are the functions and operators of dates and timestamps.
func timeFunctions() []*Function {
	const (
		text, integer, interval = column.Text, column.Int4, column.Interval
		date, ts, tz            = column.Date, column.Timestamp, column.Timestamptz
		f8, number              = column.Float8, column.Numeric
	)
	return []*Function{
		line("+", kinds(date, integer), date, addDays(1), "so many days later"),
		mirrored("+", kinds(integer, date), date, addDays(1), "so many days later"),
		line("-", kinds(date, integer), date, addDays(-1), "so many days earlier"),
		line("-", kinds(date, date), integer, subtractDates, "number of days between"),
		line("+", kinds(date, interval), ts, addInterval(1, true), "later by an interval"),
		mirrored("+", kinds(interval, date), ts, addInterval(1, true), "later by an interval"),
		line("-", kinds(date, interval), ts, addInterval(-1, true), "earlier by an interval"),
		line("+", kinds(ts, interval), ts, addInterval(1, false), "later by an interval"),
		mirrored("+", kinds(interval, ts), ts, addInterval(1, false), "later by an interval"),
		line("-", kinds(ts, interval), ts, addInterval(-1, false), "earlier by an interval"),
		stable(line("+", kinds(tz, interval), tz, addInterval(1, false), "later by an interval, days counted in UTC")),
		stable(mirrored("+", kinds(interval, tz), tz, addInterval(1, false), "later by an interval, days counted in UTC")),
		stable(line("-", kinds(tz, interval), tz, addInterval(-1, false), "earlier by an interval, days counted in UTC")),

		line("extract", kinds(text, date), number, extractKernel(date), "a unit of a date: `extract(year from x)`"),
		line("extract", kinds(text, ts), number, extractKernel(ts), "a unit of a time: `extract(hour from x)`"),
		stable(line("extract", kinds(text, tz), number, extractKernel(tz), "a unit of a time in UTC: `extract(epoch from x)`")),
		line("date_part", kinds(text, date), f8, datePartKernel(date), "a unit of a date, as a double"),
		line("date_part", kinds(text, ts), f8, datePartKernel(ts), "a unit of a time, as a double"),
		stable(line("date_part", kinds(text, tz), f8, datePartKernel(tz), "a unit of a time in UTC, as a double")),
		line("date_trunc", kinds(text, ts), ts, dateTrunc(ts), "start of the unit that holds a time"),
		stable(line("date_trunc", kinds(text, tz), tz, dateTrunc(tz), "start of the unit that holds a time, in UTC")),
		stable(line("date_trunc", kinds(text, tz, text), tz, dateTruncZone, "start of the unit that holds a time, in a time zone")),
		line("date_bin", kinds(interval, ts, ts), ts, dateBin, "start of the bin of a constant length, counted from an origin"),
		line("date_bin", kinds(interval, tz, tz), tz, dateBin, "start of the bin of a constant length, counted from an origin"),
		line("to_timestamp", kinds(f8), tz, toTimestamp, "time of so many seconds since 1970"),
		line("timezone", kinds(text, ts), tz, fromZone, "`x AT TIME ZONE zone`: the moment when clocks there show x"),
		line("timezone", kinds(text, tz), ts, toZone, "`x AT TIME ZONE zone`: what clocks there show at x"),
	}
}
