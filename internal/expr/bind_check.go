package expr

import "github.com/millstream-dev/millstream/internal/column"

// checkFolded refuses intervals that aren't constant, and checks the time
// zones and units that are.
func checkFolded(e Expr) error {
	if _, constant := e.(*Const); !constant && e.Type().Kind == column.Interval {
		return intervalProblem()
	}
	call, ok := e.(*Call)
	if !ok || call.Function.class != scalarClass {
		return nil
	}
	switch call.Function.Name {
	case "timezone":
		return checkZone(call.Args[0])
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
