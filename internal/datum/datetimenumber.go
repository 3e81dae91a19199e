package datum

import (
	"bytes"
	"math"
	"strconv"
)

// leadingInt32 reads an integer as C's strtol does and gives what is behind
// it; no digit is 0 and moves nothing.
func leadingInt32(s []byte) (n int, rest []byte, overflow bool) {
	v, rest, overflow := leadingInt64(s)
	if overflow || v > math.MaxInt32 || v < math.MinInt32 {
		return 0, rest, true
	}
	return int(v), rest, false
}

func leadingInt64(s []byte) (n int64, rest []byte, overflow bool) {
	end := 0
	if end < len(s) && (s[end] == '+' || s[end] == '-') {
		end++
	}
	start := end
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	if end == start {
		return 0, s, false
	}
	n, err := strconv.ParseInt(bytesAsString(s[:end]), 10, 64)
	return n, s[end:], err != nil
}

// fractionOf reads a point and digits up to the end of s.
func fractionOf(s []byte) (float64, bool) {
	for _, c := range s[1:] {
		if !isDigit(c) {
			return 0, false
		}
	}
	return prefixFraction(s), true
}

// prefixFraction reads a point and the digits behind it.
func prefixFraction(s []byte) float64 {
	end := 1
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	if end == 1 {
		return 0
	}
	f, _ := strconv.ParseFloat(string(s[:end]), 64)
	return f
}

// roundMicros gives a fraction of a second in microseconds.
func roundMicros(f float64) int { return int(math.RoundToEven(f * Second)) }

// clock is a time of day, or the length of one in an interval.
type clock struct {
	hour                   int64
	minute, second, micros int
}

// decodeClock reads h:m, m:s.f or h:m:s[.f].
func decodeClock(s []byte) (t clock, f fault) {
	var overflow bool
	if t.hour, s, overflow = leadingInt64(s); overflow {
		return t, fieldOverflow
	}
	if len(s) == 0 || s[0] != ':' {
		return t, badFormat
	}
	if t.minute, s, overflow = leadingInt32(s[1:]); overflow {
		return t, fieldOverflow
	}
	var fraction float64
	var ok bool
	switch {
	case len(s) == 0:
	case s[0] == '.':
		if fraction, ok = fractionOf(s); !ok {
			return t, badFormat
		}
		if t.hour > math.MaxInt32 {
			return t, fieldOverflow
		}
		t.hour, t.minute, t.second = 0, int(t.hour), t.minute
	case s[0] == ':':
		if t.second, s, overflow = leadingInt32(s[1:]); overflow {
			return t, fieldOverflow
		}
		if len(s) > 0 {
			if s[0] != '.' {
				return t, badFormat
			}
			if fraction, ok = fractionOf(s); !ok {
				return t, badFormat
			}
		}
	default:
		return t, badFormat
	}
	t.micros = roundMicros(fraction)
	if t.hour < 0 || t.minute < 0 || t.minute > 59 || t.second < 0 || t.second > 60 {
		return t, fieldOverflow
	}
	return t, noFault
}

// date reads a date whose parts have delimiters between them.
func (d *dateTimeDecoder) date(s []byte) (wordType, fault) {
	var parts [maxFields][]byte
	count := 0
	for len(s) > 0 && count < maxFields {
		for len(s) > 0 && !isDigit(s[0]) && !isAlpha(s[0]) {
			s = s[1:]
		}
		if len(s) == 0 {
			return 0, badFormat
		}
		same := isDigit
		if isAlpha(s[0]) {
			same = isAlpha
		}
		end := 1
		for end < len(s) && same(s[end]) {
			end++
		}
		parts[count] = s[:end]
		count++
		// Whatever stands behind a part is its delimiter, a letter too.
		s = s[min(end+1, len(s)):]
	}
	return d.dateParts(parts[:count])
}

// dateParts reads a month's name first: it tells what the numbers are.
func (d *dateTimeDecoder) dateParts(parts [][]byte) (wordType, fault) {
	seen, textMonth := wordType(0), false
	before := d.seen
	for i, part := range parts {
		if !isAlpha(part[0]) {
			continue
		}
		w, ok := dateWords[token(part)]
		if ok && w.kind == typeIgnore {
			parts[i] = part[:0:0]
			continue
		}
		if !ok || w.kind != typeMonth || (before|seen)&typeMonth != 0 {
			return 0, badFormat
		}
		d.month, textMonth = w.value, true
		seen |= typeMonth
		parts[i] = nil
	}
	for _, part := range parts {
		if part == nil {
			continue
		}
		if len(part) == 0 {
			return 0, badFormat
		}
		set, f := d.number(part, textMonth, before|seen)
		if f != noFault {
			return 0, f
		}
		if set&(before|seen) != 0 {
			return 0, badFormat
		}
		seen |= set
	}
	if (before|seen)&^(typeDayOfYear|typeZone) != seenDate {
		return 0, badFormat
	}
	return seen, noFault
}

// numberField reads a number that stands alone.
func (d *dateTimeDecoder) numberField(s []byte) (wordType, fault) {
	point := bytes.IndexByte(s, '.')
	switch {
	case point >= 0 && d.seen&seenDate == 0:
		return d.date(s)
	case point > 2,
		point < 0 && len(s) >= 6 && (d.seen&seenDate == 0 || d.seen&seenTime == 0):
		return d.runTogether(s, d.seen)
	case point >= 0 && len(s) >= 6 && (d.seen&seenDate == 0 || d.seen&seenTime == 0):
		return d.runTogether(s, d.seen)
	}
	return d.number(s, d.textMonth, d.seen)
}

// number reads a number as the part of the date that is missing, given what
// has been seen.
func (d *dateTimeDecoder) number(s []byte, textMonth bool, seen wordType) (wordType, fault) {
	n, rest, overflow := leadingInt32(s)
	if overflow {
		return 0, fieldOverflow
	}
	if len(rest) == len(s) {
		return 0, badFormat
	}
	if len(rest) > 0 {
		if rest[0] != '.' {
			return 0, badFormat
		}
		if len(s)-len(rest) > 2 {
			return d.runTogether(s, seen|seenDate)
		}
		f, ok := fractionOf(rest)
		if !ok {
			return 0, badFormat
		}
		d.fraction = roundMicros(f)
	}
	if len(s) == 3 && seen&seenDate == typeYear && n >= 1 && n <= 366 {
		d.dayOfYear = n
		return typeDayOfYear | typeMonth | typeDay, noFault
	}
	set, f := d.missingPart(s, n, textMonth, seen)
	if f == noFault && set == typeYear {
		d.twoDigits = len(s) <= 2
	}
	return set, f
}

func (d *dateTimeDecoder) missingPart(s []byte, n int, textMonth bool, seen wordType) (wordType, fault) {
	long := len(s) >= 3
	switch seen & seenDate {
	case 0:
		if long {
			d.year = n
			return typeYear, noFault
		}
		d.month = n
		return typeMonth, noFault
	case typeYear, typeDay:
		d.month = n
		return typeMonth, noFault
	case typeMonth:
		if textMonth && long {
			d.year = n
			return typeYear, noFault
		}
		d.day = n
		return typeDay, noFault
	case typeYear | typeMonth:
		if textMonth && long && d.twoDigits {
			// The first number was the day, not the year.
			d.day, d.year, d.twoDigits = d.year, n, false
			return typeDay, noFault
		}
		d.day = n
		return typeDay, noFault
	case typeMonth | typeDay:
		d.year = n
		return typeYear, noFault
	case seenDate:
		return d.runTogether(s, seen)
	}
	return 0, badFormat
}

// runTogether reads yyyymmdd, hhmmss[.fff] and hhmm.
func (d *dateTimeDecoder) runTogether(s []byte, seen wordType) (wordType, fault) {
	if point := bytes.IndexByte(s, '.'); point >= 0 {
		d.fraction = roundMicros(prefixFraction(s[point:]))
		s = s[:point]
	} else if seen&seenDate != seenDate && len(s) >= 6 {
		n := len(s)
		d.day, d.month = leadingInt(s[n-2:]), leadingInt(s[n-4:n-2])
		d.year = leadingInt(s[:n-4])
		if n-4 == 2 {
			d.twoDigits = true
		}
		return seenDate, noFault
	}
	if seen&seenTime == seenTime {
		return 0, badFormat
	}
	switch len(s) {
	case 6:
		d.second = leadingInt(s[4:])
	case 4:
		d.second = 0
	default:
		return 0, badFormat
	}
	d.hour, d.minute = leadingInt(s[:2]), leadingInt(s[2:4])
	return seenTime, noFault
}

// leadingInt is C's atoi: what overflows a long is its greatest value, cut to
// an int.
func leadingInt(s []byte) int {
	n, _, _ := leadingInt64(s)
	return int(int32(n))
}
