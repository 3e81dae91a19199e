package window

import (
	"fmt"
	"slices"
)

// Unit is a unit of date_trunc.
type Unit string

// The units, as PostgreSQL names them.
const (
	Microseconds Unit = "microseconds"
	Milliseconds Unit = "milliseconds"
	Second       Unit = "second"
	Minute       Unit = "minute"
	Hour         Unit = "hour"
	Day          Unit = "day"
	Week         Unit = "week"
	Month        Unit = "month"
	Quarter      Unit = "quarter"
	Year         Unit = "year"
	Decade       Unit = "decade"
	Century      Unit = "century"
	Millennium   Unit = "millennium"
)

// Units are all units, short ones first.
var Units = []Unit{
	Microseconds, Milliseconds, Second, Minute, Hour, Day, Week,
	Month, Quarter, Year, Decade, Century, Millennium,
}

// fixedUnits are the units that date_trunc cuts without asking the zone
// again: an hour of the local clock begins with the offset that its rows
// have, so an hour that the clock repeats is two windows.
var fixedUnits = map[Unit]int64{
	Microseconds: 1, Milliseconds: 1000, Second: second, Minute: minute, Hour: hour,
}

// Calendar has the windows of date_trunc: units of a calendar, in a time zone
// or, for timestamps without one, as they stand.
type Calendar struct {
	unit Unit
	size int64 // of the fixed units, else 0
	zone *Zone // nil without zone
}

// NewCalendar gives the windows of date_trunc(unit, …). zone is nil for
// timestamps without time zone.
func NewCalendar(unit Unit, zone *Zone) (*Calendar, error) {
	if !slices.Contains(Units, unit) {
		return nil, fmt.Errorf("unit %q not recognized", unit)
	}
	return &Calendar{unit: unit, size: fixedUnits[unit], zone: zone}, nil
}

// Unit is the unit of the windows.
func (c *Calendar) Unit() Unit { return c.unit }

// Zone is the windows' time zone, nil without one.
func (c *Calendar) Zone() *Zone { return c.zone }

// Start gives date_trunc of t: false where PostgreSQL says "timestamp out of
// range".
//
// It may lie after t: where a clock is set back over midnight, the day begins
// with the second midnight and holds the hour before it.
func (c *Calendar) Start(t int64) (int64, bool) {
	if t < minTimestamp || t >= endTimestamp {
		return 0, false
	}
	var start int64
	switch {
	case c.size > 0:
		offset := c.offset(t)
		start = floor(t+offset, c.size) - offset
	case c.zone == nil:
		start = c.truncate(t)
	default:
		start = c.zone.instant(c.truncate(t + c.zone.Offset(t)))
	}
	return start, start >= minTimestamp && start < endTimestamp
}

func (c *Calendar) offset(t int64) int64 {
	if c.zone == nil {
		return 0
	}
	return c.zone.Offset(t)
}

// End gives the instant after the last one of the window that begins at
// start. Where a clock is set back from just after midnight, as it was in
// Newfoundland, the first minute of a day comes before the last hour of the
// day before it: the windows overlap, and each lasts until its last instant.
func (c *Calendar) End(start int64) int64 {
	var end int64
	switch {
	case c.zone == nil && c.size > 0:
		end = start + c.size
	case c.zone == nil:
		end = c.next(start)
	case c.size > 0:
		end = c.endOfFixed(start)
	default:
		end = c.zone.end(c.next(c.truncate(start + c.zone.Offset(start))))
	}
	if end < start {
		return endOfTime
	}
	return end
}

// endOfFixed looks for the last instant of [start, start+size) whose offset
// makes it truncate to start.
func (c *Calendar) endOfFixed(start int64) int64 {
	from := fold(start)
	to := from + c.size
	end := to
	for i := c.zone.index(from); i < len(c.zone.spans) && c.zone.spans[i].from < to; i++ {
		s := c.zone.spans[i]
		if floor(from+s.offset, c.size) == from+s.offset {
			end = min(c.zone.until(i), to)
		}
	}
	return end + start - from
}

func (c *Calendar) String() string {
	if c.zone == nil {
		return "calendar " + string(c.unit)
	}
	return "calendar " + string(c.unit) + " in " + c.zone.name
}

// truncate gives the local start of the unit that holds a local time.
func (c *Calendar) truncate(local int64) int64 {
	days := floor(local, day) / day
	switch c.unit {
	case Day:
		return days * day
	case Week:
		return floorWeek(days) * day
	}
	year, month := civil(days)
	switch c.unit {
	case Quarter:
		month -= (month - 1) % 3
	case Month:
	default:
		year, month = c.firstYear(year), 1
	}
	return daysOf(year, month) * day
}

// firstYear gives the first year of the unit that holds a year; year 0 is
// 1 BC. As in PostgreSQL, centuries and millennia begin with the years 1, 101
// and 1001, decades with those that ten divides.
func (c *Calendar) firstYear(year int64) int64 {
	switch c.unit {
	case Decade:
		return floor(year, 10)
	case Century:
		return floor(year-1, 100) + 1
	case Millennium:
		return floor(year-1, 1000) + 1
	}
	return year
}

// next gives the local start of the unit after the one that begins at local.
func (c *Calendar) next(local int64) int64 {
	days := floor(local, day) / day
	switch c.unit {
	case Day:
		return (days + 1) * day
	case Week:
		return (days + 7) * day
	}
	year, month := civil(days)
	switch c.unit {
	case Month:
		month++
	case Quarter:
		month += 3
	default:
		year += map[Unit]int64{Year: 1, Decade: 10, Century: 100, Millennium: 1000}[c.unit]
	}
	if month > 12 {
		year, month = year+1, month-12
	}
	if year > lastCivilYear {
		return endOfTime
	}
	return daysOf(year, month) * day
}

// lastCivilYear is the last whose days fit stored microseconds.
const lastCivilYear = 294_276

// floorWeek gives the Monday of the week that holds a day; days count from
// 2000-01-01, a Saturday.
func floorWeek(days int64) int64 { return floor(days+5, 7) - 5 }

// floor gives the greatest multiple of size that is not above n.
func floor(n, size int64) int64 {
	rest := n % size
	if rest < 0 {
		rest += size
	}
	return n - rest
}

// epochShift is the number of days from 0000-03-01 to 2000-01-01 in the
// Gregorian calendar carried back: counting from a March, leap days come
// last.
const epochShift = 730_425

// civil gives year (0 is 1 BC) and month of a day counted from 2000-01-01.
func civil(days int64) (year, month int64) {
	days += epochShift
	era := floor(days, 146_097) / 146_097
	rest := days - era*146_097
	yearOfEra := (rest - rest/1460 + rest/36_524 - rest/146_096) / 365
	dayOfYear := rest - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153 // months since March
	year, month = yearOfEra+era*400, shifted+3
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month
}

// daysOf gives the first day of a month, counted from 2000-01-01.
func daysOf(year, month int64) int64 {
	if month < 3 {
		year, month = year-1, month+12
	}
	era := floor(year, 400) / 400
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3) + 2) / 5
	return era*146_097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - epochShift
}
