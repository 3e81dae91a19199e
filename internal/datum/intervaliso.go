package datum

import "math"

// maxISONumber is the greatest number in an ISO 8601 interval, as in
// PostgreSQL.
const maxISONumber = 1e15

// decodeISO reads P1Y2M3DT4H5M6S and P0001-02-03T04:05:06.
func (d *intervalDecoder) decodeISO(s []byte) fault {
	if len(s) < 2 || s[0] != 'P' {
		return badFormat
	}
	s = s[1:]
	days, have := true, false // in the part of days; a field came before
	for len(s) > 0 {
		if s[0] == 'T' {
			days, have = false, false
			s = s[1:]
			continue
		}
		field := s
		n, fraction, rest, f := isoNumber(s)
		if f != noFault {
			return f
		}
		unit := byte(0)
		if s = rest; len(s) > 0 {
			unit, s = s[0], s[1:]
		}
		var done, again bool
		if days {
			s, done, again, f = d.isoDate(unit, field, s, n, fraction, have)
		} else {
			s, done, f = d.isoTime(unit, field, s, n, fraction, have)
		}
		if f != noFault || done {
			return f
		}
		if again {
			days, have = false, false
			continue
		}
		have = true
	}
	return noFault
}

// isoDate adds a number of the part of days. done: the text ends here; timed:
// the part of time begins.
func (d *intervalDecoder) isoDate(unit byte, field, s []byte, n int64, fraction float64, have bool) (rest []byte, done, timed bool, f fault) {
	units := map[byte]int{'Y': unitYear, 'M': unitMonth, 'W': unitWeek, 'D': unitDay}
	if u, ok := units[unit]; ok {
		_, f = d.add(u, n, fraction)
		return s, false, false, f
	}
	if unit != 'T' && unit != 0 && unit != '-' {
		return s, false, false, badFormat
	}
	if unit != '-' && integerWidth(field) == 8 && !have {
		f = d.addAll(n/10000, unitYear, n/100%100, unitMonth, n%100, unitDay)
		if f == noFault && !d.addFraction(fraction, Day) {
			f = fieldOverflow
		}
		return s, unit == 0, true, f
	}
	if have {
		return s, false, false, badFormat
	}
	// years-months-days; each may be the last.
	for _, u := range []int{unitYear, unitMonth, unitDay} {
		if u != unitYear {
			if n, fraction, s, f = isoNumber(s); f != noFault {
				return s, false, false, f
			}
			unit = 0
			if len(s) > 0 {
				unit, s = s[0], s[1:]
			}
		}
		if _, f = d.add(u, n, fraction); f != noFault {
			return s, false, false, f
		}
		if unit == 0 || unit == 'T' {
			return s, unit == 0, unit == 'T', noFault
		}
		if unit != '-' {
			break
		}
	}
	return s, false, false, badFormat
}

// isoTime adds a number of the part of time.
func (d *intervalDecoder) isoTime(unit byte, field, s []byte, n int64, fraction float64, have bool) (rest []byte, done bool, f fault) {
	units := map[byte]int{'H': unitHour, 'M': unitMinute, 'S': unitSecond}
	if u, ok := units[unit]; ok {
		_, f = d.add(u, n, fraction)
		return s, false, f
	}
	if unit != 0 && unit != ':' {
		return s, false, badFormat
	}
	if unit == 0 && integerWidth(field) == 6 && !have {
		f = d.addAll(n/10000, unitHour, n/100%100, unitMinute, n%100, unitSecond)
		if f == noFault && !d.addFraction(fraction, 1) {
			f = fieldOverflow
		}
		return s, true, f
	}
	if have {
		return s, false, badFormat
	}
	// hours:minutes:seconds; each may be the last.
	for _, u := range []int{unitHour, unitMinute, unitSecond} {
		if u != unitHour {
			if n, fraction, s, f = isoNumber(s); f != noFault {
				return s, false, f
			}
			unit = 0
			if len(s) > 0 {
				unit, s = s[0], s[1:]
			}
		}
		if _, f = d.add(u, n, fraction); f != noFault {
			return s, false, f
		}
		if unit == 0 {
			return s, true, noFault
		}
		if unit != ':' {
			break
		}
	}
	return s, false, badFormat
}

func (d *intervalDecoder) addAll(a int64, unitA int, b int64, unitB int, c int64, unitC int) fault {
	for _, part := range []struct {
		n    int64
		unit int
	}{{a, unitA}, {b, unitB}, {c, unitC}} {
		if _, f := d.add(part.unit, part.n, 0); f != noFault {
			return f
		}
	}
	return noFault
}

// integerWidth counts the digits before a point.
func integerWidth(s []byte) int {
	if s[0] == '-' {
		s = s[1:]
	}
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// isoNumber reads a number as C's strtod does, cut into its whole and its
// fraction.
func isoNumber(s []byte) (n int64, fraction float64, rest []byte, f fault) {
	if len(s) == 0 || s[0] != '-' && s[0] != '.' && !isDigit(s[0]) {
		return 0, 0, s, badFormat
	}
	v, length, lost := parseFloatPrefix(s, 64)
	if length == 0 || lost {
		return 0, 0, s, badFormat
	}
	if !(v >= -maxISONumber && v <= maxISONumber) { // NaN is outside too
		return 0, 0, s, fieldOverflow
	}
	whole := math.Trunc(v)
	return int64(whole), v - whole, s[length:], noFault
}
