package datum

import (
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// parseTime reads a time of day. What PostgreSQL reads as a time is what it
// reads as a timestamp behind a date, and timestamps, of which only the time
// counts; a zone says nothing.
func parseTime(text []byte) (int64, *sqlerr.Error) {
	if micros, rest, ok := parseISOTime(text); ok && len(rest) == 0 {
		return micros, nil
	}
	behind := timeDecoder("2000-01-01 ", text)
	f := behind.fault
	if f != noFault {
		if whole := timeDecoder("", text); whole.fault == noFault && whole.result == resultFields {
			behind, f = whole, noFault
		}
	}
	switch {
	case f != noFault:
		return 0, f.error("time", text, behind.badZone)
	case behind.reserved:
		return 0, reservedWord("time", text)
	case behind.result != resultFields:
		return 0, invalidSyntax("time", text)
	}
	return timeOfDay(behind.hour, behind.minute, behind.second, behind.fraction), nil
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
