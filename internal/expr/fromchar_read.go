package expr

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// timeReader reads a text by a format into fields.
type timeReader struct {
	text, rest []byte
	fixed      bool // FX was met
	skipped    int  // spaces and separators skipped beyond what the format has

	conventions convention
	halfDay     bool // a 12-hour clock
	fields      timeFields

	civil          datum.CivilTime // what resolve makes of the fields
	east           int             // seconds east of UTC
	fractionDigits int             // of FF1 to FF6
}

// timeFields are the numbers that were read; 0 stands for none.
type timeFields struct {
	hour, pm, minute, second, secondOfDay  int
	weekday, day, dayOfYear, month         int
	milli, micro                           int
	year, century, bc, week, weekOfMonth   int
	julian, zoneSign, zoneHour, zoneMinute int
	yearDigits                             int
}

// convention is a way to number days; a format has one of them only.
type convention uint8

const (
	anyConvention convention = iota
	gregorian
	isoWeeks
)

func conventionOf(pattern string) convention {
	switch strings.ToUpper(pattern) {
	case "DDD", "DD", "D", "MM", "MONTH", "MON", "RM", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y":
		return gregorian
	case "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I":
		return isoWeeks
	}
	return anyConvention
}

// read reads the text by the format. What is left of either is ignored.
func (r *timeReader) read(nodes []inputNode) *sqlerr.Error {
	for k, n := range nodes {
		if len(r.rest) == 0 {
			break
		}
		isFX := n.pattern == "FX" || n.pattern == "fx"
		if !r.fixed && !isFX && (n.pattern != "" || k == 0) {
			r.skipped += r.skipSpaces()
		}
		switch {
		case n.pattern == "":
			r.character(n)
			continue
		case isFX:
			r.fixed = true
		default:
			if err := r.field(n, nodes[k+1:]); err != nil {
				return err
			}
		}
		if !r.fixed {
			r.skipped = r.skipSpaces()
		}
	}
	return nil
}

func (r *timeReader) skipSpaces() int {
	n := 0
	for len(r.rest) > 0 && isSpaceByte(r.rest[0]) {
		r.rest = r.rest[1:]
		n++
	}
	return n
}

func (r *timeReader) skipCharacter() {
	if len(r.rest) > 0 {
		r.rest = r.rest[characterLength(r.rest):]
	}
}

// character passes over a character of the format that is no pattern.
func (r *timeReader) character(n inputNode) {
	switch {
	case n.separator && !r.fixed:
		r.skipped--
		if len(r.rest) > 0 && (isSpaceByte(r.rest[0]) || isSeparator(r.rest[0])) {
			r.rest = r.rest[1:]
			r.skipped++
		}
	case !n.separator && !r.fixed && r.skipped > 0:
		r.skipped--
	default:
		r.skipCharacter()
	}
}

// field reads what a pattern stands for. after are the nodes behind it.
func (r *timeReader) field(n inputNode, after []inputNode) *sqlerr.Error {
	if c := conventionOf(n.pattern); c != anyConvention {
		if r.conventions != anyConvention && r.conventions != c {
			return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid combination of date conventions")
		}
		r.conventions = c
	}
	f := &r.fields
	number := func(to *int) *sqlerr.Error { _, err := r.number(to, len(n.pattern), n, after); return err }
	width := func(to *int, width int) *sqlerr.Error { _, err := r.number(to, width, n, after); return err }
	var err *sqlerr.Error
	switch pattern := strings.ToUpper(n.pattern); pattern {
	case "HH", "HH12":
		err, r.halfDay = width(&f.hour, 2), true
	case "HH24":
		err = width(&f.hour, 2)
	case "MI":
		err = number(&f.minute)
	case "SS":
		err = number(&f.second)
	case "SSSS", "SSSSS":
		err = number(&f.secondOfDay)
	case "MS":
		err = r.fraction(&f.milli, 3, 3, n, after)
	case "US":
		err = r.fraction(&f.micro, 6, 6, n, after)
	case "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		r.fractionDigits = int(pattern[2] - '0')
		err = r.fraction(&f.micro, r.fractionDigits, 6, n, after)
	case "MM":
		err = number(&f.month)
	case "DDD":
		err = number(&f.dayOfYear)
	case "IDDD":
		err = width(&f.dayOfYear, 3)
	case "DD":
		err = number(&f.day)
	case "D":
		err = number(&f.weekday)
	case "ID":
		if err = width(&f.weekday, 1); err == nil {
			if f.weekday++; f.weekday > 7 {
				f.weekday = 1
			}
		}
	case "WW", "IW":
		err = number(&f.week)
	case "W":
		err = number(&f.weekOfMonth)
	case "Q":
		err = number(nil)
	case "CC":
		err = number(&f.century)
	case "J":
		err = number(&f.julian)
	case "Y,YYY":
		err = r.yearWithComma(n)
	case "YYYY", "IYYY":
		err, f.yearDigits = number(&f.year), 4
	case "YYY", "IYY", "YY", "IY", "Y", "I":
		err = r.shortYear(n, after)
	case "TZH", "TZM":
		return r.zone(pattern, n, after)
	case "TZ", "OF":
		return sqlerr.New(sqlerr.FeatureNotSupported, "formatting field \"%s\" is only supported in to_char", n.pattern)
	default:
		return r.word(pattern, n)
	}
	if err == nil && n.ordinal {
		r.skipCharacter()
		r.skipCharacter()
	}
	return err
}

// number reads an integer: so many characters, or as many digits as there are
// where no digit can follow. It gives how many characters that were.
func (r *timeReader) number(to *int, width int, n inputNode, after []inputNode) (int, *sqlerr.Error) {
	begin := r.rest
	r.skipSpaces()
	piece := r.rest[:min(width, len(r.rest))]
	var value int64
	if n.plain || partedFromNext(n, after) {
		var used int
		value, used = leadingNumber(begin)
		r.rest = begin[used:]
	} else {
		if len(r.rest) < width {
			return 0, sqlerr.New(sqlerr.InvalidDatetimeFormat, "source string too short for \"%s\" formatting field", n.pattern)
		}
		var used int
		value, used = leadingNumber(piece)
		if used > 0 && used < width {
			return 0, r.invalid(piece, n)
		}
		r.rest = r.rest[used:]
	}
	length := len(begin) - len(r.rest)
	if length == 0 {
		return 0, r.invalid(piece, n)
	}
	if value < math.MinInt32 || value > math.MaxInt32 {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "value for \"%s\" in source string is out of range", n.pattern)
	}
	if to == nil {
		return length, nil
	}
	return length, setField(to, int(value), n)
}

// invalid says that a piece of the text is not what a pattern stands for. A
// character that the piece ends within is left out.
func (r *timeReader) invalid(piece []byte, n inputNode) *sqlerr.Error {
	for len(piece) > 0 && !utf8.Valid(piece) {
		piece = piece[:len(piece)-1]
	}
	return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid value \"%s\" for \"%s\"", piece, n.pattern)
}

func setField(to *int, value int, n inputNode) *sqlerr.Error {
	if *to != 0 && *to != value {
		return sqlerr.New(sqlerr.InvalidDatetimeFormat, "conflicting values for \"%s\" field in formatting string", n.pattern)
	}
	*to = value
	return nil
}

// partedFromNext tells whether what follows a pattern can't be a digit.
func partedFromNext(n inputNode, after []inputNode) bool {
	return n.ordinal || len(after) == 0 || !after[0].digit
}

// leadingNumber reads an integer with spaces and a sign in front as C's
// strtol does, and gives how long it was.
func leadingNumber(s []byte) (value int64, used int) {
	i := 0
	for i < len(s) && isSpaceByte(s[i]) {
		i++
	}
	negative := false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		negative = s[i] == '-'
		i++
	}
	start := i
	for ; i < len(s) && isDigit(s[i]); i++ {
		if value < math.MaxInt64/100 {
			value = value*10 + int64(s[i]-'0')
		}
	}
	if i == start {
		return 0, 0
	}
	if negative {
		value = -value
	}
	return value, i
}

// fraction reads digits behind the point: 25 is a quarter, as is 250. The
// result counts in units of which there are digits, to the power of ten.
func (r *timeReader) fraction(to *int, width, digits int, n inputNode, after []inputNode) *sqlerr.Error {
	length, err := r.number(to, width, n, after)
	if err == nil && length < digits {
		*to *= power10Int(digits - length)
	}
	return err
}

func (r *timeReader) shortYear(n inputNode, after []inputNode) *sqlerr.Error {
	f := &r.fields
	length, err := r.number(&f.year, len(n.pattern), n, after)
	if err != nil {
		return err
	}
	if length < 4 {
		f.year = nearestYear(f.year)
	}
	f.yearDigits = len(strings.TrimLeft(n.pattern, "Ii"))
	if n.pattern[0]|0x20 == 'i' {
		f.yearDigits = len(n.pattern)
	}
	return nil
}

// nearestYear completes a year of one to three digits to one near 2020.
func nearestYear(year int) int {
	switch {
	case year < 70:
		return year + 2000
	case year < 100:
		return year + 1900
	case year < 520:
		return year + 2000
	case year < 1000:
		return year + 1000
	}
	return year
}

func (r *timeReader) yearWithComma(n inputNode) *sqlerr.Error {
	invalid := sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input string for \"Y,YYY\"")
	thousands, used := leadingNumber(r.rest)
	rest := r.rest[used:]
	if used == 0 || len(rest) == 0 || rest[0] != ',' {
		return invalid
	}
	rest = rest[1:]
	spaces := 0
	for spaces < len(rest) && isSpaceByte(rest[spaces]) {
		spaces++
	}
	years, used := leadingNumber(rest[:min(spaces+3, len(rest))])
	if used == 0 {
		return invalid
	}
	year := thousands*1000 + years
	if year < math.MinInt32 || year > math.MaxInt32 || thousands > math.MaxInt32 || thousands < math.MinInt32 {
		return sqlerr.New(sqlerr.DatetimeFieldOverflow, "value for \"Y,YYY\" in source string is out of range")
	}
	r.rest, r.fields.yearDigits = rest[used:], 4
	return setField(&r.fields.year, int(year), n)
}

// zone reads hours or minutes of an offset. A minus may have been passed over
// as a separator.
func (r *timeReader) zone(pattern string, n inputNode, after []inputNode) *sqlerr.Error {
	f := &r.fields
	if pattern == "TZM" {
		if f.zoneSign == 0 {
			f.zoneSign = 1
		}
		_, err := r.number(&f.zoneMinute, 2, n, after)
		return err
	}
	f.zoneSign = 1
	before := len(r.text) - len(r.rest) - 1
	switch c := r.rest; {
	case len(c) > 0 && (c[0] == '+' || c[0] == '-' || c[0] == ' '):
		if c[0] == '-' {
			f.zoneSign = -1
		}
		r.rest = c[1:]
	case r.skipped > 0 && before >= 0 && r.text[before] == '-':
		f.zoneSign = -1
	}
	_, err := r.number(&f.zoneHour, 2, n, after)
	return err
}

// word reads a name, in any case.
func (r *timeReader) word(pattern string, n inputNode) *sqlerr.Error {
	f := &r.fields
	switch pattern {
	case "A.M.", "P.M.", "AM", "PM":
		at, err := r.oneOf(n, dotted(pattern, "am", "pm"))
		if err == nil {
			err, r.halfDay = setField(&f.pm, at, n), true
		}
		return err
	case "A.D.", "B.C.", "AD", "BC":
		at, err := r.oneOf(n, dotted(pattern, "ad", "bc"))
		if err == nil {
			err = setField(&f.bc, at, n)
		}
		return err
	case "MONTH", "MON":
		at, err := r.oneOf(n, shortened(monthNames, pattern == "MON"))
		if err == nil {
			err = setField(&f.month, at+1, n)
		}
		return err
	case "DAY", "DY":
		at, err := r.oneOf(n, shortened(dayNames, pattern == "DY"))
		if err == nil {
			if err = setField(&f.weekday, at, n); err == nil {
				f.weekday++
			}
		}
		return err
	}
	// RM: the longest of those that begin alike comes first.
	var descending []string
	for i := range romans {
		descending = append(descending, romans[len(romans)-1-i])
	}
	at, err := r.oneOf(n, descending)
	if err == nil {
		err = setField(&f.month, len(romans)-at, n)
	}
	return err
}

func dotted(pattern string, words ...string) []string {
	if !strings.Contains(pattern, ".") {
		return words
	}
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w[:1] + "." + w[1:] + "."
	}
	return out
}

func shortened(words []string, short bool) []string {
	if !short {
		return words
	}
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w[:3]
	}
	return out
}

// oneOf reads the first of the words that the text begins with.
func (r *timeReader) oneOf(n inputNode, words []string) (int, *sqlerr.Error) {
	for i, w := range words {
		if len(r.rest) >= len(w) && strings.EqualFold(string(r.rest[:len(w)]), w) {
			r.rest = r.rest[len(w):]
			return i, nil
		}
	}
	end := 0
	for end < len(r.rest) && !isSpaceByte(r.rest[end]) || end < len(r.rest) && r.rest[end] == '\v' {
		end++
	}
	return 0, r.invalid(r.rest[:end], n)
}
