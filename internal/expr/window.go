package expr

import "github.com/millstream-dev/millstream/internal/column"

// Assigner is the part of a window definition that NewWindowCall needs (see
// window.Assigner): Start gives the start of the window that holds a time,
// false if it is out of range; End gives the end of the window at start.
type Assigner interface {
	Start(t int64) (start int64, ok bool)
	End(start int64) int64
}

// NewWindowCall gives the start, or with end the end, of the window that holds
// operand, a timestamp or timestamptz. The type is the operand's. A row whose
// window is out of range fails with 22008.
func NewWindowCall(end bool, assigner Assigner, operand Expr) Expr { panic("being built") }

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

// AsCalendar tells whether e is date_bin or date_trunc with constants for all
// but the time, and gives that time as operand.
func AsCalendar(e Expr) (spec CalendarSpec, operand Expr, ok bool) { return }
