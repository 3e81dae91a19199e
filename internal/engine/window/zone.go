package window

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"
	_ "time/tzdata" // for systems without zone data

	"github.com/millstream-dev/millstream/internal/column"
)

const (
	second = int64(1_000_000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// Zone is a time zone as a list of spans of equal offset.
type Zone struct {
	name  string
	spans []span // rising; the first reaches back to the beginning of time
}

// span holds from its from until the next span's.
type span struct{ from, offset int64 } // stored microseconds; microseconds east of UTC

// The years for which spans are listed. No zone has changed before the
// first; the rules for the future repeat every 400 years, the period of the
// calendar, so that later times are looked up in the last 400 listed years.
const (
	firstYear = 1800
	lastYear  = 2500
)

// cycle is the 400 years after which the calendar repeats, weekdays
// included.
const cycle = 146_097 * day

// LoadZone gives the time zone of that name in the tz database, such as
// "Europe/Paris".
func LoadZone(name string) (*Zone, error) {
	if name == "" || strings.EqualFold(name, "local") {
		return nil, fmt.Errorf("time zone %q not recognized", name)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q not recognized", name)
	}
	return &Zone{name: name, spans: listSpans(location)}, nil
}

// listSpans goes through the changes of offset of the listed years.
func listSpans(location *time.Location) []span {
	end := time.Date(lastYear, 1, 1, 0, 0, 0, 0, time.UTC)
	t := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC).In(location)
	_, offset := t.Zone()
	spans := []span{{math.MinInt64, int64(offset) * second}}
	for t.Before(end) {
		_, next := t.ZoneBounds()
		if next.IsZero() {
			break
		}
		if !next.After(t) {
			// Beyond the listed changes Go gives bounds at the ends of years,
			// too, and those of leap years a day early: the last day of such a
			// year seems to have ended already.
			next = t.AddDate(0, 0, 1)
		}
		t = next
		_, offset := t.Zone()
		if o := int64(offset) * second; o != spans[len(spans)-1].offset {
			spans = append(spans, span{stored(t), o})
		}
	}
	return spans
}

// stored gives an instant in stored microseconds.
func stored(t time.Time) int64 { return t.UnixMicro() + column.UnixEpochMicros }

// Name is the zone's name as it was loaded.
func (z *Zone) Name() string { return z.name }

// Offset gives how far local time is ahead of UTC at t, in microseconds.
func (z *Zone) Offset(t int64) int64 { return z.spans[z.index(fold(t))].offset }

// listed is the first instant that is not listed but folded.
var listed = stored(time.Date(lastYear, 1, 1, 0, 0, 0, 0, time.UTC))

// fold moves a time beyond the listed years back into the last 400 of them.
func fold(t int64) int64 {
	if t < listed {
		return t
	}
	return t - ((t-listed)/cycle+1)*cycle
}

// index gives the span that holds t, a time within the listed years.
func (z *Zone) index(t int64) int {
	return sort.Search(len(z.spans)-1, func(i int) bool { return z.spans[i+1].from > t })
}

// instant gives the instant that a local time means. Like PostgreSQL
// (DetermineTimeZoneOffset) it looks at the first change of offset since a
// day before; a local time that does not exist is taken as if the clock had
// not been changed yet, one that occurs twice as the second.
func (z *Zone) instant(local int64) int64 {
	folded := fold(local)
	shift := local - folded
	i := z.index(folded - day)
	before := z.spans[i].offset
	if i+1 == len(z.spans) {
		return local - before
	}
	boundary, after := z.spans[i+1].from, z.spans[i+1].offset
	early, late := folded-before, folded-after
	switch {
	case early < boundary && late < boundary:
		return early + shift
	case early > boundary && late >= boundary:
		return late + shift
	case early > late:
		return early + shift
	}
	return late + shift
}

// end gives the instant after the last one whose local time is before local.
func (z *Zone) end(local int64) int64 {
	folded := fold(local)
	shift := local - folded
	// No local time is further than a day from UTC, and no clock is moved by
	// more than a day.
	latest := folded - z.spans[0].offset
	for i := z.index(folded - 2*day); i < len(z.spans); i++ {
		s := z.spans[i]
		if s.from > folded+2*day {
			break
		}
		if at := min(z.until(i), folded-s.offset); at > s.from {
			latest = at
		}
	}
	return latest + shift
}

// until gives the end of span i.
func (z *Zone) until(i int) int64 {
	if i+1 < len(z.spans) {
		return z.spans[i+1].from
	}
	return math.MaxInt64
}

// Offset is how far a zone's local time is ahead of UTC at an instant.
type Offset struct {
	At      time.Time
	Seconds int
}

// Years for which offsets are compared: those that events of a live stream
// and of any archive fall in.
const (
	firstCompared = 1970
	lastCompared  = 2037
)

// Transitions gives a zone's offsets at the instants where two releases of
// the zone data can differ: just before and at each change of offset, and at
// each year's beginning, from 1970 to 2037. A store compares them with its
// own.
func Transitions(name string) ([]Offset, error) {
	z, err := LoadZone(name)
	if err != nil {
		return nil, err
	}
	from := stored(time.Date(firstCompared, 1, 1, 0, 0, 0, 0, time.UTC))
	to := stored(time.Date(lastCompared, 12, 31, 0, 0, 0, 0, time.UTC))
	var instants []int64
	for year := firstCompared; year <= lastCompared; year++ {
		instants = append(instants, stored(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)))
	}
	for _, s := range z.spans {
		if s.from > from && s.from < to {
			instants = append(instants, s.from-second, s.from)
		}
	}
	sort.Slice(instants, func(i, j int) bool { return instants[i] < instants[j] })
	return z.OffsetsAt(instants), nil
}

// OffsetsAt gives the offsets at instants in stored microseconds.
func (z *Zone) OffsetsAt(instants []int64) []Offset {
	out := make([]Offset, len(instants))
	for i, t := range instants {
		out[i] = Offset{
			At:      time.UnixMicro(t - column.UnixEpochMicros).UTC(),
			Seconds: int(z.Offset(t) / second),
		}
	}
	return out
}
