package datum

// wordType is what a word of a date and time text is. Its values are bits of
// the mask of what has been seen.
type wordType uint32

// The types of words and fields.
const (
	typeReserved wordType = 1 << iota
	typeMonth
	typeYear
	typeDay
	typeZone
	typeZoneDST
	typeZoneNamed
	typeMeridiem
	typeHour
	typeMinute
	typeSecond
	typeMillisecond
	typeMicrosecond
	typeDayOfYear
	typeWeekday
	typeUnit
	typeEra
	typeAgo
	typeISOTime
	typeWeek
	typeDecade
	typeCentury
	typeMillennium
	typeZoneModifier
	typeIgnore

	seenDate    = typeYear | typeMonth | typeDay
	seenSeconds = typeSecond | typeMillisecond | typeMicrosecond
	seenTime    = typeHour | typeMinute | seenSeconds
)

// Values of words.
const (
	wordNow = iota + 1
	wordYesterday
	wordToday
	wordTomorrow
	wordZulu
	wordEpoch
	wordInfinity
	wordNegInfinity
)

// Units, of dates with labels (y2001m02d04) and of intervals.
const (
	unitNone = iota
	unitMicrosecond
	unitMillisecond
	unitSecond
	unitMinute
	unitHour
	unitDay
	unitWeek
	unitMonth
	unitQuarter
	unitYear
	unitDecade
	unitCentury
	unitMillennium
	unitJulian
	unitTime  // the t before an ISO time
	unitOther // known, and of no use here
)

const (
	am = iota + 1
	pm
)

const (
	ad = iota + 1
	bc
)

type word struct {
	kind  wordType
	value int
}

// dateWords are the words of dates and times but for zones.
var dateWords = map[string]word{
	"-infinity": {typeReserved, wordNegInfinity}, "infinity": {typeReserved, wordInfinity},
	"epoch": {typeReserved, wordEpoch}, "allballs": {typeReserved, wordZulu},
	"now": {typeReserved, wordNow}, "today": {typeReserved, wordToday},
	"tomorrow": {typeReserved, wordTomorrow}, "yesterday": {typeReserved, wordYesterday},

	"ad": {typeEra, ad}, "bc": {typeEra, bc}, "am": {typeMeridiem, am}, "pm": {typeMeridiem, pm},
	"at": {typeIgnore, 0}, "on": {typeIgnore, 0}, "t": {typeISOTime, unitTime},
	"dst": {typeZoneModifier, 3600},

	"jan": {typeMonth, 1}, "january": {typeMonth, 1}, "feb": {typeMonth, 2}, "february": {typeMonth, 2},
	"mar": {typeMonth, 3}, "march": {typeMonth, 3}, "apr": {typeMonth, 4}, "april": {typeMonth, 4},
	"may": {typeMonth, 5}, "jun": {typeMonth, 6}, "june": {typeMonth, 6}, "jul": {typeMonth, 7},
	"july": {typeMonth, 7}, "aug": {typeMonth, 8}, "august": {typeMonth, 8}, "sep": {typeMonth, 9},
	"sept": {typeMonth, 9}, "september": {typeMonth, 9}, "oct": {typeMonth, 10}, "october": {typeMonth, 10},
	"nov": {typeMonth, 11}, "november": {typeMonth, 11}, "dec": {typeMonth, 12}, "december": {typeMonth, 12},

	"sun": {typeWeekday, 0}, "sunday": {typeWeekday, 0}, "mon": {typeWeekday, 1}, "monday": {typeWeekday, 1},
	"tue": {typeWeekday, 2}, "tues": {typeWeekday, 2}, "tuesday": {typeWeekday, 2}, "wed": {typeWeekday, 3},
	"weds": {typeWeekday, 3}, "wednesday": {typeWeekday, 3}, "thu": {typeWeekday, 4}, "thur": {typeWeekday, 4},
	"thurs": {typeWeekday, 4}, "thursday": {typeWeekday, 4}, "fri": {typeWeekday, 5}, "friday": {typeWeekday, 5},
	"sat": {typeWeekday, 6}, "saturday": {typeWeekday, 6},

	"y": {typeUnit, unitYear}, "m": {typeUnit, unitMonth}, "d": {typeUnit, unitDay}, "h": {typeUnit, unitHour},
	"mm": {typeUnit, unitMinute}, "s": {typeUnit, unitSecond}, "j": {typeUnit, unitJulian},
	"jd": {typeUnit, unitJulian}, "julian": {typeUnit, unitJulian}, "dow": {typeUnit, unitOther},
	"doy": {typeUnit, unitOther}, "isodow": {typeUnit, unitOther}, "isoyear": {typeUnit, unitOther},
}

// intervalWords are the words of intervals.
var intervalWords = func() map[string]word {
	words := map[string]word{"@": {typeIgnore, 0}, "ago": {typeAgo, unitNone}}
	for unit, names := range map[int][]string{
		unitMicrosecond: {"us", "usec", "usecond", "useconds", "usecs", "microsecon"},
		unitMillisecond: {"ms", "msec", "msecond", "mseconds", "msecs", "millisecon"},
		unitSecond:      {"s", "sec", "second", "seconds", "secs"},
		unitMinute:      {"m", "min", "mins", "minute", "minutes"},
		unitHour:        {"h", "hour", "hours", "hr", "hrs"},
		unitDay:         {"d", "day", "days"},
		unitWeek:        {"w", "week", "weeks"},
		unitMonth:       {"mon", "mons", "month", "months"},
		unitQuarter:     {"qtr", "quarter"},
		unitYear:        {"y", "year", "years", "yr", "yrs"},
		unitDecade:      {"dec", "decade", "decades", "decs"},
		unitCentury:     {"c", "cent", "centuries", "century"},
		unitMillennium:  {"mil", "millennia", "millennium", "mils"},
		unitOther:       {"timezone", "timezone_h", "timezone_m"},
	} {
		for _, name := range names {
			words[name] = word{typeUnit, unit}
		}
	}
	return words
}()
