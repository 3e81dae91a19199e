package datum

import "time"

// What a date and time text stands for, if not for its fields.
const (
	resultFields = iota
	resultEpoch
	resultInfinity
	resultNegInfinity
)

// dateTimeDecoder reads date and time texts as PostgreSQL's DecodeDateTime
// does: fields of any order, whose meaning follows from their form and from
// what has been seen before.
type dateTimeDecoder struct {
	splitter fieldSplitter

	year, month, day, dayOfYear int
	hour, minute, second        int
	fraction                    int // microseconds
	west                        int // seconds that the zone lies west of UTC

	seen      wordType
	prefix    int // the unit of a label before a number
	meridiem  int
	era       int
	textMonth bool
	julian    bool
	twoDigits bool // of the year
	zone      *time.Location
	abbrev    string // with zone: the abbreviation whose meaning zone tells

	result   int
	reserved bool   // it asks for the present
	badZone  []byte // the zone of an unknownZone fault
}

// decode reads text, whose fields may take limit bytes.
func (d *dateTimeDecoder) decode(text []byte, limit int) fault {
	fields, f := d.splitter.split(text, limit)
	if f != noFault {
		return f
	}
	for i := range fields {
		seen, f := d.field(fields, i)
		if f != noFault {
			return f
		}
		if seen == typeIgnore {
			continue
		}
		if seen&d.seen != 0 {
			return badFormat
		}
		d.seen |= seen
	}
	if f := d.validateDate(); f != noFault {
		return f
	}
	if f := d.applyMeridiem(); f != noFault {
		return f
	}
	return d.finish()
}

// field reads field i and tells what it has set.
func (d *dateTimeDecoder) field(fields []field, i int) (wordType, fault) {
	s := fields[i].text
	switch fields[i].kind {
	case fieldDate:
		return d.dateField(s)
	case fieldTime:
		if d.prefix != unitNone {
			if d.prefix != unitTime {
				return 0, badFormat
			}
			d.prefix = unitNone
		}
		return d.timeField(s)
	case fieldZone:
		return typeZone, d.numericZone(s)
	case fieldNumber:
		if d.prefix != unitNone {
			return d.labelled(s)
		}
		return d.numberField(s)
	}
	return d.wordField(fields, i)
}

func (d *dateTimeDecoder) dateField(s []byte) (wordType, fault) {
	switch {
	case d.prefix == unitJulian:
		// A whole julian day with a zone behind it.
		n, rest, overflow := leadingInt32(s)
		if overflow || n < 0 {
			return 0, fieldOverflow
		}
		d.year, d.month, d.day = DateOfJulian(n)
		d.julian = true
		d.prefix = unitNone
		return seenDate | seenTime | typeZone, d.numericZone(rest)
	case d.prefix == unitNone && d.seen&(typeMonth|typeDay) != typeMonth|typeDay:
		return d.date(s)
	case isDigit(s[0]) || d.prefix != unitNone:
		return d.timeWithZone(s)
	}
	zone, ok := LoadZone(string(s))
	if !ok {
		d.badZone = s
		return 0, unknownZone
	}
	d.zone, d.abbrev = zone, ""
	return typeZone, noFault
}

// timeWithZone reads hhmmss-zz.
func (d *dateTimeDecoder) timeWithZone(s []byte) (wordType, fault) {
	if d.prefix != unitNone {
		if d.prefix != unitTime {
			return 0, badFormat
		}
		d.prefix = unitNone
	}
	if d.seen&seenTime == seenTime {
		return 0, badFormat
	}
	at := indexByte(s, '-')
	if at < 0 {
		return 0, badFormat
	}
	if f := d.numericZone(s[at:]); f != noFault {
		return 0, f
	}
	seen, f := d.runTogether(s[:at], d.seen)
	return seen | typeZone, f
}

// timeField reads hh:mm[:ss[.fff]] within a day.
func (d *dateTimeDecoder) timeField(s []byte) (wordType, fault) {
	t, f := decodeClock(s)
	if f != noFault {
		return 0, f
	}
	if t.hour > 24 || t.hour == 24 && (t.minute > 0 || t.second > 0 || t.micros > 0) ||
		t.hour == 23 && t.minute == 59 && t.second == 60 && t.micros > 0 {
		return 0, fieldOverflow
	}
	d.hour, d.minute, d.second, d.fraction = int(t.hour), t.minute, t.second, t.micros
	return seenTime, noFault
}

// numericZone reads a sign and hh, hhmm, hh:mm or hh:mm:ss.
func (d *dateTimeDecoder) numericZone(s []byte) fault {
	if len(s) == 0 || s[0] != '+' && s[0] != '-' {
		return badFormat
	}
	hour, rest, overflow := leadingInt32(s[1:])
	if overflow {
		return zoneOverflow
	}
	minute, second := 0, 0
	switch {
	case len(rest) > 0 && rest[0] == ':':
		if minute, rest, overflow = leadingInt32(rest[1:]); overflow {
			return zoneOverflow
		}
		if len(rest) > 0 && rest[0] == ':' {
			if second, rest, overflow = leadingInt32(rest[1:]); overflow {
				return zoneOverflow
			}
		}
	case len(rest) == 0 && len(s) > 3:
		hour, minute = hour/100, hour%100
	}
	if hour < 0 || hour > maxZoneHour || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return zoneOverflow
	}
	d.west = -((hour*60+minute)*60 + second)
	if s[0] == '-' {
		d.west = -d.west
	}
	if len(rest) > 0 {
		return badFormat
	}
	return noFault
}

// validateDate is what PostgreSQL checks of the date once all is read.
func (d *dateTimeDecoder) validateDate() fault {
	if d.seen&typeYear != 0 && !d.julian {
		switch {
		case d.era == bc:
			if d.year <= 0 {
				return fieldOverflow
			}
			d.year = 1 - d.year
		case d.twoDigits && d.year < 0:
			return fieldOverflow
		case d.twoDigits && d.year < 70:
			d.year += 2000
		case d.twoDigits && d.year < 100:
			d.year += 1900
		case !d.twoDigits && d.year <= 0:
			return fieldOverflow
		}
	}
	if d.seen&typeDayOfYear != 0 {
		// PostgreSQL counts in 32 bits, and so lets great years wrap around.
		d.year, d.month, d.day = DateOfJulian(int(uint32(JulianDay(d.year, 1, 1) + d.dayOfYear - 1)))
	}
	if d.seen&typeMonth != 0 && (d.month < 1 || d.month > 12) ||
		d.seen&typeDay != 0 && (d.day < 1 || d.day > 31) ||
		d.seen&seenDate == seenDate && d.day > DaysInMonth(d.year, d.month) {
		return fieldOverflow
	}
	return noFault
}

func (d *dateTimeDecoder) applyMeridiem() fault {
	if d.meridiem == 0 {
		return noFault
	}
	if d.hour > 12 {
		return fieldOverflow
	}
	if d.hour == 12 {
		d.hour = 0
	}
	if d.meridiem == pm {
		d.hour += 12
	}
	return noFault
}

func (d *dateTimeDecoder) finish() fault {
	if d.result != resultFields {
		return noFault
	}
	if d.seen&seenDate != seenDate {
		return badFormat
	}
	if d.seen&typeZoneModifier != 0 && (d.zone != nil || d.seen&typeZone == 0) {
		return badFormat
	}
	if d.zone != nil {
		d.west = -d.zoneOffset()
	}
	return noFault
}

// micros gives the stored timestamp.
func (d *dateTimeDecoder) micros(zoned bool) (int64, bool) {
	west := 0
	if zoned {
		west = d.west
	}
	c := CivilTime{d.year, d.month, d.day, d.hour, d.minute, d.second, d.fraction}
	return c.StoredWest(west)
}

func indexByte(s []byte, c byte) int {
	for i := range s {
		if s[i] == c {
			return i
		}
	}
	return -1
}
