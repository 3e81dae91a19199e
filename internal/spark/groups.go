package spark

import (
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

// A row from an executor is an array of texts, `cells`. Its layout, which
// Rows writes and the columns here read:
//
//	0 event time, microseconds since 1970   1 t: the view takes the row
//	rows:   2… one for each output
//	groups: 2 window_start, microseconds since 2000   3 window_end, since 1970
//	        4 the group's key in one text   5… keys, then arguments
const (
	rowsFirst      = 2
	groupCell      = 4
	groupedFirst   = 5
	eventTimeSQL   = "timestamp_micros(CAST(get(cells, 0) AS BIGINT))"
	keptSQL        = "get(cells, 1) = 't'"
	windowStartSQL = "CAST(get(cells, 2) AS BIGINT)"
	windowEndSQL   = "timestamp_micros(CAST(get(cells, 3) AS BIGINT))"
)

func cellSQL(i int) string { return fmt.Sprintf("get(cells, %d)", i) }

// describeGroups prints a grouped view's aggregation for Spark.
func describeGroups(q *Query, v *plan.View) {
	q.Columns = []Cell{{"event_time", eventTimeSQL}, {"kept", keptSQL}}
	var group, out []string
	if v.Window != nil {
		q.Columns = append(q.Columns, Cell{"window_start", windowStartSQL}, Cell{"window_end", windowEndSQL})
		group = append(group, "window_start", "window_end")
		q.Stage = append(q.Stage, "CAST(window_start AS STRING)", "CAST(unix_micros(window_end) - 946684800000000 AS STRING)")
	}
	keys := make([]string, len(v.GroupKeys))
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d", i)
		q.Columns = append(q.Columns, Cell{keys[i], cellSQL(groupedFirst + i)})
	}
	if len(keys) > 0 {
		if textual(v.GroupKeys) {
			group = append(group, keys...)
			q.Stage = append(q.Stage, keys...)
		} else {
			q.Columns = append(q.Columns, Cell{"g", cellSQL(groupCell)})
			group = append(group, "g")
			out = append(out, "min_by(array("+strings.Join(keys, ", ")+"), struct(_source, _partition, _offset)) AS ks")
			for i := range keys {
				q.Stage = append(q.Stage, fmt.Sprintf("ks[%d]", i))
			}
		}
	}
	out = append(append([]string{}, group...), out...)
	for i, a := range v.Aggs {
		value := fmt.Sprintf("v%d", i)
		q.Columns = append(q.Columns, Cell{value, argumentSQL(a, cellSQL(groupedFirst+len(keys)+i))})
		for _, part := range parts(a) {
			name := fmt.Sprintf("%s%d", part.prefix, i)
			out = append(out, fmt.Sprintf("%s(%s) AS %s", part.function, value, name))
			q.Stage = append(q.Stage, "CAST("+name+" AS STRING)")
		}
	}
	q.SQL = "SELECT " + strings.Join(out, ", ") + " FROM rows"
	if len(group) > 0 {
		q.SQL += " GROUP BY " + strings.Join(group, ", ")
	}
}

// textual tells keys that are equal exactly when their texts are. Others are
// grouped by a canonical form, and printed as the least (source, partition,
// offset) has them.
func textual(keys []column.Type) bool {
	for _, t := range keys {
		if t.Kind.Images() {
			return false
		}
	}
	return true
}

// part is one of Spark's aggregates of which an aggregate of ours is made.
type part struct{ prefix, function string }

func parts(a plan.Agg) []part {
	switch a.Kind {
	case expr.CountStar, expr.Count:
		return []part{{"a", "count"}}
	case expr.Sum:
		return []part{{"a", "sum"}}
	case expr.Avg:
		return []part{{"a", "sum"}, {"n", "count"}}
	case expr.Min:
		return []part{{"a", "min"}}
	case expr.Max:
		return []part{{"a", "max"}}
	case expr.BoolAnd:
		return []part{{"a", "bool_and"}}
	case expr.BoolOr:
		return []part{{"a", "bool_or"}}
	case expr.ApproxCountDistinct:
		return []part{{"a", "approx_count_distinct"}}
	}
	return nil
}

// argumentSQL gives an aggregate's argument its type in Spark. Times go as
// numbers, so that Spark's calendar and time zones have no part in them.
func argumentSQL(a plan.Agg, cell string) string {
	if a.Kind == expr.CountStar || a.Kind == expr.Count || a.Kind == expr.ApproxCountDistinct {
		return cell
	}
	return "CAST(" + cell + " AS " + sparkType(a.Arg) + ")"
}

func sparkType(t column.Type) string {
	switch t.Kind {
	case column.Bool:
		return "BOOLEAN"
	case column.Int2, column.Int4, column.Date, column.Timestamp, column.Timestamptz:
		return "BIGINT"
	case column.Int8:
		return "DECIMAL(19, 0)"
	case column.Float4, column.Float8:
		return "DOUBLE"
	case column.Numeric:
		return fmt.Sprintf("DECIMAL(%d, %d)", t.Precision, t.Scale)
	}
	return "STRING"
}

// maxSummed is the greatest precision of a numeric whose sum Spark holds: a
// sum has ten digits more, and its decimal 38 in all.
const maxSummed = 28

// aggregateRefusal says why Spark can't compute an aggregate as PostgreSQL
// does; empty where it can.
func aggregateRefusal(a plan.Agg) string {
	if a.Distinct {
		return fmt.Sprintf("%s(DISTINCT …): Spark has no aggregates over different values on streams, but approx_count_distinct", a.Kind)
	}
	if a.Kind == expr.ApproxCountDistinct {
		if !textual([]column.Type{a.Arg}) {
			return fmt.Sprintf("approx_count_distinct of %s, whose equal values can print differently: Spark would count their texts; cast it to text or bigint", a.Arg)
		}
		return ""
	}
	if parts(a) == nil {
		return fmt.Sprintf("%s has no form on Spark that gives PostgreSQL's answer", a.Kind)
	}
	if (a.Kind == expr.Min || a.Kind == expr.Max) && a.Arg.Kind == column.Inet {
		return fmt.Sprintf("%s of %s: Spark would compare the texts", a.Kind, a.Arg)
	}
	if a.Arg.Kind != column.Numeric || a.Kind == expr.Count {
		return ""
	}
	switch t := a.Arg; {
	case t.Precision == 0:
		return fmt.Sprintf("%s of a numeric without precision: Spark's decimal has at most 38 digits; cast the argument to numeric(p, s)", a.Kind)
	case t.Scale < 0 || t.Scale > t.Precision:
		return fmt.Sprintf("%s of %s: Spark's decimal needs a scale from 0 to the precision", a.Kind, t)
	case t.Precision > maxSummed:
		return fmt.Sprintf("%s of %s: Spark's decimal has at most 38 digits, so sums need a precision of at most %d", a.Kind, t, maxSummed)
	}
	return ""
}
