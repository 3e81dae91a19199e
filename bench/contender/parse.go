package contender

import (
	"fmt"
	"strconv"
	"time"
)

// parseTime reads an RFC 3339 time as Unix milliseconds: the form
// 2006-01-02T15:04:05.000Z by hand, others with the standard library.
func parseTime(b []byte) (int64, error) {
	if len(b) == 24 && b[4] == '-' && b[7] == '-' && b[10] == 'T' && b[13] == ':' && b[16] == ':' && b[19] == '.' && b[23] == 'Z' {
		year, month, day := digits(b[0:4]), digits(b[5:7]), digits(b[8:10])
		hour, minute, second, milli := digits(b[11:13]), digits(b[14:16]), digits(b[17:19]), digits(b[20:23])
		if year >= 1970 && month-1 < 12 && month > 0 && day-1 < 28 && day > 0 && hour|minute|second|milli >= 0 && hour < 24 && minute < 60 && second < 60 {
			return (((daysOf(year, month, day)*24+hour)*60+minute)*60+second)*1000 + milli, nil
		}
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return 0, fmt.Errorf("timestamp: %w", err)
	}
	return t.UnixMilli(), nil
}

// digits reads a number; negative if there is anything else.
func digits(b []byte) int64 {
	var n int64
	for _, c := range b {
		if c-'0' > 9 {
			return -1 << 40
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// daysOf counts from 1970-01-01.
// https://howardhinnant.github.io/date_algorithms.html
func daysOf(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era, yoe := year/400, year%400
	doy := (153*(month-3)+2)/5 + day - 1
	return era*146_097 + yoe*365 + yoe/4 - yoe/100 + doy - 719_468
}

// exactDigits is how many digits of a decimal a float64 holds exactly.
const exactDigits = 15

var powersOfTen = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// parseFloat reads a JSON number. With few digits, the quotient of two exact
// floats is the nearest one (Clinger's fast path).
func parseFloat(b []byte) (float64, error) {
	if len(b) == 0 || len(b) > exactDigits || b[0] == '-' {
		return strconv.ParseFloat(string(b), 64)
	}
	var n int64
	point := len(b) - 1
	for i, c := range b {
		switch {
		case c-'0' <= 9:
			n = n*10 + int64(c-'0')
		case c == '.':
			point = i
		default:
			return strconv.ParseFloat(string(b), 64)
		}
	}
	return float64(n) / powersOfTen[len(b)-1-point], nil
}
