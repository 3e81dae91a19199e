package expr

import (
	"github.com/millstream-dev/millstream/internal/column"
)

// Assigner is the part of a window definition that NewWindowCall needs (see
// window.Assigner): Start gives the start of the window that holds a time,
// false if it is out of range; End gives the end of the window at start.
type Assigner interface {
	Start(t int64) (start int64, ok bool)
	End(start int64) int64
}

type windowFunction struct {
	end      bool
	assigner Assigner
}

// NewWindowCall gives the start, or with end the end, of the window that holds
// operand, a timestamp or timestamptz. The type is the operand's. A row whose
// window is out of range fails with 22008, also one at infinity.
func NewWindowCall(end bool, assigner Assigner, operand Expr) Expr {
	w := &windowFunction{end, assigner}
	kind := operand.Type().Kind
	f := &Function{Name: "window_start", Args: kinds(kind), Result: kind, class: internalClass, kernel: w.kernel, window: w}
	if end {
		f.Name = "window_end"
	}
	return &Call{Function: f, Args: []Expr{operand}, T: operand.Type()}
}

// AsWindowCall tells whether e is a call that NewWindowCall has made, and by
// which windows.
func AsWindowCall(e Expr) (assigner Assigner, ok bool) {
	call, is := e.(*Call)
	if !is || call.Function.window == nil {
		return nil, false
	}
	return call.Function.window.assigner, true
}

func (w *windowFunction) kernel(f *frame) {
	a, out := f.args[0].Int, f.out.Int
	for _, i := range f.sel {
		if !finite(a[i]) {
			f.fail(i, errTimestampRange)
			continue
		}
		start, ok := w.assigner.Start(a[i])
		if !ok {
			f.fail(i, errTimestampRange)
			continue
		}
		if out[i] = start; w.end {
			out[i] = w.assigner.End(start)
		}
	}
}

// CalendarSpec is a window written as one of PostgreSQL's time buckets.
type CalendarSpec struct {
	// Function is "date_bin" or "date_trunc".
	Function string
	// Stride and Origin are date_bin's, the origin in stored microseconds.
	Stride column.IntervalValue
	Origin int64
	// Unit is date_trunc's in lower case and singular as PostgreSQL names it:
	// microseconds, milliseconds, second, minute, hour, day, week, month,
	// quarter, year, decade, century, millennium.
	Unit string
	// Zone is the time zone of date_trunc over a timestamptz, "UTC" when not
	// written; empty over a timestamp.
	Zone string
}

// AsCalendar tells whether e is date_bin or date_trunc with valid constants
// for all but the time, and gives that time as operand.
func AsCalendar(e Expr) (spec CalendarSpec, operand Expr, ok bool) {
	call, isCall := e.(*Call)
	if !isCall || call.Function.class != scalarClass || call.T.Kind == column.Interval {
		return CalendarSpec{}, nil, false
	}
	switch call.Function.Name {
	case "date_bin":
		return binSpec(call)
	case "date_trunc":
		return truncSpec(call)
	}
	return CalendarSpec{}, nil, false
}

func binSpec(call *Call) (spec CalendarSpec, operand Expr, ok bool) {
	stride, origin := constValue(call.Args[0]), constValue(call.Args[2])
	if stride == nil || origin == nil {
		return spec, nil, false
	}
	spec = CalendarSpec{Function: "date_bin", Stride: stride.Interval[0], Origin: origin.Int[0]}
	if _, err := bin(spec.Stride, spec.Origin, spec.Origin); err != nil || !finite(spec.Origin) {
		return spec, nil, false
	}
	return spec, call.Args[1], true
}

func truncSpec(call *Call) (spec CalendarSpec, operand Expr, ok bool) {
	word := constValue(call.Args[0])
	if word == nil {
		return spec, nil, false
	}
	spec = CalendarSpec{Function: "date_trunc", Unit: unitLabels[parseUnit(word.Bytes(0)).unit]}
	if call.T.Kind == column.Timestamptz {
		spec.Zone = "UTC"
	}
	if len(call.Args) == 3 {
		zone := constValue(call.Args[2])
		if zone == nil {
			return spec, nil, false
		}
		location, err := loadZone(string(zone.Bytes(0)))
		if err != nil {
			return spec, nil, false
		}
		spec.Zone = location.String()
	}
	return spec, call.Args[1], spec.Unit != ""
}

// constValue gives a constant that isn't NULL, nil for anything else.
func constValue(e Expr) *column.Vector {
	if c, ok := e.(*Const); ok && !c.Value.Null[0] {
		return c.Value
	}
	return nil
}
