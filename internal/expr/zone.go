package expr

import (
	"bytes"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// loadZone finds a time zone by its name, in upper or lower case.
func loadZone(name string) (*time.Location, *sqlerr.Error) {
	if zone, ok := datum.LoadZone(name); ok {
		return zone, nil
	}
	return nil, sqlerr.New(sqlerr.InvalidTimeZone, "time zone \"%s\" not recognized", name)
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

// momentOf gives the moment when clocks of a zone show local.
func momentOf(zone *time.Location, local int64) int64 {
	return local - int64(datum.OffsetAtLocal(zone, unixMicros(local).Unix()))*datum.Second
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
		return t, nil
	}
	if err := w.truncates(column.Timestamptz); err != nil {
		return 0, err
	}
	offset := utcOffset(zone, t)
	local := truncateFinite(w.unit, t+offset)
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
