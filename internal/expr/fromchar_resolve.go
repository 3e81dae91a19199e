package expr

import (
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// dateParts tells which parts of a date are known, and so are checked.
type dateParts uint8

const (
	yearKnown dateParts = 1 << iota
	monthKnown
	dayKnown
	dateKnown = yearKnown | monthKnown | dayKnown
)

// resolve makes a time of the fields: those that were not read are the
// beginning of the year 1 BC.
func (r *timeReader) resolve() *sqlerr.Error {
	r.civil.Month, r.civil.Day = 1, 1
	if err := r.timeOfDay(); err != nil {
		return err
	}
	known := r.resolveYear() | r.resolveDay()
	ordinal, err := r.resolveDayOfYear()
	if err != nil {
		return err
	}
	c := &r.civil
	c.Micros = r.fields.milli*1000 + r.fields.micro
	if !validDate(known|ordinal, c) || c.Hour < 0 || c.Hour >= 24 || c.Minute < 0 || c.Minute >= 60 || c.Second < 0 || c.Second >= 60 ||
		c.Micros < 0 || c.Micros >= datum.Second {
		return sqlerr.New(sqlerr.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", r.text)
	}
	return r.resolveZone()
}

func (r *timeReader) timeOfDay() *sqlerr.Error {
	f, c := &r.fields, &r.civil
	c.Hour, c.Minute, c.Second = f.secondOfDay/3600, f.secondOfDay%3600/60, f.secondOfDay%60
	for _, p := range []struct {
		to   *int
		from int
	}{{&c.Second, f.second}, {&c.Minute, f.minute}, {&c.Hour, f.hour}} {
		if p.from != 0 {
			*p.to = p.from
		}
	}
	if !r.halfDay {
		return nil
	}
	if c.Hour < 1 || c.Hour > 12 {
		return sqlerr.New(sqlerr.InvalidDatetimeFormat, "hour \"%d\" is invalid for the 12-hour clock", c.Hour)
	}
	if c.Hour %= 12; f.pm != 0 {
		c.Hour += 12
	}
	return nil
}

// resolveYear makes a year of year, century and era. The 21st century begins
// with 2001, and the 6th before Christ ends with 501.
func (r *timeReader) resolveYear() dateParts {
	f, c := &r.fields, &r.civil
	century := f.century
	if f.bc != 0 {
		century = -century
	}
	switch {
	case f.year != 0 && century != 0 && f.yearDigits <= 2:
		switch c.Year = f.year % 100; {
		case c.Year != 0 && century >= 0:
			c.Year += (century - 1) * 100
		case c.Year != 0:
			c.Year = (century+1)*100 - c.Year + 1
		case century >= 0:
			c.Year = century * 100
		default:
			c.Year = century*100 + 1
		}
	case f.year != 0:
		if c.Year = f.year; f.bc != 0 {
			c.Year = -c.Year
		}
		if c.Year < 0 {
			c.Year++
		}
	case century > 0:
		c.Year = (century-1)*100 + 1
	case century < 0:
		c.Year = century*100 + 1
	default:
		return 0
	}
	return yearKnown
}

// resolveDay makes month and day of what numbers days in whatever way, but
// for the day of the year.
func (r *timeReader) resolveDay() (known dateParts) {
	f, c := &r.fields, &r.civil
	if f.julian != 0 {
		c.Year, c.Month, c.Day = datum.DateOfJulian(f.julian)
		known = dateKnown
	}
	switch {
	case f.week != 0 && r.conventions == isoWeeks:
		julian := datum.ISOWeekStart(c.Year, f.week)
		switch {
		case f.weekday > 1:
			julian += f.weekday - 2
		case f.weekday != 0:
			julian += 6
		}
		c.Year, c.Month, c.Day = datum.DateOfJulian(julian)
		known = dateKnown
	case f.week != 0:
		f.dayOfYear = (f.week-1)*7 + 1
	}
	if f.weekOfMonth != 0 {
		f.day = (f.weekOfMonth-1)*7 + 1
	}
	if f.day != 0 {
		c.Day = f.day
		known |= dayKnown
	}
	if f.month != 0 {
		c.Month = f.month
		known |= monthKnown
	}
	return known
}

func (r *timeReader) resolveDayOfYear() (dateParts, *sqlerr.Error) {
	f, c := &r.fields, &r.civil
	if f.dayOfYear == 0 || c.Month > 1 && c.Day > 1 {
		return 0, nil
	}
	if c.Year == 0 && f.bc == 0 {
		return 0, sqlerr.New(sqlerr.InvalidDatetimeFormat, "cannot calculate day of year without year information")
	}
	if r.conventions == isoWeeks {
		c.Year, c.Month, c.Day = datum.DateOfJulian(datum.ISOWeekStart(c.Year, 1) - 1 + f.dayOfYear)
		return dateKnown, nil
	}
	month, before := 1, 0
	for month <= 12 && f.dayOfYear > before+datum.DaysInMonth(c.Year, month) {
		before += datum.DaysInMonth(c.Year, month)
		month++
	}
	if c.Month <= 1 {
		c.Month = month
	}
	if c.Day <= 1 {
		c.Day = f.dayOfYear - before
	}
	return monthKnown | dayKnown, nil
}

func validDate(known dateParts, c *datum.CivilTime) bool {
	switch {
	case known&monthKnown != 0 && (c.Month < 1 || c.Month > 12),
		known&dayKnown != 0 && (c.Day < 1 || c.Day > 31):
		return false
	}
	return known&dateKnown != dateKnown || c.Day <= datum.DaysInMonth(c.Year, c.Month)
}

// maxZoneHours is the greatest offset from UTC that PostgreSQL takes.
const maxZoneHours = 15

func (r *timeReader) resolveZone() *sqlerr.Error {
	f := &r.fields
	if f.zoneSign == 0 {
		return nil
	}
	if f.zoneHour < 0 || f.zoneHour > maxZoneHours || f.zoneMinute < 0 || f.zoneMinute >= 60 {
		return sqlerr.New(sqlerr.InvalidTimeZoneDisplacement, "time zone displacement out of range: \"%s\"", r.text)
	}
	r.east = f.zoneSign * (f.zoneHour*60 + f.zoneMinute) * 60
	return nil
}
