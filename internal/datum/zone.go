package datum

import (
	_ "embed" // the lists of names
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones must be known where the system has none
)

// zoneNames are the names of time zones, one a line: the Go library finds a
// zone by its exact name only, PostgreSQL in any case.
//
//go:embed zones.txt
var zoneNames string

// abbreviationList is PostgreSQL's default set of time zone abbreviations, one
// a line: the abbreviation, its offset in seconds east of UTC, D for daylight
// saving; or in place of the offset the zone whose history tells it.
//
//go:embed abbreviations.txt
var abbreviationList string

var zonesByLowerName = sync.OnceValue(func() map[string]string {
	names := make(map[string]string)
	for _, name := range strings.Fields(zoneNames) {
		names[strings.ToLower(name)] = name
	}
	return names
})

// LoadZone gives the time zone of a name, in upper or lower case, or of a
// POSIX form ("UTC-3", which lies east of Greenwich; "EST5EDT").
func LoadZone(name string) (*time.Location, bool) {
	if zone, ok := namedZone(name); ok {
		return zone, true
	}
	return posixZone(name)
}

func namedZone(name string) (*time.Location, bool) {
	lower := strings.ToLower(name)
	exact, ok := zonesByLowerName()[lower]
	if !ok {
		return nil, false
	}
	zone, err := time.LoadLocation(exact)
	return zone, err == nil
}

// zoneAbbreviation is an abbreviation of fixed offset, or of a zone.
type zoneAbbreviation struct {
	offset int // seconds east of UTC
	dst    bool
	zone   *time.Location
}

var abbreviations = sync.OnceValue(func() map[string]zoneAbbreviation {
	list := make(map[string]zoneAbbreviation)
	for _, line := range strings.Split(strings.TrimSpace(abbreviationList), "\n") {
		parts := strings.Fields(line)
		var a zoneAbbreviation
		if offset, err := strconv.Atoi(parts[1]); err == nil {
			a.offset, a.dst = offset, len(parts) > 2
		} else if a.zone, err = time.LoadLocation(parts[1]); err != nil {
			continue
		}
		list[parts[0]] = a
	}
	return list
})

// zoneOffset gives the offset of the decoder's zone at its local time, in
// seconds east of UTC.
func (d *dateTimeDecoder) zoneOffset() int {
	if !validJulian(d.year, d.month) {
		return 0
	}
	days := int64(JulianDay(d.year, d.month, d.day) - UnixJulian)
	local := days*86400 + timeOfDay(d.hour, d.minute, d.second, 0)/Second
	offset := OffsetAtLocal(d.zone, local)
	if d.abbrev == "" {
		return offset
	}
	if found, ok := offsetOfAbbreviation(d.zone, strings.ToUpper(d.abbrev), local-int64(offset)); ok {
		return found
	}
	return offset
}

// OffsetAtLocal gives the offset, in seconds east of UTC, that holds in a zone
// at a local time (seconds since 1970 as if it were UTC). As in PostgreSQL, a
// time that a change skips is taken with the offset before it, one that
// comes twice with the offset after it.
func OffsetAtLocal(zone *time.Location, local int64) int {
	// Changes lie more than two days apart: the next one from a day before is
	// the only one that can matter.
	probe := time.Unix(local-86400, 0).In(zone)
	_, before := probe.Zone()
	_, change := probe.ZoneBounds()
	if change.IsZero() {
		return before
	}
	_, after := change.Zone()
	boundary := change.Unix()
	early, late := local-int64(before), local-int64(after)
	switch {
	case early < boundary && late < boundary:
		return before
	case early > boundary && late >= boundary:
		return after
	case early > late:
		return before
	}
	return after
}

// offsetOfAbbreviation finds what an abbreviation meant in a zone at an
// instant: its latest use until then, or else its first one.
func offsetOfAbbreviation(zone *time.Location, name string, unix int64) (int, bool) {
	at := time.Unix(unix, 0).In(zone)
	for t := at; ; {
		if n, offset := t.Zone(); n == name {
			return offset, true
		}
		start, _ := t.ZoneBounds()
		if start.IsZero() {
			break
		}
		t = start.Add(-time.Second)
	}
	// The rules for the future repeat: nothing new comes after them.
	const changesAhead = 400
	for t, i := at, 0; i < changesAhead; i++ {
		_, end := t.ZoneBounds()
		if end.IsZero() {
			break
		}
		t = end
		if n, offset := t.Zone(); n == name {
			return offset, true
		}
	}
	return 0, false
}
