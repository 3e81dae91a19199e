package datum

import (
	"strconv"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
)

// Append appends value i, which is not null, as its type's output function
// prints it.
func Append(dst []byte, v *column.Vector, i int) []byte {
	switch v.Type.Kind {
	case column.Bool:
		return append(dst, "ft"[v.Int[i]&1])
	case column.Int2, column.Int4, column.Int8:
		return strconv.AppendInt(dst, v.Int[i], 10)
	case column.Float4:
		return appendFloat(dst, v.Float[i], 32)
	case column.Float8:
		return appendFloat(dst, v.Float[i], 64)
	case column.Numeric:
		return appendNumeric(dst, v.Bytes(i))
	case column.UUID:
		return appendUUID(dst, v.Bytes(i))
	case column.Date:
		return appendDate(dst, v.Int[i])
	case column.Timestamp:
		return appendTimestamp(dst, v.Int[i], ' ', "")
	case column.Timestamptz:
		return appendTimestamp(dst, v.Int[i], ' ', "+00")
	case column.Interval:
		return appendInterval(dst, v.Interval[i])
	case column.Time:
		return appendTime(dst, v.Int[i])
	case column.Inet, column.Cidr:
		return ReadNetwork(v.Bytes(i)).AppendText(dst, v.Type.Kind == column.Cidr)
	case column.Bytea:
		return appendByteaText(dst, v.Bytes(i))
	}
	if v.Type.Kind.IsArray() {
		return appendArrayText(dst, v, i)
	}
	return append(dst, v.Bytes(i)...)
}

func appendNumeric(dst, encoded []byte) []byte {
	if c, s, ok := decimal.DecodeInt64(encoded); ok {
		return decimal.New(c, s).Append(dst)
	}
	return decimal.Decode(encoded).Append(dst)
}

func appendUUID(dst, id []byte) []byte {
	const hex = "0123456789abcdef"
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[b>>4], hex[b&15])
	}
	return dst
}

func appendDate(dst []byte, days int64) []byte {
	switch days {
	case column.DateInfinity:
		return append(dst, "infinity"...)
	case column.DateNegInfinity:
		return append(dst, "-infinity"...)
	}
	year, month, day := DateOfJulian(int(days) + EpochJulian)
	dst = appendDay(dst, year, month, day)
	if year <= 0 {
		dst = append(dst, " BC"...)
	}
	return dst
}

func appendDay(dst []byte, year, month, day int) []byte {
	if year <= 0 {
		year = 1 - year
	}
	if year < 10000 {
		dst = append(dst, byte('0'+year/1000), byte('0'+year/100%10))
		dst = appendTwo(dst, year%100)
	} else {
		dst = strconv.AppendInt(dst, int64(year), 10)
	}
	dst = appendTwo(append(dst, '-'), month)
	return appendTwo(append(dst, '-'), day)
}

func appendTwo(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// appendTimestamp prints a stored timestamp with a letter between date and
// time and a zone behind.
func appendTimestamp(dst []byte, micros int64, between byte, zone string) []byte {
	switch micros {
	case column.Infinity:
		return append(dst, "infinity"...)
	case column.NegativeInfinity:
		return append(dst, "-infinity"...)
	}
	c := Civil(micros)
	dst = appendDay(dst, c.Year, c.Month, c.Day)
	dst = appendTwo(append(dst, between), c.Hour)
	dst = appendTwo(append(dst, ':'), c.Minute)
	dst = appendTwo(append(dst, ':'), c.Second)
	dst = appendFraction(dst, c.Micros)
	dst = append(dst, zone...)
	if c.Year <= 0 {
		dst = append(dst, " BC"...)
	}
	return dst
}

// appendFraction prints microseconds behind a point, without zeros at the
// end, and nothing for 0.
func appendFraction(dst []byte, micros int) []byte {
	if micros == 0 {
		return dst
	}
	dst = append(dst, '.')
	for scale := Second / 10; micros > 0; scale /= 10 {
		dst = append(dst, byte('0'+micros/scale))
		micros %= scale
	}
	return dst
}

// appendInterval prints in the style postgres.
func appendInterval(dst []byte, v column.IntervalValue) []byte {
	start, negative := len(dst), false
	part := func(n int32, unit string) {
		if n == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		// A sign is repeated where it turns.
		if negative && n > 0 {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
		dst = append(append(dst, ' '), unit...)
		if n != 1 {
			dst = append(dst, 's')
		}
		negative = n < 0
	}
	part(v.Months/12, "year")
	part(v.Months%12, "mon")
	part(v.Days, "day")
	if len(dst) > start && v.Micros == 0 {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	u := uint64(v.Micros)
	if v.Micros < 0 {
		dst, u = append(dst, '-'), -u
	} else if negative {
		dst = append(dst, '+')
	}
	if hours := u / Hour; hours < 10 {
		dst = append(dst, '0', byte('0'+hours))
	} else {
		dst = strconv.AppendUint(dst, hours, 10)
	}
	dst = appendTwo(append(dst, ':'), int(u/Minute%60))
	dst = appendTwo(append(dst, ':'), int(u/Second%60))
	return appendFraction(dst, int(u%Second))
}
