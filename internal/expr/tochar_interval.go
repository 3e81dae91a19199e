package expr

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// momentPatterns are the patterns that an interval has nothing for.
var momentPatterns = strings.Fields("A.D. B.C. AD BC MONTH MON DAY DY D ID TZ TZH TZM OF")

var errIntervalFormat = sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid format specification for an interval value")

// intervalToChar is to_char(interval, format).
func intervalToChar(f *frame) {
	for _, i := range f.sel {
		format := f.bytes(1, i)
		if f.out.Null[i] = len(format) == 0; f.out.Null[i] {
			continue
		}
		parts, ok := f.cached.(timeFormat)
		if !ok || !bytes.Equal(format, f.word) {
			parts = parseTimeFormat(string(format))
			f.word, f.cached = append(f.word[:0], format...), parts
		}
		if slices.ContainsFunc(parts, func(p formatPart) bool { return slices.Contains(momentPatterns, strings.ToUpper(p.pattern)) }) {
			f.fail(i, errIntervalFormat)
			continue
		}
		w := newIntervalWriter(f.args[0].Interval[i])
		start := len(f.out.Buf)
		for _, p := range parts {
			f.out.Buf = w.append(f.out.Buf, p)
		}
		f.finish(i, start)
	}
}

// intervalWriter writes one interval, whose parts may be negative.
type intervalWriter struct {
	year, month, day       int
	hour                   int64
	minute, second, micros int64
}

func newIntervalWriter(v column.IntervalValue) intervalWriter {
	return intervalWriter{
		year: int(v.Months / 12), month: int(v.Months % 12), day: int(v.Days),
		hour: v.Micros / datum.Hour, minute: v.Micros % datum.Hour / datum.Minute,
		second: v.Micros % datum.Minute / datum.Second, micros: v.Micros % datum.Second,
	}
}

func (w *intervalWriter) append(dst []byte, p formatPart) []byte {
	if p.pattern == "" {
		return append(dst, p.text...)
	}
	start, pattern := len(dst), strings.ToUpper(p.pattern)
	if n, width, ok := w.number(pattern); ok {
		if p.plain && !isFraction(p.pattern) {
			width = 0
		}
		dst = fmt.Appendf(dst, "%0*d", width, n)
		return appendOrdinal(dst, dst[start:], p.ordinal)
	}
	switch pattern {
	case "Y,YYY":
		thousands := w.year / 1000
		dst = fmt.Appendf(dst, "%d,%03d", thousands, w.year-thousands*1000)
		return appendOrdinal(dst, dst[start:], p.ordinal)
	case "AM", "PM", "A.M.", "P.M.":
		clock := timeWriter{CivilTime: datum.CivilTime{Year: 1, Month: 1, Day: 1}}
		if w.hour%24 >= 12 {
			clock.Hour = 12
		}
		text, _ := clock.word(p.pattern)
		return append(dst, text...)
	case "RM":
		return w.roman(dst, p)
	}
	return dst // Q without months
}

// signed gives a number a place more for its sign.
func signed(n, width int64) (int64, int, bool) {
	if n < 0 {
		width++
	}
	return n, int(width), true
}

// number gives a pattern's number and its width.
func (w *intervalWriter) number(pattern string) (n int64, width int, ok bool) {
	julian := julianOfParts(w.year, w.month, w.day)
	isoYear, isoWeek, isoDay := w.isoWeek()
	days := int64(w.year*12+w.month)*30 + int64(w.day)
	// A year's width is that of the plain year's sign.
	wide := func(n, width int) (int64, int, bool) {
		if w.year < 0 {
			width++
		}
		return int64(n), width, true
	}
	switch pattern {
	case "HH", "HH12":
		n = w.hour % 12
		if n == 0 {
			n = 12
		}
		if w.hour < 0 {
			return n, 3, true
		}
		return n, 2, true
	case "HH24":
		return signed(w.hour, 2)
	case "MI":
		return signed(w.minute, 2)
	case "SS":
		return signed(w.second, 2)
	case "MS", "FF3":
		return w.micros / 1000, 3, true
	case "US", "FF6":
		return w.micros, 6, true
	case "FF1", "FF2", "FF4", "FF5":
		digits := int(pattern[2] - '0')
		return w.micros / int64(power10Int(6-digits)), digits, true
	case "SSSS", "SSSSS":
		return w.hour*3600 + w.minute*60 + w.second, 0, true
	case "YYYY":
		return wide(w.year, 4)
	case "YYY", "YY":
		return wide(w.year%power10Int(len(pattern)), len(pattern))
	case "Y":
		return int64(w.year % 10), 1, true
	case "IYYY":
		return wide(isoYear, 4)
	case "IYY", "IY":
		return wide(isoYear%power10Int(len(pattern)), len(pattern))
	case "I":
		return int64(isoYear % 10), 1, true
	case "MM":
		return signed(int64(w.month), 2)
	case "DD":
		return int64(w.day), 2, true
	case "DDD":
		return days, 3, true
	case "IDDD":
		return int64(isoDay), 3, true
	case "WW":
		return (days-1)/7 + 1, 2, true
	case "IW":
		return int64(isoWeek), 2, true
	case "W":
		return int64(w.day-1)/7 + 1, 0, true
	case "J":
		return int64(julian), 0, true
	case "CC":
		if c := int64(w.year / 100); c >= -99 && c <= 99 {
			return signed(c, 2)
		} else {
			return c, 0, true
		}
	case "Q":
		if w.month != 0 {
			return int64(w.month-1)/3 + 1, 0, true
		}
	}
	return 0, 0, false
}

// julianOfParts numbers days as PostgreSQL does it for parts that are no date:
// as datum.JulianDay, but its divisions cut towards zero.
func julianOfParts(year, month, day int) int {
	if month > 2 {
		month++
		year += 4800
	} else {
		month += 13
		year += 4799
	}
	century := year / 100
	return year*365 - 32167 + year/4 - century + century/4 + 7834*month/256 + day
}

// isoWeek gives the year, the week and the day of the year, by ISO 8601, that
// the parts would have if they were a date.
func (w *intervalWriter) isoWeek() (year, week, day int) {
	monday := func(year int) int {
		fourth := julianOfParts(year, 1, 4)
		return fourth - datum.Weekday(fourth-1)
	}
	julian := julianOfParts(w.year, w.month, w.day)
	year = w.year
	if julian < monday(year) {
		year--
	}
	week = (julian-monday(year))/7 + 1
	if week >= 52 && julian >= monday(w.year+1) {
		year = w.year + 1
		week = (julian-monday(year))/7 + 1
	}
	return year, week, julian - monday(year) + 1
}

// roman writes the month in Roman numerals; negative ones count back from
// December, and years without months are December or January.
func (w *intervalWriter) roman(dst []byte, p formatPart) []byte {
	var month int
	switch {
	case w.month == 0 && w.year == 0:
		return dst
	case w.month == 0 && w.year < 0:
		month = 1
	case w.month == 0:
		month = 12
	case w.month < 0:
		month = 13 + w.month
	default:
		month = w.month
	}
	text := romans[month-1]
	if p.pattern == "rm" {
		text = strings.ToLower(text)
	}
	dst = append(dst, text...)
	for n := len(text); n < 4 && !p.plain; n++ {
		dst = append(dst, ' ')
	}
	return dst
}
