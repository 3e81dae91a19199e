package json

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/decimal"
)

// The functions here read the common spellings of a type and set value i of
// v. They give false for every other text, good or bad, having set nothing
// that counts: datum.Input decides on those.

// maxFastDigits is how many decimal digits always fit an int64.
const maxFastDigits = 18

// whole reads 1 to maxFastDigits digits with an optional minus sign.
func whole(s []byte) (n int64, ok bool) {
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > maxFastDigits {
		return 0, false
	}
	if len(s) >= 8 {
		first, ok := eightDigits(load(s, 0))
		if !ok {
			return 0, false
		}
		n = int64(first)
		s = s[8:]
	}
	for _, c := range s {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// eightDigits reads eight digits at once: pairs, then fours, then all.
func eightDigits(x uint64) (uint64, bool) {
	const zeros = ones * '0'
	if x&(ones*0xF0) != zeros || (x+ones*6)&(ones*0xF0) != zeros {
		return 0, false
	}
	x = (x & 0x0F0F0F0F0F0F0F0F) * (10<<8 + 1) >> 8
	x = (x & 0x00FF00FF00FF00FF) * (100<<16 + 1) >> 16
	x = (x & 0x0000FFFF0000FFFF) * (10000<<32 + 1) >> 32
	return x, true
}

func intInput(v *column.Vector, i int, s []byte) bool {
	n, ok := whole(s)
	if !ok {
		return false
	}
	switch v.Type.Kind {
	case column.Int2:
		ok = n == int64(int16(n))
	case column.Int4:
		ok = n == int64(int32(n))
	}
	v.Int[i] = n
	return ok
}

// decimalText reads [-]digits[.digits] with at most maxFastDigits digits.
func decimalText(s []byte) (coefficient int64, scale int, negative, ok bool) {
	negative = len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	if len(s) > maxFastDigits+1 {
		return 0, 0, false, false
	}
	point := -1
	for i, c := range s {
		if c -= '0'; c <= 9 {
			coefficient = coefficient*10 + int64(c)
			continue
		}
		if s[i] != '.' || point >= 0 || i == 0 || i == len(s)-1 {
			return 0, 0, false, false
		}
		point = i
	}
	if point >= 0 {
		scale = len(s) - 1 - point
	} else if len(s) == 0 || len(s) > maxFastDigits {
		return 0, 0, false, false
	}
	return coefficient, scale, negative, true
}

// Powers of ten that float64 and float32 hold exactly: a quotient of two
// exact numbers is rounded once, so it is the nearest (Clinger).
var (
	powers64 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
		1e13, 1e14, 1e15, 1e16, 1e17, 1e18}
	powers32 = [...]float32{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10}
)

func floatInput(v *column.Vector, i int, s []byte) bool {
	n, scale, negative, ok := decimalText(s)
	if !ok {
		return false
	}
	var f float64
	if v.Type.Kind == column.Float8 {
		if n > 1<<53 {
			return false
		}
		f = float64(n) / powers64[scale]
	} else {
		if n > 1<<24 || scale >= len(powers32) {
			return false
		}
		f = float64(float32(n) / powers32[scale])
	}
	if negative {
		f = math.Copysign(f, -1)
	}
	v.Float[i] = f
	return true
}

func numericInput(v *column.Vector, i int, s []byte) bool {
	if v.Type.Precision > 0 {
		return false
	}
	n, scale, negative, ok := decimalText(s)
	if !ok {
		return false
	}
	if negative {
		n = -n
	}
	start := len(v.Buf)
	v.Buf = decimal.EncodeInt64(v.Buf, n, int32(scale))
	v.FinishBytes(i, start)
	return true
}

func boolInput(v *column.Vector, i int, s []byte) bool {
	switch string(s) {
	case "true":
		v.Int[i] = 1
	case "false":
		v.Int[i] = 0
	default:
		return false
	}
	return true
}

func uuidInput(v *column.Vector, i int, s []byte) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	var id [16]byte
	p := 0
	var bad byte
	for k := range id {
		if k == 4 || k == 6 || k == 8 || k == 10 {
			p++
		}
		high, low := nibbles[s[p]], nibbles[s[p+1]]
		bad |= high | low
		id[k] = high<<4 | low
		p += 2
	}
	if bad > 15 {
		return false
	}
	v.SetBytes(i, id[:])
	return true
}

// nibbles is the value of each hexadecimal digit, 255 for other bytes.
var nibbles = func() (t [256]byte) {
	for c := range t {
		t[c] = 255
	}
	for k, c := range []byte("0123456789abcdef") {
		t[c] = byte(k)
	}
	for k, c := range []byte("ABCDEF") {
		t[c] = byte(10 + k)
	}
	return t
}()

// two reads two digits; a bad one gives 255 or more.
func two(s []byte, p int) int {
	a, b := s[p]-'0', s[p+1]-'0'
	if a > 9 || b > 9 {
		return 255
	}
	return int(a)*10 + int(b)
}

// day reads YYYY-MM-DD at the head of s, of the years 1 to 9999, as days
// since 2000-01-01.
func day(s []byte) (days int, ok bool) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	century, rest, month, d := two(s, 0), two(s, 2), two(s, 5), two(s, 8)
	if century > 99 || rest > 99 || month < 1 || month > 12 || d < 1 {
		return 0, false
	}
	year := century*100 + rest
	if year == 0 || d > datum.DaysInMonth(year, month) {
		return 0, false
	}
	return datum.JulianDay(year, month, d) - datum.EpochJulian, true
}

func dateInput(v *column.Vector, i int, s []byte) bool {
	days, ok := day(s)
	v.Int[i] = int64(days)
	return ok && len(s) == 10
}

// timestampInput reads YYYY-MM-DD, T or a space, HH:MM:SS, perhaps a point
// and up to six digits, and for timestamptz perhaps Z, +HH or +HH:MM.
func timestampInput(v *column.Vector, i int, s []byte) bool {
	days, ok := day(s)
	if !ok || len(s) < 19 || s[10] != 'T' && s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return false
	}
	hour, minute, second := two(s, 11), two(s, 14), two(s, 17)
	if hour > 23 || minute > 59 || second > 59 {
		return false
	}
	micros, s, ok := fraction(s[19:])
	if !ok {
		return false
	}
	if len(s) > 0 {
		east, ok := zone(s)
		if !ok || v.Type.Kind == column.Timestamp {
			return false
		}
		micros -= int64(east) * datum.Minute
	}
	v.Int[i] = int64(days)*datum.Day + int64(hour)*datum.Hour + int64(minute)*datum.Minute +
		int64(second)*datum.Second + micros
	return true
}

// fraction reads a point and one to six digits, if there is a point.
func fraction(s []byte) (micros int64, rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '.' {
		return 0, s, true
	}
	n := 1
	for ; n < len(s) && n <= 6 && s[n]-'0' <= 9; n++ {
		micros = micros*10 + int64(s[n]-'0')
	}
	if n == 1 || n < len(s) && s[n]-'0' <= 9 {
		return 0, nil, false
	}
	for k := n; k <= 6; k++ {
		micros *= 10
	}
	return micros, s[n:], true
}

// maxFastZone is the greatest hour of an offset that is read here.
const maxFastZone = 14

// zone reads Z, ±HH or ±HH:MM as minutes east of Greenwich.
func zone(s []byte) (minutes int, ok bool) {
	if len(s) == 1 {
		return 0, s[0] == 'Z'
	}
	if len(s) != 3 && (len(s) != 6 || s[3] != ':') || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hours := two(s, 1)
	if len(s) == 6 {
		minutes = two(s, 4)
	}
	if hours > maxFastZone || minutes > 59 {
		return 0, false
	}
	minutes += hours * 60
	if s[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}
