package expr

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
)

// toCharFunctions write times in formats.
func toCharFunctions() []*Function {
	const text = column.Text
	return []*Function{
		stable(line("to_char", kinds(column.Timestamp, text), text, toChar(false), "a time in a format such as `'YYYY-MM-DD HH24:MI:SS'`")),
		stable(line("to_char", kinds(column.Timestamptz, text), text, toChar(true), "a time in UTC in a format")),
		stable(line("to_char", kinds(column.Interval, text), text, intervalToChar, "an interval in a format such as `'HH24:MI:SS'`; it has no names of days and months, and no zone")),
	}
}

// timeFormat is a format, read: texts and patterns in turn.
type timeFormat []formatPart

// formatPart is a pattern of a format, or a text if pattern is "".
type formatPart struct {
	text    string
	pattern string
	plain   bool   // FM: without padding
	ordinal string // "TH" or "th"
}

// timePatterns are the patterns as PostgreSQL matches them: at each place the
// first that fits. Those in small letters are alike unless listed.
var timePatterns = func() []string {
	upper := strings.Fields(`A.D. A.M. AD AM B.C. BC CC DAY DDD DD DY Day Dy D FF1 FF2 FF3 FF4 FF5 FF6 HH24 HH12 HH IDDD ID IW
		IYYY IYY IY I J MI MM MONTH MON MS Month Mon OF P.M. PM Q RM SSSSS SSSS SS TZH TZM TZ US WW W Y,YYY YYYY YYY YY Y`)
	out := slices.Clone(upper)
	for _, p := range upper {
		if low := strings.ToLower(p); !slices.Contains(out, low) && p != "OF" && p != "TZH" && p != "TZM" {
			out = append(out, low)
		}
	}
	out = append(out, "of", "tzh", "tzm")
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}()

// parseTimeFormat reads a format. Modifiers other than FM and TH change
// nothing here: names of months are English, and FX is for reading.
func parseTimeFormat(s string) timeFormat {
	var out timeFormat
	text := func(t string) { out = append(out, formatPart{text: t}) }
	for s != "" {
		part, rest := formatPart{}, s
		for _, prefix := range []string{"FM", "fm", "TM", "tm", "FX", "fx"} {
			if strings.HasPrefix(rest, prefix) {
				rest, part.plain = rest[2:], prefix != "FX" && prefix != "fx"
				break
			}
		}
		at := slices.IndexFunc(timePatterns, func(p string) bool { return strings.HasPrefix(rest, p) })
		switch {
		case at >= 0:
			part.pattern = timePatterns[at]
			s = rest[len(part.pattern):]
			for _, suffix := range []string{"TH", "th", "SP"} {
				if strings.HasPrefix(s, suffix) {
					s = s[2:]
					if suffix != "SP" {
						part.ordinal = suffix
					}
					break
				}
			}
			out = append(out, part)
		case len(rest) < len(s):
			s = rest
		case s[0] == '"':
			quoted, after := quotedText(s[1:])
			text(quoted)
			s = after
		case s[0] == '\\' && strings.HasPrefix(s, `\"`):
			text(`"`)
			s = s[2:]
		default:
			n := characterLength([]byte(s))
			text(s[:n])
			s = s[n:]
		}
	}
	return out
}

// quotedText reads up to the closing quote; a backslash makes the next
// character ordinary.
func quotedText(s string) (text, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// toChar is to_char(time, format); zoned tells a timestamptz.
func toChar(zoned bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			t, format := f.args[0].Int[i], f.bytes(1, i)
			if f.out.Null[i] = !finite(t) || len(format) == 0; f.out.Null[i] {
				continue
			}
			parts, ok := f.cached.(timeFormat)
			if !ok || !bytes.Equal(format, f.word) {
				parts = parseTimeFormat(string(format))
				f.word, f.cached = append(f.word[:0], format...), parts
			}
			start := len(f.out.Buf)
			w := timeWriter{CivilTime: datum.Civil(t), zoned: zoned}
			w.julian = datum.JulianDay(w.Year, w.Month, w.Day)
			for _, p := range parts {
				f.out.Buf = w.append(f.out.Buf, p)
			}
			f.finish(i, start)
		}
	}
}

// timeWriter writes one time.
type timeWriter struct {
	datum.CivilTime
	julian int
	zoned  bool
}

func (w *timeWriter) append(dst []byte, p formatPart) []byte {
	if p.pattern == "" {
		return append(dst, p.text...)
	}
	if n, width, ok := w.number(strings.ToUpper(p.pattern)); ok {
		if p.plain && !isFraction(p.pattern) {
			width = 0
		}
		start := len(dst)
		dst = fmt.Appendf(dst, "%0*d", width, n)
		return appendOrdinal(dst, dst[start:], p.ordinal)
	}
	switch word := p.pattern; word {
	case "Y,YYY", "y,yyy":
		start, year := len(dst), withoutSign(w.Year)
		dst = fmt.Appendf(dst, "%d,%03d", year/1000, year%1000)
		return appendOrdinal(dst, dst[start:], p.ordinal)
	default:
		text, width := w.word(word)
		dst = append(dst, text...)
		for n := len(text); n < width && !p.plain; n++ {
			dst = append(dst, ' ')
		}
		return dst
	}
}

// isFraction tells the digits of a second, which keep their zeros.
func isFraction(pattern string) bool {
	return slices.Contains([]string{"MS", "US", "FF"}, strings.ToUpper(pattern[:min(2, len(pattern))]))
}

// withoutSign is a year as people count: 1 BC is 1.
func withoutSign(year int) int {
	if year <= 0 {
		return 1 - year
	}
	return year
}

// number gives a pattern's number and its width.
func (w *timeWriter) number(pattern string) (n int64, width int, ok bool) {
	year := int64(withoutSign(w.Year))
	unit := func(u unit) int64 { return extractInteger(u, w.CivilTime) }
	isoYear, isoWeek := datum.ISOWeek(w.julian)
	iso := int64(withoutSign(isoYear))
	switch pattern {
	case "HH", "HH12":
		return int64(w.Hour+11)%12 + 1, 2, true
	case "HH24":
		return int64(w.Hour), 2, true
	case "MI":
		return int64(w.Minute), 2, true
	case "SS":
		return int64(w.Second), 2, true
	case "MS", "FF3":
		return int64(w.Micros) / 1000, 3, true
	case "US", "FF6":
		return int64(w.Micros), 6, true
	case "FF1", "FF2", "FF4", "FF5":
		digits := int(pattern[2] - '0')
		n := int64(w.Micros)
		for range 6 - digits {
			n /= 10
		}
		return n, digits, true
	case "SSSS", "SSSSS":
		return int64(w.Hour)*3600 + int64(w.Minute)*60 + int64(w.Second), 0, true
	case "YYYY":
		return year, 4, true
	case "YYY", "YY", "Y":
		return year % power10(len(pattern)), len(pattern), true
	case "IYYY":
		return iso, 4, true
	case "IYY", "IY", "I":
		return iso % power10(len(pattern)), len(pattern), true
	case "MM":
		return int64(w.Month), 2, true
	case "DD":
		return int64(w.Day), 2, true
	case "DDD":
		return unit(doyUnit), 3, true
	case "IDDD":
		return int64(w.julian-datum.ISOWeekStart(isoYear, 1)) + 1, 3, true
	case "D":
		return unit(dowUnit) + 1, 0, true
	case "ID":
		return unit(isoDowUnit), 0, true
	case "WW":
		return (unit(doyUnit)-1)/7 + 1, 2, true
	case "IW":
		return int64(isoWeek), 2, true
	case "W":
		return int64(w.Day-1)/7 + 1, 0, true
	case "Q":
		return unit(quarterUnit), 0, true
	case "J":
		return int64(w.julian), 0, true
	case "CC":
		if w.Year > 0 {
			return int64(w.Year-1)/100 + 1, 2, true
		}
		return int64(w.Year)/100 - 1, 3, true
	}
	return 0, 0, false
}

func power10(n int) int64 { return [...]int64{1, 10, 100, 1000}[n] }

var (
	monthNames = strings.Fields("January February March April May June July August September October November December")
	dayNames   = strings.Fields("Sunday Monday Tuesday Wednesday Thursday Friday Saturday")
	romans     = strings.Fields("I II III IV V VI VII VIII IX X XI XII")
)

// word gives a pattern's text and its width.
func (w *timeWriter) word(pattern string) (text string, width int) {
	month, day := monthNames[w.Month-1], dayNames[datum.Weekday(w.julian)]
	const longest = len("September")
	inCase := func(s string) string {
		switch {
		case pattern[0] >= 'a':
			return strings.ToLower(s)
		case len(pattern) > 1 && pattern[1] >= 'A' && pattern[1] <= 'Z' || pattern[1] == '.':
			return strings.ToUpper(s)
		}
		return s
	}
	half, era := "AM", "AD"
	if w.Hour >= 12 {
		half = "PM"
	}
	if w.Year <= 0 {
		era = "BC"
	}
	dotted := func(s string) string { return s[:1] + "." + s[1:] + "." }
	switch strings.ToUpper(pattern) {
	case "MONTH":
		return inCase(month), longest
	case "MON":
		return inCase(month[:3]), 0
	case "DAY":
		return inCase(day), longest
	case "DY":
		return inCase(day[:3]), 0
	case "RM":
		return inCase(romans[w.Month-1]), 4
	case "AM", "PM":
		return inCase(half), 0
	case "A.M.", "P.M.":
		return inCase(dotted(half)), 0
	case "AD", "BC":
		return inCase(era), 0
	case "A.D.", "B.C.":
		return inCase(dotted(era)), 0
	case "TZ":
		if w.zoned {
			return inCase("UTC"), 0
		}
	case "TZH", "OF":
		return "+00", 0
	case "TZM":
		return "00", 0
	}
	return "", 0
}

// appendOrdinal appends st, nd, rd or th, as English says of a number.
func appendOrdinal(dst, number []byte, form string) []byte {
	if form == "" {
		return dst
	}
	ending, n := "th", len(number)
	if n < 2 || number[n-2] != '1' {
		switch number[n-1] {
		case '1':
			ending = "st"
		case '2':
			ending = "nd"
		case '3':
			ending = "rd"
		}
	}
	if form == "TH" {
		ending = strings.ToUpper(ending)
	}
	return append(dst, ending...)
}
