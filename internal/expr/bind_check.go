package expr

import (
	"fmt"

	"github.com/millstream-dev/millstream/internal/column"
)

// checkFolded checks the time zones and units that are constants, and demands
// that zones are.
func checkFolded(e Expr) error {
	call, ok := e.(*Call)
	if !ok || call.Function.class != scalarClass {
		return nil
	}
	switch call.Function.Name {
	case "timezone":
		if call.Args[0].Type().Kind != column.Interval {
			return checkZone(call.Args[0])
		}
	case "make_timestamptz":
		if len(call.Args) == 7 {
			return checkZoneName(call.Args[6])
		}
	case "date_trunc", "date_part", "extract":
		if len(call.Args) == 3 {
			if err := checkZone(call.Args[2]); err != nil {
				return err
			}
		}
		return checkUnit(call)
	}
	return nil
}

// checkUnit checks a constant unit: a wrong one would fail all rows.
func checkUnit(call *Call) error {
	word := constValue(call.Args[0])
	if word == nil {
		return nil
	}
	w, kind := parseUnit(word.Bytes(0)), call.Args[1].Type().Kind
	truncates := call.Function.Name == "date_trunc"
	if truncates && w.truncates(kind) == nil || !truncates && w.unit.has(kind) {
		return nil
	}
	d := problem(codeUnknownUnit, w.unsupported(kind).Message, "units are second, minute, hour, day, week, month, quarter, year, …")
	if kind == column.Date {
		d.Hint = "a date has units from day on: day, week, month, quarter, year, dow, doy, epoch, …"
	}
	return d
}

// checkZoneName takes only a zone that begins with a letter: make_timestamptz
// reads offsets in a way of its own.
func checkZoneName(e Expr) error {
	zone := constValue(e)
	if zone != nil && !zone.Null[0] {
		if text := zone.Bytes(0); len(text) == 0 || text[0]|0x20 < 'a' || text[0]|0x20 > 'z' {
			return problem(codeUnknownZone, fmt.Sprintf("the time zone \"%s\" is not a name", text), "zones have names such as 'Europe/Paris' and 'UTC'")
		}
	}
	return checkZone(e)
}

// checkZone demands a constant that names a time zone: a name that is wrong
// would fail all rows.
func checkZone(e Expr) error {
	zone := constValue(e)
	if zone == nil {
		return problem(codeConstantRequired, "the time zone must be a constant", "write AT TIME ZONE 'Europe/Paris'")
	}
	if _, err := loadZone(string(zone.Bytes(0))); err != nil {
		return problem(codeUnknownZone, err.Message, "zones have names such as 'Europe/Paris' and 'UTC'; abbreviations of daylight saving are not taken")
	}
	return nil
}
