package expr

import (
	"bytes"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// unit is a field of time as extract and date_trunc name it.
type unit uint8

const (
	noUnit unit = iota
	microsecondUnit
	millisecondUnit
	secondUnit
	minuteUnit
	hourUnit
	dayUnit
	weekUnit
	monthUnit
	quarterUnit
	yearUnit
	decadeUnit
	centuryUnit
	millenniumUnit
	isoYearUnit
	dowUnit
	isoDowUnit
	doyUnit
	julianUnit
	epochUnit
	zoneUnit
	zoneHourUnit
	zoneMinuteUnit
)

// unitTokenLength is how much of a unit's name PostgreSQL looks at.
const unitTokenLength = 10

// unitNames are the names that PostgreSQL takes for units, cut to
// unitTokenLength.
var unitNames = func() map[string]unit {
	out := map[string]unit{}
	for u, names := range map[unit][]string{
		microsecondUnit: {"microsecon", "us", "usec", "usecs", "useconds"},
		millisecondUnit: {"millisecon", "ms", "msec", "msecs", "mseconds"},
		secondUnit:      {"s", "sec", "secs", "second", "seconds"},
		minuteUnit:      {"m", "min", "mins", "minute", "minutes", "mm"},
		hourUnit:        {"h", "hr", "hrs", "hour", "hours"},
		dayUnit:         {"d", "day", "days"},
		weekUnit:        {"w", "week", "weeks"},
		monthUnit:       {"mon", "mons", "month", "months"},
		quarterUnit:     {"qtr", "quarter"},
		yearUnit:        {"y", "yr", "yrs", "year", "years"},
		decadeUnit:      {"dec", "decs", "decade", "decades"},
		centuryUnit:     {"c", "cent", "century", "centuries"},
		millenniumUnit:  {"mil", "mils", "millennia", "millennium"},
		isoYearUnit:     {"isoyear"},
		dowUnit:         {"dow"},
		isoDowUnit:      {"isodow"},
		doyUnit:         {"doy"},
		julianUnit:      {"j", "jd", "julian"},
		epochUnit:       {"epoch"},
		zoneUnit:        {"timezone"},
		zoneHourUnit:    {"timezone_h"},
		zoneMinuteUnit:  {"timezone_m"},
	} {
		for _, n := range names {
			out[n] = u
		}
	}
	return out
}()

// unitLabels are date_trunc's units as a CalendarSpec names them.
var unitLabels = map[unit]string{
	microsecondUnit: "microseconds", millisecondUnit: "milliseconds", secondUnit: "second",
	minuteUnit: "minute", hourUnit: "hour", dayUnit: "day", weekUnit: "week", monthUnit: "month",
	quarterUnit: "quarter", yearUnit: "year", decadeUnit: "decade", centuryUnit: "century",
	millenniumUnit: "millennium",
}

// unitWord is a unit argument, read.
type unitWord struct {
	unit unit
	name string // in lower case, for messages
}

// unitOf reads a unit argument; the last one is kept, since most are
// constants.
func (f *frame) unitOf(arg int, i int32) unitWord {
	text := f.bytes(arg, i)
	if w, ok := f.cached.(unitWord); ok && bytes.Equal(text, f.word) {
		return w
	}
	w := parseUnit(text)
	f.word, f.cached = append(f.word[:0], text...), w
	return w
}

func parseUnit(text []byte) unitWord {
	name := make([]byte, len(text))
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		name[i] = c
	}
	return unitWord{unitNames[string(name[:min(len(name), unitTokenLength)])], string(name)}
}

func (w unitWord) unsupported(k column.Kind) *sqlerr.Error {
	if w.unit == noUnit {
		return sqlerr.New(sqlerr.InvalidParameterValue, "unit \"%s\" not recognized for type %s", w.name, k.Name())
	}
	return sqlerr.New(sqlerr.FeatureNotSupported, "unit \"%s\" not supported for type %s", w.name, k.Name())
}
