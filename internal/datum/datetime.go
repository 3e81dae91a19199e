package datum

import (
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Limits of PostgreSQL's date and time input.
const (
	maxDateText      = 129 // bytes of all fields with their ends
	maxTimestampText = 153
	maxIntervalText  = 256
	maxFields        = 25
	maxZoneHour      = 15 // hours of a numeric zone
)

// fault is what PostgreSQL's date and time decoders answer with.
type fault uint8

const (
	noFault fault = iota
	badFormat
	fieldOverflow
	zoneOverflow
	unknownZone // an error of its own, with the zone's name
)

// error gives PostgreSQL's message for text as a type.
func (f fault) error(typeName string, text, zone []byte) *sqlerr.Error {
	switch f {
	case noFault:
		return nil
	case fieldOverflow:
		return sqlerr.New(sqlerr.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", text)
	case zoneOverflow:
		return sqlerr.New(sqlerr.InvalidTimeZoneDisplacement, "time zone displacement out of range: \"%s\"", text)
	case unknownZone:
		return sqlerr.New(sqlerr.InvalidTimeZone, "time zone \"%s\" not recognized", zone)
	}
	return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input syntax for type %s: \"%s\"", typeName, text)
}

// reservedWord refuses words for the present.
func reservedWord(typeName string, text []byte) *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidDatetimeFormat,
		"input \"%s\" for type %s depends on the present, which would give another value each time it is read", text, typeName)
}

func parseTimestamp(text []byte, zoned bool) (int64, *sqlerr.Error) {
	if micros, offset, ok := parseISO(text); ok {
		if zoned {
			micros -= offset
		}
		return micros, nil
	}
	typeName := "timestamp"
	if zoned {
		typeName = "timestamp with time zone"
	}
	var d dateTimeDecoder
	if f := d.decode(text, maxTimestampText); f != noFault {
		return 0, f.error(typeName, text, d.badZone)
	}
	if d.reserved {
		return 0, reservedWord(typeName, text)
	}
	switch d.result {
	case resultEpoch:
		return column.UnixEpochMicros, nil
	case resultInfinity:
		return column.Infinity, nil
	case resultNegInfinity:
		return column.NegativeInfinity, nil
	}
	micros, ok := d.micros(zoned)
	if !ok {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range: \"%s\"", text)
	}
	return micros, nil
}

func parseDate(text []byte) (int64, *sqlerr.Error) {
	if _, _, ok := parseISO(text); ok {
		// The time is checked and dropped, before its fraction can round up
		// to the next day.
		micros, _, _ := parseISO(text[:isoDateLength])
		return DaysOf(micros), nil
	}
	var d dateTimeDecoder
	if f := d.decode(text, maxDateText); f != noFault {
		return 0, f.error("date", text, d.badZone)
	}
	if d.reserved {
		return 0, reservedWord("date", text)
	}
	switch d.result {
	case resultEpoch:
		return UnixJulian - EpochJulian, nil
	case resultInfinity:
		return column.DateInfinity, nil
	case resultNegInfinity:
		return column.DateNegInfinity, nil
	}
	if validJulian(d.year, d.month) {
		if days := int64(JulianDay(d.year, d.month, d.day) - EpochJulian); ValidDate(days) {
			return days, nil
		}
	}
	return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range: \"%s\"", text)
}

// Reserved tells whether text, as a date, timestamp or timestamptz, is a time
// that PostgreSQL reads from the clock: now, today, tomorrow, yesterday, alone
// or with a time.
func Reserved(text []byte, k column.Kind) bool {
	limit := maxTimestampText
	switch k {
	case column.Time:
		return equalFold(trimSpace(text), "now")
	case column.Date:
		limit = maxDateText
	case column.Timestamp, column.Timestamptz:
	default:
		return false
	}
	if _, _, ok := parseISO(text); ok {
		return false
	}
	var d dateTimeDecoder
	return d.decode(text, limit) == noFault && d.reserved
}
