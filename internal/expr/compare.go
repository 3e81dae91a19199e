package expr

import (
	"bytes"
	"cmp"
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/decimal"
)

// comparison is an operator of order.
type comparison struct {
	name string
	doc  string
	// less, equal, greater say for which outcomes it holds.
	less, equal, greater bool
}

var comparisons = []comparison{
	{"=", "equal", false, true, false},
	{"<>", "not equal", true, false, true},
	{"<", "less", true, false, false},
	{"<=", "less or equal", true, true, false},
	{">", "greater", false, false, true},
	{">=", "greater or equal", false, true, true},
}

// holds tells whether the comparison holds for an outcome: -1, 0 or 1.
func (c comparison) holds(order int) bool {
	switch {
	case order < 0:
		return c.less
	case order > 0:
		return c.greater
	}
	return c.equal
}

// comparisonFunctions are = <> < <= > >= on all pairs of types that
// PostgreSQL compares without a cast.
func comparisonFunctions() []*Function {
	var out []*Function
	integers := []column.Kind{column.Int2, column.Int4, column.Int8}
	floats := []column.Kind{column.Float4, column.Float8}
	for _, c := range comparisons {
		pair := func(a, b column.Kind, k kernel) *Function {
			return line(c.name, kinds(a, b), column.Bool, k, c.doc)
		}
		pairs := func(types []column.Kind, k kernel) {
			for _, a := range types {
				for _, b := range types {
					out = append(out, pair(a, b, k))
				}
			}
		}
		same := func(k column.Kind, kernel kernel) { out = append(out, pair(k, k, kernel)) }
		pairs(integers, compareInts(c))
		pairs(floats, compareFloats(c))
		same(column.Bool, compareInts(c))
		same(column.Numeric, compareBy(c, compareDecimals))
		same(column.Text, compareBy(c, compareBytes))
		same(column.UUID, compareBy(c, compareBytes))
		same(column.Bytea, compareBy(c, compareBytes))
		same(column.Time, compareInts(c))
		same(column.Inet, compareBy(c, compareDatums))
		same(column.JSONB, compareBy(c, compareDocuments))
		same(column.Interval, compareBy(c, compareDatums))
		same(column.Date, compareInts(c))
		same(column.Timestamp, compareInts(c))
		same(column.Timestamptz, compareInts(c))
		// The session's time zone is UTC, so a timestamp and the timestamptz
		// it stands for are stored alike.
		out = append(out,
			stable(pair(column.Timestamp, column.Timestamptz, compareInts(c))),
			stable(pair(column.Timestamptz, column.Timestamp, compareInts(c))),
			pair(column.Date, column.Timestamp, compareBy(c, compareDateTimestamp)),
			stable(pair(column.Date, column.Timestamptz, compareBy(c, compareDateTimestamp))),
			pair(column.Timestamp, column.Date, compareBy(c, compareTimestampDate)),
			stable(pair(column.Timestamptz, column.Date, compareBy(c, compareTimestampDate))),
		)
	}
	return out
}

func toInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func compareInts(c comparison) kernel {
	loop := func(holds func(a, b int64) int64) kernel {
		return func(f *frame) {
			a, b, out := f.args[0].Int, f.args[1].Int, f.out.Int
			for _, i := range f.sel {
				out[i] = holds(a[i], b[i])
			}
		}
	}
	switch c.name {
	case "=":
		return func(f *frame) {
			a, b, out := f.args[0].Int, f.args[1].Int, f.out.Int
			for _, i := range f.sel {
				out[i] = toInt(a[i] == b[i])
			}
		}
	case "<>":
		return loop(func(a, b int64) int64 { return toInt(a != b) })
	case "<":
		return loop(func(a, b int64) int64 { return toInt(a < b) })
	case "<=":
		return loop(func(a, b int64) int64 { return toInt(a <= b) })
	case ">":
		return loop(func(a, b int64) int64 { return toInt(a > b) })
	}
	return loop(func(a, b int64) int64 { return toInt(a >= b) })
}

// compareFloats orders as PostgreSQL: NaN equals itself and is greater than
// all else, and -0 equals 0.
func compareFloats(c comparison) kernel {
	return func(f *frame) {
		a, b := f.args[0].Float, f.args[1].Float
		for _, i := range f.sel {
			f.setBool(i, c.holds(orderFloats(a[i], b[i])))
		}
	}
}

func orderFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	return cmp.Compare(toInt(math.IsNaN(a)), toInt(math.IsNaN(b)))
}

// compareBy makes a kernel of a function that orders row i of the two
// arguments.
func compareBy(c comparison, order func(f *frame, i int32) int) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.setBool(i, c.holds(order(f, i)))
		}
	}
}

func compareBytes(f *frame, i int32) int { return bytes.Compare(f.bytes(0, i), f.bytes(1, i)) }

func compareDocuments(f *frame, i int32) int {
	return datum.CompareJSONB(f.bytes(0, i), f.bytes(1, i))
}

func compareDatums(f *frame, i int32) int {
	return datum.Compare(f.args[0], int(i), f.args[1], int(i))
}

func compareDecimals(f *frame, i int32) int {
	x, xScale, ok := decimal.DecodeInt64(f.bytes(0, i))
	y, yScale, alsoOK := decimal.DecodeInt64(f.bytes(1, i))
	if ok && alsoOK && xScale == yScale {
		return cmp.Compare(x, y)
	}
	return f.decimal(0, i).Cmp(f.decimal(1, i))
}

func compareDateTimestamp(f *frame, i int32) int {
	return orderDateTimestamp(f.args[0].Int[i], f.args[1].Int[i])
}

func compareTimestampDate(f *frame, i int32) int {
	return -orderDateTimestamp(f.args[1].Int[i], f.args[0].Int[i])
}

// orderDateTimestamp compares without a cast, so that a date beyond the range
// of timestamps is greater than all finite ones.
func orderDateTimestamp(date, timestamp int64) int {
	switch {
	case date == column.DateInfinity:
		return cmp.Compare(column.Infinity, timestamp)
	case date == column.DateNegInfinity:
		return cmp.Compare(int64(column.NegativeInfinity), timestamp)
	case date >= datum.EndTimestamp/datum.Day:
		if timestamp == column.Infinity {
			return -1
		}
		return 1
	}
	return cmp.Compare(date*datum.Day, timestamp)
}
