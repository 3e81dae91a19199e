package expr

import (
	"math"
	"slices"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

var errInfiniteTimestamps = sqlerr.New(sqlerr.DatetimeFieldOverflow, "cannot subtract infinite timestamps")

// subtractTimestamps is timestamp - timestamp: days of 24 hours, and time.
func subtractTimestamps(f *frame) {
	a, b := f.args[0].Int, f.args[1].Int
	for _, i := range f.sel {
		if !finite(a[i]) || !finite(b[i]) {
			f.fail(i, errInfiniteTimestamps)
			continue
		}
		micros, ok := subtractIntegers(a[i], b[i])
		if !ok {
			f.fail(i, errIntervalRange)
			continue
		}
		f.out.Interval[i] = column.IntervalValue{Micros: micros % datum.Day, Days: int32(micros / datum.Day)}
	}
}

// divideInterval is interval / double.
func divideInterval(f *frame) {
	a, by := f.args[0].Interval, f.args[1].Float
	for _, i := range f.sel {
		if by[i] == 0 {
			f.fail(i, errDivisionByZero)
			continue
		}
		x := by[i]
		v, ok := scaleParts(a[i], func(part float64) float64 { return part / x })
		if !ok {
			f.fail(i, errIntervalRange)
			continue
		}
		f.out.Interval[i] = v
	}
}

// ageKernel is age(timestamp, timestamp): years, months, days and time as a
// calendar counts them.
func ageKernel(f *frame) {
	for _, i := range f.sel {
		v, ok := age(f.args[0].Int[i], f.args[1].Int[i])
		if !ok {
			f.fail(i, errTimestampRange)
			continue
		}
		f.out.Interval[i] = v
	}
}

func age(a, b int64) (column.IntervalValue, bool) {
	if a == column.NegativeInfinity || b == column.NegativeInfinity {
		return column.IntervalValue{}, false
	}
	sign := int64(1)
	if a < b {
		a, b, sign = b, a, -1
	}
	late, early := datum.Civil(a), datum.Civil(b)
	micros := microsOfDay(late) - microsOfDay(early)
	days, months := late.Day-early.Day, (late.Year-early.Year)*12+late.Month-early.Month
	if micros < 0 {
		micros, days = micros+datum.Day, days-1
	}
	if days < 0 {
		// A month as long as the one in which the earlier time lies.
		days, months = days+datum.DaysInMonth(early.Year, early.Month), months-1
	}
	return column.IntervalValue{Micros: sign * micros, Days: int32(sign) * int32(days), Months: int32(sign) * int32(months)}, true
}

// justify makes the parts of an interval even: hours of 24 become days, days
// of 30 become months, and both the same sign as the greater part.
func justify(hours, days bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			v, ok := justified(f.args[0].Interval[i], hours, days)
			if !ok {
				f.fail(i, errIntervalRange)
				continue
			}
			f.out.Interval[i] = v
		}
	}
}

func justified(v column.IntervalValue, hours, days bool) (column.IntervalValue, bool) {
	const daysPerMonth = 30
	micros, d, m := v.Micros, int64(v.Days), int64(v.Months)
	if hours && days && (d > 0 && micros > 0 || d < 0 && micros < 0) {
		// Before the days of the hours are added, lest they overflow.
		m += d / daysPerMonth
		d %= daysPerMonth
	}
	if hours {
		d += micros / datum.Day
		micros %= datum.Day
	}
	if days {
		m += d / daysPerMonth
		d %= daysPerMonth
		switch {
		case m > 0 && (d < 0 || d == 0 && micros < 0 && hours):
			d, m = d+daysPerMonth, m-1
		case m < 0 && (d > 0 || d == 0 && micros > 0 && hours):
			d, m = d-daysPerMonth, m+1
		}
	}
	if hours {
		switch {
		case d > 0 && micros < 0:
			micros, d = micros+datum.Day, d-1
		case d < 0 && micros > 0:
			micros, d = micros-datum.Day, d+1
		}
	}
	if int64(int32(d)) != d || int64(int32(m)) != m {
		return v, false
	}
	return column.IntervalValue{Micros: micros, Days: int32(d), Months: int32(m)}, true
}

// datePartInterval is date_part(unit, interval), a double.
func datePartInterval(f *frame) {
	a := f.args[1].Interval
	for _, i := range f.sel {
		w, v := f.unitOf(0, i), a[i]
		if w.unit == epochUnit {
			f.out.Float[i] = float64(v.Micros)/1e6 + 365.25*86400*float64(v.Months/12) + 30*86400*float64(v.Months%12) + 86400*float64(v.Days)
			continue
		}
		d, err := intervalUnit(w, v)
		if err != nil {
			f.fail(i, err)
			continue
		}
		x, _ := d.Float64() // a few digits: never out of range
		f.out.Float[i] = x
	}
}

// truncInterval is date_trunc(unit, interval).
func truncInterval(f *frame) {
	a := f.args[1].Interval
	for _, i := range f.sel {
		v, err := truncatedInterval(f.unitOf(0, i), a[i])
		if err != nil {
			f.fail(i, err)
			continue
		}
		f.out.Interval[i] = v
	}
}

func truncatedInterval(w unitWord, v column.IntervalValue) (column.IntervalValue, *sqlerr.Error) {
	if size := fixedUnits[w.unit]; size > 0 && w.unit < dayUnit && w.name != "mm" {
		v.Micros -= v.Micros % size
		return v, nil
	}
	if w.name == "mm" {
		return v, unitWord{name: w.name}.unsupported(column.Interval)
	}
	v.Micros = 0
	if w.unit == dayUnit {
		return v, nil
	}
	v.Days = 0
	months := map[unit]int32{monthUnit: 1, quarterUnit: 3, yearUnit: 12, decadeUnit: 120, centuryUnit: 1200, millenniumUnit: 12000}[w.unit]
	if months == 0 {
		return v, w.unsupported(column.Interval)
	}
	v.Months -= v.Months % months
	return v, nil
}

// makeInterval is make_interval(years, months, weeks, days, hours, minutes,
// seconds).
func makeInterval(f *frame) {
	for _, i := range f.sel {
		n := func(arg int) int64 { return f.args[arg].Int[i] }
		seconds := f.args[6].Float[i]
		months, days := n(0)*12+n(1), n(2)*7+n(3)
		micros := n(4)*datum.Hour + n(5)*datum.Minute
		part := math.RoundToEven(seconds * 1e6)
		if int64(int32(months)) != months || int64(int32(days)) != days || !(math.Abs(part) < 1<<63) {
			f.fail(i, errIntervalRange)
			continue
		}
		total, ok := addIntegers(micros, int64(part))
		if !ok {
			f.fail(i, errIntervalRange)
			continue
		}
		f.out.Interval[i] = column.IntervalValue{Micros: total, Days: int32(days), Months: int32(months)}
	}
}

// overlaps is (a, b) OVERLAPS (c, d): periods given by two times in any
// order. An end that is NULL is unknown.
func overlaps(f *frame) {
	for _, i := range f.sel {
		a, okA := f.period(0, i)
		b, okB := f.period(2, i)
		if f.out.Null[i] = !okA || !okB; f.out.Null[i] {
			continue
		}
		if a.start < b.start {
			a, b = b, a
		}
		switch {
		case a.start == b.start:
			f.out.Null[i] = a.open || b.open
			f.out.Int[i] = 1
		case b.open:
			f.out.Null[i] = true
		case a.start < b.end:
			f.out.Int[i] = 1
		default:
			f.out.Null[i], f.out.Int[i] = a.open, 0
		}
	}
}

// period is a time from start to end; open tells that the end is unknown.
type period struct {
	start, end int64
	open       bool
}

// period reads two arguments; it isn't ok if nothing is known.
func (f *frame) period(arg int, i int32) (p period, ok bool) {
	start, end := f.args[arg], f.args[arg+1]
	p = period{start: start.Int[i], end: end.Int[i]}
	switch {
	case start.Null[i] && end.Null[i]:
		return p, false
	case start.Null[i]:
		return period{start: p.end, open: true}, true
	case end.Null[i]:
		p.open = true
	case p.start > p.end:
		p.start, p.end = p.end, p.start
	}
	return p, true
}

// withEnds writes OVERLAPS on lengths as OVERLAPS on times, as PostgreSQL
// does: (a, b) becomes (a, a + b).
func withEnds(call *Call) *Call {
	kind := call.Args[0].Type().Kind
	args := append([]Expr(nil), call.Args...)
	for _, i := range []int{1, 3} {
		if args[i].Type().Kind == column.Interval {
			args[i] = &Call{Function: exactly("+", kind, column.Interval), Args: []Expr{call.Args[i-1], call.Args[i]}, T: column.Of(kind)}
		}
	}
	return &Call{Function: exactly(call.Function.Name, kind, kind, kind, kind), Args: args, T: call.T}
}

// exactly finds the overload with these arguments.
func exactly(name string, args ...column.Kind) *Function {
	for _, f := range functions.byName[name] {
		if slices.Equal(f.Args, args) {
			return f
		}
	}
	return nil
}
