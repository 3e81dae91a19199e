package expr

import (
	"bytes"
	"strings"
	"time"
	_ "time/tzdata" // so that all machines compute with the same zones

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// loadZone finds a time zone of the IANA database by its name, also written
// in other case. Abbreviations other than UTC and GMT, and offsets, are not
// names of zones.
func loadZone(name string) (*time.Location, *sqlerr.Error) {
	switch strings.ToUpper(name) {
	case "UTC", "GMT", "Z", "ZULU":
		return time.UTC, nil
	case "", "LOCAL":
		return nil, unknownZone(name)
	}
	for _, candidate := range []string{name, titleZone(name), strings.ToUpper(name)} {
		if zone, err := time.LoadLocation(candidate); err == nil && candidate != "" {
			return zone, nil
		}
	}
	return nil, unknownZone(name)
}

func unknownZone(name string) *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidTimeZone, "time zone \"%s\" not recognized", name)
}

// titleZone writes a name as most zones are: America/New_York.
func titleZone(name string) string {
	out := []byte(strings.ToLower(name))
	for i := range out {
		if (i == 0 || bytes.IndexByte([]byte("/_-"), out[i-1]) >= 0) && out[i] >= 'a' && out[i] <= 'z' {
			out[i] -= 'a' - 'A'
		}
	}
	return string(out)
}

// zoneOf reads a zone argument; the last one is kept, since most are
// constants.
func (f *frame) zoneOf(arg int, i int32) (*time.Location, *sqlerr.Error) {
	text := f.bytes(arg, i)
	if f.zone != nil && bytes.Equal(text, f.zoneName) {
		return f.zone, nil
	}
	zone, err := loadZone(string(text))
	if err != nil {
		return nil, err
	}
	f.zone, f.zoneName = zone, append(f.zoneName[:0], text...)
	return zone, nil
}

// utcOffset is a zone's offset at a moment, in microseconds to add to UTC.
func utcOffset(zone *time.Location, micros int64) int64 {
	_, seconds := unixMicros(micros).In(zone).Zone()
	return int64(seconds) * datum.Second
}

func unixMicros(micros int64) time.Time {
	days := datum.DaysOf(micros)
	rest := micros - days*datum.Day
	seconds := (days + datum.EpochJulian - datum.UnixJulian) * 86400
	return time.Unix(seconds+rest/datum.Second, rest%datum.Second*1000)
}

func storedMicros(t time.Time) int64 {
	return (t.Unix()-(datum.EpochJulian-datum.UnixJulian)*86400)*datum.Second + int64(t.Nanosecond()/1000)
}

// momentOf gives the moment when clocks of a zone show local. A time that
// clocks skip counts as if they had not been changed yet; of a time that they
// show twice it is the second one.
func momentOf(zone *time.Location, local int64) int64 {
	// As PostgreSQL, look for the first change of clocks after a day before.
	at := unixMicros(local - datum.Day).In(zone)
	_, before := at.Zone()
	_, change := at.ZoneBounds()
	first := local - int64(before)*datum.Second
	if change.IsZero() {
		return first
	}
	_, after := change.Zone()
	second := local - int64(after)*datum.Second
	boundary := storedMicros(change)
	switch {
	case first < boundary && second < boundary:
		return first
	case first > boundary && second >= boundary:
		return second
	case first > second:
		return first
	}
	return second
}

// toZone is timezone(zone, timestamptz): what clocks there show.
func toZone(f *frame) {
	eachInZone(f, func(zone *time.Location, t int64) int64 { return t + utcOffset(zone, t) })
}

// fromZone is timezone(zone, timestamp): the moment when clocks there show it.
func fromZone(f *frame) { eachInZone(f, momentOf) }

func eachInZone(f *frame, convert func(zone *time.Location, t int64) int64) {
	a, out := f.args[1].Int, f.out.Int
	for _, i := range f.sel {
		if !finite(a[i]) {
			out[i] = a[i]
			continue
		}
		zone, err := f.zoneOf(0, i)
		if err != nil {
			f.fail(i, err)
			continue
		}
		t := convert(zone, a[i])
		if !datum.ValidTimestamp(t) {
			f.fail(i, errTimestampRange)
			continue
		}
		out[i] = t
	}
}

// dateTruncZone is date_trunc(unit, timestamptz, zone).
func dateTruncZone(f *frame) {
	a, out := f.args[1].Int, f.out.Int
	for _, i := range f.sel {
		zone, err := f.zoneOf(2, i)
		if err != nil {
			f.fail(i, err)
			continue
		}
		t, err := truncateInZone(f.unitOf(0, i), zone, a[i])
		if err != nil {
			f.fail(i, err)
			continue
		}
		out[i] = t
	}
}

func truncateInZone(w unitWord, zone *time.Location, t int64) (int64, *sqlerr.Error) {
	if !finite(t) {
		return truncate(w, column.Timestamptz, t)
	}
	offset := utcOffset(zone, t)
	local, err := truncate(w, column.Timestamptz, t+offset)
	if err != nil {
		return 0, err
	}
	// Units below a day keep the offset: an hour that clocks show twice is
	// two hours.
	out := local - offset
	if w.unit >= dayUnit {
		out = momentOf(zone, local)
	}
	if !datum.ValidTimestamp(out) {
		return 0, errTimestampRange
	}
	return out, nil
}
