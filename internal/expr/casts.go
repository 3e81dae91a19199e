package expr

import (
	"maps"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
)

// castContext says how explicit a cast must be.
type castContext uint8

const (
	implicitCast   castContext = iota // anywhere
	assignmentCast                    // when stored in a column, and explicitly
	explicitCast                      // only as x::type
)

// cast is a way from one type to another. Its function has no kernel if both
// are stored alike.
type cast struct {
	context  castContext
	function *Function
}

// casts are PostgreSQL's casts among our types (pg_cast, and the conversions
// through text that it allows between text and everything).
var casts = buildCasts()

func buildCasts() map[[2]column.Kind]cast {
	const (
		boolean, i2, i4, i8 = column.Bool, column.Int2, column.Int4, column.Int8
		f4, f8, number      = column.Float4, column.Float8, column.Numeric
		text, varchar, doc  = column.Text, column.Varchar, column.JSONB
		date, ts, tz        = column.Date, column.Timestamp, column.Timestamptz
	)
	out := map[[2]column.Kind]cast{}
	add := func(from, to column.Kind, context castContext, k kernel) *Function {
		f := &Function{Name: catalogueName(to), Args: kinds(from), Result: to, class: castClass, kernel: k}
		out[[2]column.Kind{from, to}] = cast{context, f}
		return f
	}
	throughText(add)
	add(boolean, i4, explicitCast, same)
	add(i4, boolean, explicitCast, integerToBool)
	add(boolean, text, assignmentCast, boolToText)
	add(boolean, varchar, assignmentCast, boolToText)
	add(text, varchar, implicitCast, nil)
	add(varchar, text, implicitCast, nil)
	for _, from := range []column.Kind{i2, i4, i8} {
		for _, to := range []column.Kind{i2, i4, i8} {
			if from < to {
				add(from, to, implicitCast, nil)
			} else if from > to {
				add(from, to, assignmentCast, narrowInteger(to))
			}
		}
		add(from, f4, implicitCast, integerToReal)
		add(from, f8, implicitCast, integerToFloat)
		add(from, number, implicitCast, integerToDecimal)
		add(f4, from, assignmentCast, floatToInteger(from))
		add(f8, from, assignmentCast, floatToInteger(from))
		add(number, from, assignmentCast, decimalToInteger(from))
		add(doc, from, explicitCast, jsonToInteger(from))
	}
	add(f4, f8, implicitCast, nil)
	add(f8, f4, assignmentCast, floatToReal)
	add(f4, number, assignmentCast, realToDecimal)
	add(f8, number, assignmentCast, floatToDecimal)
	add(number, f4, implicitCast, decimalToReal)
	add(number, f8, implicitCast, decimalToFloat)
	add(doc, number, explicitCast, jsonToDecimal)
	add(doc, f4, explicitCast, jsonToReal)
	add(doc, f8, explicitCast, jsonToFloat)
	add(doc, boolean, explicitCast, jsonToBool)
	add(date, ts, implicitCast, dateToTimestamp)
	stable(add(date, tz, implicitCast, dateToTimestamp))
	add(ts, date, assignmentCast, timestampToDate)
	stable(add(tz, date, assignmentCast, timestampToDate))
	stable(add(ts, tz, implicitCast, nil))
	stable(add(tz, ts, assignmentCast, nil))
	add(column.Time, column.Interval, implicitCast, timeToInterval)
	add(column.Interval, column.Time, assignmentCast, intervalToTime)
	add(ts, column.Time, assignmentCast, timestampToTime)
	stable(add(tz, column.Time, assignmentCast, timestampToTime))
	add(column.Cidr, column.Inet, implicitCast, nil)
	add(column.Inet, column.Cidr, assignmentCast, networkOf(datum.Network.Network))
	for _, k := range []column.Kind{column.Inet, column.Cidr} {
		add(k, text, assignmentCast, networkToText)
		add(k, varchar, assignmentCast, networkToText)
	}
	castArrays(out, add)
	return out
}

// castArrays adds the casts of arrays: their elements' casts.
func castArrays(scalars map[[2]column.Kind]cast, add func(from, to column.Kind, context castContext, k kernel) *Function) {
	for pair, c := range maps.Clone(scalars) {
		if pair[0].IsArray() || pair[1].IsArray() {
			continue
		}
		var k kernel
		if c.function.kernel != nil {
			k = castElements(c.function.kernel)
		}
		add(column.ArrayOf(pair[0]), column.ArrayOf(pair[1]), c.context, k).Stable = c.function.Stable
	}
}

// throughText adds the casts that use the types' text form: anything becomes
// text by assignment, and text becomes anything when told to.
func throughText(add func(from, to column.Kind, context castContext, k kernel) *Function) {
	for _, k := range column.Values() {
		if k.IsString() {
			continue
		}
		for _, s := range []column.Kind{column.Text, column.Varchar} {
			// The text of a time depends on the session's DateStyle, that of an
			// interval on its IntervalStyle.
			varies := k.IsTime() || k == column.Interval || k.IsArray()
			add(k, s, assignmentCast, toText).Stable = varies
			add(s, k, explicitCast, fromText).Stable = varies || k == column.Time
		}
	}
}

// The casts that apply a type's modifier.
var (
	fitNumeric    = &Function{Name: "numeric", Args: kinds(column.Numeric), Result: column.Numeric, class: castClass, kernel: fitDecimal}
	cutVarchar    = &Function{Name: "varchar", Args: kinds(column.Varchar), Result: column.Varchar, class: castClass, kernel: fitText(true)}
	assignVarchar = &Function{Name: "varchar", Args: kinds(column.Varchar), Result: column.Varchar, class: castClass, kernel: fitText(false)}
)

// fitElements are those for the elements of arrays.
var fitElements = map[*Function]*Function{
	fitNumeric:    overElements(fitNumeric),
	cutVarchar:    overElements(cutVarchar),
	assignVarchar: overElements(assignVarchar),
}

func overElements(f *Function) *Function {
	k := column.ArrayOf(f.Result)
	return &Function{Name: catalogueName(k), Args: kinds(k), Result: k, class: castClass, kernel: castElements(f.kernel)}
}
