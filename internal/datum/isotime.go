package datum

import (
	"math"
	"strconv"
)

const (
	// maxISOText is the longest text that the short way takes.
	maxISOText = 64
	// isoDateLength is the length of YYYY-MM-DD.
	isoDateLength = 10
)

// parseISO reads the forms that machines write: YYYY-MM-DD, and behind it
// T or a space, HH:MM[:SS[.fraction]], and a zone: Z, ±HH, ±HHMM or ±HH:MM. ok
// is false for all else, right or wrong: the long way decides about it.
//
// offset is the zone's, in microseconds east of UTC.
func parseISO(s []byte) (micros, offset int64, ok bool) {
	if len(s) < 10 || len(s) > maxISOText || s[4] != '-' || s[7] != '-' {
		return 0, 0, false
	}
	y1, y2 := twoDigits(s[0], s[1]), twoDigits(s[2], s[3])
	month, day := twoDigits(s[5], s[6]), twoDigits(s[8], s[9])
	if y1|y2|month|day < 0 {
		return 0, 0, false
	}
	year := y1*100 + y2
	if year == 0 || month-1 > 11 || month < 1 || day < 1 || day > 28 && day > DaysInMonth(year, month) {
		return 0, 0, false
	}
	micros = int64(JulianDay(year, month, day)-EpochJulian) * Day
	if len(s) == 10 {
		return micros, 0, true
	}
	if s[10] != 'T' && s[10] != ' ' {
		return 0, 0, false
	}
	time, rest, ok := parseISOTime(s[11:])
	if !ok {
		return 0, 0, false
	}
	offset, ok = parseISOZone(rest)
	return micros + time, offset, ok
}

// twoDigits is negative if one of them isn't a digit.
func twoDigits(a, b byte) int {
	a, b = a-'0', b-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return int(a)*10 + int(b)
}

func parseISOTime(s []byte) (micros int64, rest []byte, ok bool) {
	if len(s) < 5 || s[2] != ':' {
		return 0, nil, false
	}
	hour, minute, second := twoDigits(s[0], s[1]), twoDigits(s[3], s[4]), 0
	s = s[5:]
	if hour|minute < 0 || hour > 23 || minute > 59 {
		return 0, nil, false
	}
	fraction := int64(0)
	if len(s) >= 3 && s[0] == ':' {
		second = twoDigits(s[1], s[2])
		s = s[3:]
		if second < 0 || second > 59 {
			return 0, nil, false
		}
		if len(s) > 0 && s[0] == '.' {
			end := 1
			for end < len(s) && isDigit(s[end]) {
				end++
			}
			fraction = fractionMicros(s[1:end])
			s = s[end:]
		}
	}
	return timeOfDay(hour, minute, second, 0) + fraction, s, true
}

// fractionMicros reads the digits behind a point as microseconds. Beyond six
// it rounds as PostgreSQL does, by way of a double.
func fractionMicros(digits []byte) int64 {
	if len(digits) > 6 {
		var room [maxISOText + 2]byte
		text := append(append(room[:0], '0', '.'), digits...)
		f, _ := strconv.ParseFloat(bytesAsString(text), 64)
		return int64(math.RoundToEven(f * Second))
	}
	n, scale := int64(0), int64(Second)
	for _, c := range digits {
		n, scale = n*10+int64(c-'0'), scale/10
	}
	return n * scale
}

func parseISOZone(s []byte) (offset int64, ok bool) {
	if len(s) == 0 || len(s) == 1 && s[0] == 'Z' {
		return 0, true
	}
	if s[0] != '+' && s[0] != '-' || len(s) < 3 {
		return 0, false
	}
	hour, minute := twoDigits(s[1], s[2]), 0
	switch {
	case len(s) == 3:
	case len(s) == 5:
		minute = twoDigits(s[3], s[4])
	case len(s) == 6 && s[3] == ':':
		minute = twoDigits(s[4], s[5])
	default:
		return 0, false
	}
	if hour|minute < 0 || hour > maxZoneHour || minute > 59 {
		return 0, false
	}
	offset = int64(hour)*Hour + int64(minute)*Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}
