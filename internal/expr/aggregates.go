package expr

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
)

// aggregateRule is one line of the aggregates' table: which argument type an
// aggregate takes, and what it gives.
type aggregateRule struct {
	name   string
	kind   AggregateKind
	arg    column.Kind // Invalid: none or any
	result column.Kind // Invalid: the argument's
	doc    string
}

var aggregates = buildAggregates()

func buildAggregates() []aggregateRule {
	const (
		i2, i4, i8, number = column.Int2, column.Int4, column.Int8, column.Numeric
		f4, f8, boolean    = column.Float4, column.Float8, column.Bool
	)
	out := []aggregateRule{
		{"count", CountStar, column.Invalid, i8, "number of rows"},
		{"count", Count, column.Invalid, i8, "number of rows where the argument isn't NULL"},
		{"sum", Sum, i2, i8, "sum"},
		{"sum", Sum, i4, i8, "sum"},
		{"sum", Sum, i8, number, "sum, exact"},
		{"sum", Sum, number, number, "sum, exact"},
		{"sum", Sum, f4, f4, "sum, the same in whatever order rows come"},
		{"sum", Sum, f8, f8, "sum, the same in whatever order rows come"},
		{"avg", Avg, i2, number, "mean, exact"},
		{"avg", Avg, i4, number, "mean, exact"},
		{"avg", Avg, i8, number, "mean, exact"},
		{"avg", Avg, number, number, "mean, exact"},
		{"avg", Avg, f4, f8, "mean, the same in whatever order rows come"},
		{"avg", Avg, f8, f8, "mean, the same in whatever order rows come"},
		{"bool_and", BoolAnd, boolean, boolean, "true if all are true"},
		{"every", BoolAnd, boolean, boolean, "true if all are true"},
		{"bool_or", BoolOr, boolean, boolean, "true if any is true"},
	}
	for _, k := range []column.Kind{i2, i4, i8, f4, f8, number, column.Text, column.Date, column.Timestamp, column.Timestamptz, column.Time, column.Inet} {
		out = append(out,
			aggregateRule{"min", Min, k, k, "least"},
			aggregateRule{"max", Max, k, k, "greatest"})
	}
	for _, v := range []struct {
		kind  AggregateKind
		names []string
		doc   string
	}{
		{VarPop, []string{"var_pop"}, "variance of all values"},
		{VarSamp, []string{"var_samp", "variance"}, "variance of a sample; NULL for one value"},
		{StddevPop, []string{"stddev_pop"}, "standard deviation of all values"},
		{StddevSamp, []string{"stddev_samp", "stddev"}, "standard deviation of a sample; NULL for one value"},
	} {
		for _, name := range v.names {
			for _, k := range []column.Kind{i2, i4, i8, number} {
				out = append(out, aggregateRule{name, v.kind, k, number, v.doc + ", exact"})
			}
			for _, k := range []column.Kind{f4, f8} {
				out = append(out, aggregateRule{name, v.kind, k, f8, v.doc + ", the same in whatever order rows come"})
			}
		}
	}
	for _, k := range []column.Kind{i2, i4, i8} {
		out = append(out,
			aggregateRule{"bit_and", BitAnd, k, k, "bits that all values have"},
			aggregateRule{"bit_or", BitOr, k, k, "bits that some value has"},
			aggregateRule{"bit_xor", BitXor, k, k, "bits that an odd number of values have"})
	}
	return append(out,
		aggregateRule{"first_value", FirstValue, column.Invalid, column.Invalid, "argument at the row with the least event time, NULL or not; of several the one with the least source, partition and offset"},
		aggregateRule{"last_value", LastValue, column.Invalid, column.Invalid, "argument at the row with the greatest event time, NULL or not; of several the one with the greatest source, partition and offset"},
		aggregateRule{"string_agg", StringAgg, column.Text, column.Text, "texts one after the other, the separator between them"},
		aggregateRule{"jsonb_agg", JSONBAgg, column.Invalid, column.JSONB, "array of values, NULLs included"},
		aggregateRule{"jsonb_object_agg", JSONBObjectAgg, column.Invalid, column.JSONB, "object of keys and values; of equal keys the last row's value counts, a row whose key is NULL fails"},
		aggregateRule{"percentile_cont", PercentileCont, f8, f8, "percentile, between two values if need be"},
		aggregateRule{"percentile_disc", PercentileDisc, column.Invalid, column.Invalid, "percentile, one of the values"},
		aggregateRule{"mode", Mode, column.Invalid, column.Invalid, "most frequent value; of several the first in order"},
		aggregateRule{"approx_count_distinct", ApproxCountDistinct, column.Invalid, i8, "about how many different values; up to 64 exact, beyond with a standard error of 1.6 %"},
		aggregateRule{"approx_percentile", ApproxPercentile, f8, f8, "percentile: a value that is off by less than 0.4 % from `percentile_disc`'s"})
}

// String is the aggregate's name in SQL.
func (k AggregateKind) String() string {
	for _, a := range aggregates {
		if a.kind == k {
			return a.name
		}
	}
	return fmt.Sprintf("aggregate(%d)", uint8(k))
}

// laterAggregates are PostgreSQL's other aggregates: known, so that the
// message can say that they are not supported.
var laterAggregates = map[string]bool{
	"array_agg": true, "json_agg": true, "json_object_agg": true, "corr": true, "covar_pop": true, "covar_samp": true,
	"any_value": true, "xmlagg": true, "range_agg": true, "regr_slope": true, "regr_intercept": true,
}

// aggregateNames are the names of the table in its order.
func aggregateNames() []string {
	var out []string
	for _, a := range aggregates {
		if !slices.Contains(out, a.name) {
			out = append(out, a.name)
		}
	}
	return out
}

func isAggregate(name string) bool {
	for _, a := range aggregates {
		if a.name == name {
			return true
		}
	}
	return false
}

// aggregate binds a call of an aggregate function.
func (b *binding) aggregate(name string, n *pg_query.FuncCall) (Expr, error) {
	if err := b.aggregateAllowed(name, n); err != nil {
		return nil, err
	}
	b.inAggregate = true
	defer func() { b.inAggregate = false }()
	out := &Aggregate{Offset: n.Location}
	if n.AggFilter != nil {
		filter, err := b.condition(n.AggFilter, "FILTER")
		if err != nil {
			return nil, err
		}
		out.Filter = filter
	}
	if n.AggStar {
		if name != "count" {
			return nil, b.at(n.Location, problem(codeAggregateForm, fmt.Sprintf("%s(*) does not exist", name), "only count takes *"))
		}
		out.Kind, out.T = CountStar, column.Of(column.Int8)
		return out, nil
	}
	if _, ok := orderedForms[name]; ok {
		if err := b.ordered(out, name, n); err != nil {
			return nil, err
		}
		return out, nil
	}
	if len(n.Args) != 1 {
		return nil, b.at(n.Location, problem(codeAggregateForm, fmt.Sprintf("%s takes one argument", name), ""))
	}
	arg, err := b.bind(n.Args[0])
	if err != nil {
		return nil, err
	}
	err = b.at(n.Location, out.chooseRule(name, arg))
	out.Distinct = n.AggDistinct && !repeatable[out.Kind]
	return out, err
}

// repeatable are the aggregates that give the same however often a value
// comes: DISTINCT changes nothing of them.
var repeatable = map[AggregateKind]bool{Min: true, Max: true, BoolAnd: true, BoolOr: true, BitAnd: true, BitOr: true, ApproxCountDistinct: true}

// chooseRule finds the aggregate's overload for an argument.
func (e *Aggregate) chooseRule(name string, arg Expr) error {
	switch name {
	case "count":
		typed, err := unknownToText(arg)
		e.Kind, e.T, e.Arg = Count, column.Of(column.Int8), typed
		return err
	case "approx_count_distinct":
		typed, err := unknownToText(arg)
		e.Kind, e.T, e.Arg = ApproxCountDistinct, column.Of(column.Int8), typed
		return err
	case "first_value", "last_value":
		typed, err := unknownToText(arg)
		if e.Kind = FirstValue; name == "last_value" {
			e.Kind = LastValue
		}
		e.Arg = typed
		if err == nil {
			e.T = typed.Type()
		}
		return err
	}
	var list []candidate
	rules := map[*Function]aggregateRule{}
	for _, a := range aggregates {
		if a.name == name {
			f := &Function{}
			rules[f] = a
			list = append(list, candidate{[]typeID{typeID(a.arg)}, f})
		}
	}
	args := []typeID{typeID(arg.Type().Kind)}
	chosen, ok := exactMatch(list, args)
	if !ok {
		all := append(list, foreignAggregates(name)...)
		var how outcome
		if chosen, how = chooseBest(all, args); how != found || chosen.function == nil {
			return aggregateProblem(name, arg.Type().Kind, how)
		}
	}
	rule := rules[chosen.function]
	typed, err := coerceTo(arg, column.Of(rule.arg), implicitCast)
	e.Kind, e.T, e.Arg = rule.kind, column.Of(rule.result), typed
	return err
}

func aggregateProblem(name string, arg column.Kind, how outcome) error {
	if how == ambiguous {
		return problem(codeAmbiguous, fmt.Sprintf("function %s(%s) is not unique", name, arg.Name()), "give the literal a type")
	}
	var types []string
	for _, a := range aggregates {
		if a.name == name {
			types = append(types, a.arg.Name())
		}
	}
	d := problem(codeUnknownFunction, fmt.Sprintf("function %s(%s) does not exist", name, arg.Name()), "cast the argument")
	d.Detail = name + " takes " + strings.Join(types, ", ")
	return d
}

// foreignAggregates are the overloads that take types this engine has not.
func foreignAggregates(name string) []candidate {
	ids := map[string]typeID{}
	for i, f := range foreignTypes {
		ids[f.name] = foreignBase + typeID(i)
	}
	out := []candidate{}
	for _, s := range strings.Fields(foreignFunctions[name]) {
		if id, ok := ids[s]; ok {
			out = append(out, candidate{[]typeID{id}, nil})
		}
	}
	if name == "sum" || name == "avg" || name == "min" || name == "max" {
		out = append(out, candidate{[]typeID{typeID(column.Interval)}, nil})
	}
	return out
}

// aggregateAllowed checks the place and the form of a call.
func (b *binding) aggregateAllowed(name string, n *pg_query.FuncCall) error {
	var d error
	switch {
	case laterAggregates[name]:
		d = problem(codeAggregateForm, fmt.Sprintf("the aggregate %s is not supported", name), "supported are "+strings.Join(aggregateNames(), ", "))
	case n.Over != nil:
		d = problem(codeAggregateForm, fmt.Sprintf("window functions (%s(…) OVER) are not supported", name), "group by a time window instead: FROM tumble(…) GROUP BY window_start")
	case n.AggDistinct && (name == "first_value" || name == "last_value"):
		d = problem(codeAggregateForm, fmt.Sprintf("DISTINCT inside %s has no meaning: it takes one row's value", name), "leave it out")
	case (len(n.AggOrder) > 0 || n.AggWithinGroup) && orderedForms[name].form == "":
		d = problem(codeAggregateForm, fmt.Sprintf("ORDER BY inside %s is not supported", name), "the result doesn't depend on the order; leave it out")
	case b.inAggregate:
		d = problem(codeAggregate, "aggregate function calls cannot be nested", "")
	case !b.Aggregates && b.Clause != "":
		d = problem(codeAggregate, fmt.Sprintf("aggregate functions are not allowed in %s", b.Clause), "put the condition on a group into HAVING")
	case !b.Aggregates:
		d = problem(codeAggregate, "aggregate functions are not allowed here", "")
	}
	if d == nil {
		return nil
	}
	return b.at(n.Location, d)
}
