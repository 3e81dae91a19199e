package datum

import (
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// parseTime reads a time of day. What PostgreSQL reads as a time is what it
// reads behind a date as a timestamp, and timestamps, of which only the time
// counts. An offset from UTC says nothing.
func parseTime(text []byte) (int64, *sqlerr.Error) {
	if micros, rest, ok := parseISOTime(text); ok && len(rest) == 0 {
		return micros, nil
	}
	d := timeDecoder("2000-01-01 ", text)
	if (d.fault != noFault || d.zone != nil) && indexByte(text, ':') >= 0 {
		// A zone whose offset varies needs the date.
		whole := timeDecoder("", text)
		if whole.fault == noFault {
			d = whole
		} else if d.fault == noFault {
			d.fault = badFormat
		}
	}
	invalid := sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input syntax for type time: \"%s\"", text)
	switch {
	case d.fault == unknownZone:
		return 0, invalid
	case d.fault != noFault:
		return 0, d.fault.error("time", text, d.badZone)
	case equalFold(trimSpace(text), "now"):
		return 0, reservedWord("time", text)
	case d.reserved || d.zone != nil && d.seen&seenDate == 0:
		return 0, invalid
	case d.result != resultFields || d.seen&seenTime != seenTime:
		return 0, invalid
	}
	micros := timeOfDay(d.hour, d.minute, d.second, d.fraction)
	if micros > Day || d.minute > 59 || d.second > 60 {
		return 0, fieldOverflow.error("time", text, nil)
	}
	return micros, nil
}

type decodedTime struct {
	dateTimeDecoder
	fault fault
}

func timeDecoder(before string, text []byte) *decodedTime {
	d := &decodedTime{}
	d.fault = d.decode(append([]byte(before), text...), maxTimestampText)
	return d
}

// appendTime prints hours, minutes, seconds and their fraction.
func appendTime(dst []byte, micros int64) []byte {
	dst = appendTwo(dst, int(micros/Hour))
	dst = appendTwo(append(dst, ':'), int(micros/Minute%60))
	dst = appendTwo(append(dst, ':'), int(micros/Second%60))
	return appendFraction(dst, int(micros%Second))
}
