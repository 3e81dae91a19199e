package datum

// Units of stored timestamps.
const (
	Second = 1_000_000
	Minute = 60 * Second
	Hour   = 60 * Minute
	Day    = 24 * Hour
)

// Julian days of PostgreSQL's limits and epochs.
const (
	EpochJulian = 2451545 // 2000-01-01
	UnixJulian  = 2440588 // 1970-01-01

	minJulianYear, minJulianMonth = -4713, 11
	maxJulianYear, maxJulianMonth = 5874898, 6

	timestampEndJulian = 109203528  // 294277-01-01
	dateEndJulian      = 2147483494 // 5874898-01-01
)

// MinTimestamp and EndTimestamp are the range of finite stored timestamps:
// 4714-11-24 BC (included) and 294277-01-01 (excluded).
const (
	MinTimestamp = -EpochJulian * Day
	EndTimestamp = (timestampEndJulian - EpochJulian) * Day
	MinDate      = -EpochJulian
	EndDate      = dateEndJulian - EpochJulian
)

// ValidTimestamp tells whether a finite stored timestamp is in range.
func ValidTimestamp(micros int64) bool { return micros >= MinTimestamp && micros < EndTimestamp }

// ValidDate tells whether a finite stored date is in range.
func ValidDate(days int64) bool { return days >= MinDate && days < EndDate }

// CivilTime is a stored timestamp in the proleptic Gregorian calendar. Year 0
// is 1 BC.
type CivilTime struct {
	Year                 int
	Month, Day           int // from 1
	Hour, Minute, Second int
	Micros               int // of the second
}

// Civil takes a finite stored timestamp apart.
func Civil(micros int64) CivilTime {
	days, rest := splitDay(micros)
	var c CivilTime
	c.Year, c.Month, c.Day = DateOfJulian(int(days) + EpochJulian)
	c.Hour, rest = int(rest/Hour), rest%Hour
	c.Minute, rest = int(rest/Minute), rest%Minute
	c.Second, c.Micros = int(rest/Second), int(rest%Second)
	return c
}

func splitDay(micros int64) (days, rest int64) {
	days, rest = micros/Day, micros%Day
	if rest < 0 {
		days, rest = days-1, rest+Day
	}
	return days, rest
}

// DaysOf gives the stored date of a stored timestamp.
func DaysOf(micros int64) int64 {
	days, _ := splitDay(micros)
	return days
}

// Stored puts a stored timestamp together; ok is false out of PostgreSQL's
// range. Fields may be one past their end (24:00:00, second 60).
func (c CivilTime) Stored() (micros int64, ok bool) { return c.StoredWest(0) }

// StoredWest is Stored for a time at so many seconds west of UTC.
func (c CivilTime) StoredWest(west int) (micros int64, ok bool) {
	if !validJulian(c.Year, c.Month) {
		return 0, false
	}
	days := int64(JulianDay(c.Year, c.Month, c.Day) - EpochJulian)
	// A zone can move a time by a few days into the range.
	const near = 10
	if days < MinDate-near || days > EndTimestamp/Day+near {
		return 0, false
	}
	micros = days*Day + timeOfDay(c.Hour, c.Minute, c.Second, c.Micros) + int64(west)*Second
	return micros, ValidTimestamp(micros)
}

func timeOfDay(hour, minute, second, micros int) int64 {
	return ((int64(hour)*60+int64(minute))*60+int64(second))*Second + int64(micros)
}

func validJulian(year, month int) bool {
	return (year > minJulianYear || year == minJulianYear && month >= minJulianMonth) &&
		(year < maxJulianYear || year == maxJulianYear && month < maxJulianMonth)
}

// JulianDay numbers the days from 4714-11-24 BC on. Month and day may be out
// of the calendar by a little; the result goes on counting.
func JulianDay(year, month, day int) int {
	// A year that begins in March has its leap day at the end, and its
	// months' lengths repeat every five.
	if month > 2 {
		month++
		year += 4800
	} else {
		month += 13
		year += 4799
	}
	century := floorDiv(year, 100)
	return year*365 - 32167 + floorDiv(year, 4) - century + floorDiv(century, 4) +
		7834*month/256 + day
}

// DateOfJulian is the inverse of JulianDay.
func DateOfJulian(julian int) (year, month, day int) {
	// Count from 0000-03-01 in eras of 400 years.
	const marchYearZero = 1721120
	z := julian - marchYearZero
	era := floorDiv(z, 146097)
	dayOfEra := z - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	m := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*m+2)/5 + 1
	year, month = yearOfEra+era*400, m+3
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// IsLeap tells leap years.
func IsLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// DaysInMonth is the length of a month from 1 to 12.
func DaysInMonth(year, month int) int {
	switch month {
	case 2:
		if IsLeap(year) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// Weekday of a julian day: 0 is Sunday.
func Weekday(julian int) int {
	w := (julian + 1) % 7
	if w < 0 {
		w += 7
	}
	return w
}

// DayOfYear counts from 1.
func DayOfYear(year, month, day int) int {
	return JulianDay(year, month, day) - JulianDay(year, 1, 1) + 1
}

// ISOWeek gives the year and the week (from 1) by ISO 8601 of a julian day.
func ISOWeek(julian int) (year, week int) {
	// The week belongs to the year of its Thursday.
	thursday := julian - (Weekday(julian)+6)%7 + 3
	year, _, _ = DateOfJulian(thursday)
	return year, (thursday-JulianDay(year, 1, 1))/7 + 1
}

// ISOWeekStart is the julian day of the Monday of a year's week.
func ISOWeekStart(year, week int) int {
	fourth := JulianDay(year, 1, 4) // always in week 1
	return fourth - (Weekday(fourth)+6)%7 + (week-1)*7
}
