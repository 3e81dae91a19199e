package datum

import (
	"math"
	"math/bits"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// intervalOverflow is SQLSTATE interval_field_overflow.
const intervalOverflow = "22015"

func parseInterval(text []byte) (column.IntervalValue, *sqlerr.Error) {
	var d intervalDecoder
	f := d.decode(text)
	if f == badFormat {
		d = intervalDecoder{}
		f = d.decodeISO(text)
	}
	switch f {
	case noFault:
	case fieldOverflow:
		return column.IntervalValue{}, sqlerr.New(intervalOverflow, "interval field value out of range: \"%s\"", text)
	default:
		return column.IntervalValue{}, f.error("interval", text, nil)
	}
	months := int64(d.years)*12 + int64(d.months)
	if months != int64(int32(months)) {
		return column.IntervalValue{}, sqlerr.New(sqlerr.DatetimeFieldOverflow, "interval out of range")
	}
	return column.IntervalValue{Micros: d.micros, Days: d.days, Months: int32(months)}, nil
}

// intervalDecoder adds up the parts of an interval.
type intervalDecoder struct {
	micros              int64
	days, months, years int32
}

// decode reads the fields from the last to the first: units stand behind
// their numbers.
func (d *intervalDecoder) decode(text []byte) fault {
	var s fieldSplitter
	fields, f := s.split(text, maxIntervalText)
	if f != noFault {
		return f
	}
	unit, haveUnit, ago := unitNone, false, false
	seen := wordType(0)
	for i := len(fields) - 1; i >= 0; i-- {
		set := wordType(0)
		switch fields[i].kind {
		case fieldString, fieldSpecial:
			w, ok := intervalWords[token(fields[i].text)]
			if !ok {
				return badFormat
			}
			if w.kind == typeIgnore {
				haveUnit = false
				continue
			}
			ago = ago || w.kind == typeAgo
			unit, haveUnit = w.value, true
		default:
			if !haveUnit {
				unit, haveUnit = unitSecond, true
			}
			if set, f = d.quantity(fields[i], &unit); f != noFault {
				return f
			}
		}
		if set&seen != 0 {
			return badFormat
		}
		seen |= set
	}
	if seen == 0 {
		return badFormat
	}
	if ago {
		return d.negate()
	}
	return noFault
}

func (d *intervalDecoder) negate() fault {
	if d.micros == math.MinInt64 || d.days == math.MinInt32 || d.months == math.MinInt32 || d.years == math.MinInt32 {
		return fieldOverflow
	}
	d.micros, d.days, d.months, d.years = -d.micros, -d.days, -d.months, -d.years
	return noFault
}

// quantity reads a number or a time. unit is its unit, and after it that of
// the field before it.
func (d *intervalDecoder) quantity(f field, unit *int) (wordType, fault) {
	s := f.text
	switch {
	case f.kind == fieldTime:
		*unit = unitDay
		return seenTime, d.clock(s, false)
	case f.kind == fieldZone && indexByte(s, ':') > 0:
		if d.clock(s[1:], s[0] == '-') == noFault {
			*unit = unitDay
			return seenTime, noFault
		}
	}
	n, rest, overflow := leadingInt64(s)
	if overflow {
		return 0, fieldOverflow
	}
	fraction := 0.0
	switch {
	case len(rest) == 0:
	case rest[0] == '-':
		// years-months
		months, rest, overflow := leadingInt32(rest[1:])
		if overflow || months < 0 || months >= 12 {
			return 0, fieldOverflow
		}
		if len(rest) > 0 {
			return 0, badFormat
		}
		if s[0] == '-' {
			months = -months
		}
		total := int64(0)
		if !multiplyAdd(n, 12, &total) || !multiplyAdd(int64(months), 1, &total) {
			return 0, fieldOverflow
		}
		n, *unit = total, unitMonth
	case rest[0] == '.':
		var ok bool
		if fraction, ok = fractionOf(rest); !ok {
			return 0, badFormat
		}
		if s[0] == '-' {
			fraction = -fraction
		}
	default:
		return 0, badFormat
	}
	set, f2 := d.add(*unit, n, fraction)
	if *unit == unitHour {
		*unit = unitDay
	}
	return set, f2
}

// clock reads h:m:s.
func (d *intervalDecoder) clock(s []byte, negative bool) fault {
	t, f := decodeClock(s)
	if f != noFault {
		return f
	}
	micros := int64(t.micros)
	if !multiplyAdd(t.hour, Hour, &micros) || !multiplyAdd(int64(t.minute), Minute, &micros) ||
		!multiplyAdd(int64(t.second), Second, &micros) {
		return fieldOverflow
	}
	if negative {
		micros = -micros
	}
	d.micros = micros
	return noFault
}

// add adds n and a fraction, of the same sign, of a unit.
func (d *intervalDecoder) add(unit int, n int64, fraction float64) (set wordType, f fault) {
	var ok bool
	switch unit {
	case unitMicrosecond:
		set, ok = typeMicrosecond, d.addMicros(n, fraction, 1)
	case unitMillisecond:
		set, ok = typeMillisecond, d.addMicros(n, fraction, 1000)
	case unitSecond:
		if set = typeSecond; fraction != 0 {
			set = seenSeconds
		}
		ok = d.addMicros(n, fraction, Second)
	case unitMinute:
		set, ok = typeMinute, d.addMicros(n, fraction, Minute)
	case unitHour:
		set, ok = typeHour, d.addMicros(n, fraction, Hour)
	case unitDay:
		set, ok = typeDay, multiplyAdd32(n, 1, &d.days) && d.addFraction(fraction, Day)
	case unitWeek:
		set, ok = typeWeek, multiplyAdd32(n, 7, &d.days) && d.addFractionOfDays(fraction, 7)
	case unitMonth:
		set, ok = typeMonth, multiplyAdd32(n, 1, &d.months) && d.addFractionOfDays(fraction, 30)
	case unitYear:
		set, ok = typeYear, d.addYears(n, fraction, 1)
	case unitDecade:
		set, ok = typeDecade, d.addYears(n, fraction, 10)
	case unitCentury:
		set, ok = typeCentury, d.addYears(n, fraction, 100)
	case unitMillennium:
		set, ok = typeMillennium, d.addYears(n, fraction, 1000)
	default:
		return 0, badFormat
	}
	if !ok {
		return 0, fieldOverflow
	}
	return set, noFault
}

func (d *intervalDecoder) addMicros(n int64, fraction float64, scale int64) bool {
	return multiplyAdd(n, scale, &d.micros) && d.addFraction(fraction, scale)
}

// addFraction adds a fraction of scale microseconds, rounded.
func (d *intervalDecoder) addFraction(fraction float64, scale int64) bool {
	fraction *= float64(scale)
	micros := int64(fraction)
	switch fraction -= float64(micros); {
	case fraction > 0.5:
		micros++
	case fraction < -0.5:
		micros--
	}
	return multiplyAdd(micros, 1, &d.micros)
}

// addFractionOfDays adds a fraction of so many days, in days and
// microseconds.
func (d *intervalDecoder) addFractionOfDays(fraction float64, scale int) bool {
	fraction *= float64(scale)
	days := int64(fraction)
	return multiplyAdd32(days, 1, &d.days) && d.addFraction(fraction-float64(days), Day)
}

// addYears adds years; a fraction becomes whole months.
func (d *intervalDecoder) addYears(n int64, fraction float64, scale int32) bool {
	months := math.RoundToEven(fraction * float64(scale) * 12)
	return multiplyAdd32(n, scale, &d.years) && multiplyAdd32(int64(months), 1, &d.months)
}

// multiplyAdd adds n*scale to sum unless it overflows.
func multiplyAdd(n, scale int64, sum *int64) bool {
	hi, lo := bits.Mul64(uint64(max(n, -n)), uint64(scale))
	limit := uint64(math.MaxInt64)
	if n < 0 {
		limit++
	}
	if hi != 0 || lo > limit {
		return false
	}
	product := int64(lo)
	if n < 0 {
		product = -product
	}
	total := *sum + product
	if (total > *sum) != (product > 0) && product != 0 {
		return false
	}
	*sum = total
	return true
}

func multiplyAdd32(n int64, scale int32, sum *int32) bool {
	product := n * int64(scale)
	if n != int64(int32(n)) || product != int64(int32(product)) {
		return false
	}
	total := int64(*sum) + product
	*sum = int32(total)
	return total == int64(int32(total))
}
