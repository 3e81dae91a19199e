package expr

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
)

// orderedForms are the aggregates that put rows in an order: lists, which take
// ORDER BY behind their arguments, and those over sorted values, which take
// WITHIN GROUP (ORDER BY x), but for approx_percentile, which has Spark's form.
var orderedForms = map[string]struct {
	kind   AggregateKind
	args   int
	within bool
	form   string
}{
	"string_agg":       {StringAgg, 2, false, "string_agg(x, ', ' ORDER BY y)"},
	"jsonb_agg":        {JSONBAgg, 1, false, "jsonb_agg(x ORDER BY y)"},
	"jsonb_object_agg": {JSONBObjectAgg, 2, false, "jsonb_object_agg(key, value ORDER BY y)"},
	"percentile_cont":  {PercentileCont, 1, true, "percentile_cont(0.5) WITHIN GROUP (ORDER BY x)"},
	"percentile_disc":  {PercentileDisc, 1, true, "percentile_disc(0.5) WITHIN GROUP (ORDER BY x)"},
	"mode":             {Mode, 0, true, "mode() WITHIN GROUP (ORDER BY x)"},

	"approx_percentile": {ApproxPercentile, 2, false, "approx_percentile(x, 0.9)"},
}

// ordered binds a call of an aggregate of orderedForms into out.
func (b *binding) ordered(out *Aggregate, name string, n *pg_query.FuncCall) error {
	f := orderedForms[name]
	out.Kind = f.kind
	sketch := f.kind == ApproxPercentile
	if len(n.Args) != f.args || n.AggWithinGroup != f.within || f.within && len(n.AggOrder) != 1 || sketch && (n.AggDistinct || len(n.AggOrder) > 0) {
		return b.at(n.Location, problem(codeAggregateForm, fmt.Sprintf("%s is not called so", name), "write "+f.form))
	}
	args, err := b.all(n.Args)
	if err != nil {
		return err
	}
	order, err := b.aggregateOrder(out, n)
	if err != nil {
		return err
	}
	switch {
	case sketch:
		return b.at(n.Location, out.sorted(name, args[1:], args[0]))
	case f.within:
		out.Desc, out.Order = out.Order[0].Desc, nil
		return b.at(n.Location, out.sorted(name, args, order[0]))
	}
	if err := b.listArguments(out, args, n); err != nil {
		return err
	}
	out.More = order
	if n.AggDistinct {
		return b.at(n.Location, out.differentItems(name, args[0]))
	}
	return nil
}

// aggregateOrder binds the ORDER BY of an aggregate, and notes its directions
// in out.
func (b *binding) aggregateOrder(out *Aggregate, n *pg_query.FuncCall) ([]Expr, error) {
	var exprs []Expr
	for _, node := range n.AggOrder {
		s := node.GetSortBy()
		e, err := b.bind(s.GetNode())
		if err == nil {
			e, err = unknownToText(e)
		}
		if err == nil && len(s.GetUseOp()) > 0 {
			err = problem(codeAggregateForm, "ORDER BY … USING is not supported", "write ORDER BY x or ORDER BY x DESC")
		}
		if err == nil && !datum.Ordered(e.Type().Kind) {
			err = problem(codeAggregateForm, fmt.Sprintf("ORDER BY of %s is not supported inside an aggregate", e.Type().Kind), "order by a part of it that is a text or a number: doc ->> 'k'")
		}
		if err != nil {
			return nil, b.at(nodeOffset(s.GetNode()), err)
		}
		desc := s.GetSortbyDir() == pg_query.SortByDir_SORTBY_DESC
		first := desc
		switch s.GetSortbyNulls() {
		case pg_query.SortByNulls_SORTBY_NULLS_FIRST:
			first = true
		case pg_query.SortByNulls_SORTBY_NULLS_LAST:
			first = false
		}
		exprs = append(exprs, e)
		out.Order = append(out.Order, SortOrder{Desc: desc, NullsFirst: first})
	}
	return exprs, nil
}

// listArguments sets what one row adds to a list: a text, or a JSON array or object that
// holds it alone.
func (b *binding) listArguments(out *Aggregate, args []Expr, n *pg_query.FuncCall) error {
	var err error
	switch out.Kind {
	case StringAgg:
		out.T = column.Of(column.Text)
		return b.at(n.Location, out.text(args))
	case JSONBAgg:
		out.Arg, err = b.function("jsonb_build_array", args, n)
	default:
		out.Arg, err = b.function("jsonb_build_object", args, n)
	}
	out.T = column.Of(column.JSONB)
	return err
}

// text sets the argument and the separator of string_agg.
func (e *Aggregate) text(args []Expr) error {
	for _, a := range args {
		if k := a.Type().Kind; !k.IsString() && k != column.Unknown {
			d := problem(codeUnknownFunction, fmt.Sprintf("function string_agg(%s, %s) does not exist", args[0].Type().Kind, args[1].Type().Kind), "cast the argument: x::text")
			d.Detail = "string_agg takes text, text"
			return d
		}
	}
	arg, err := coerceTo(args[0], column.Of(column.Text), implicitCast)
	if err != nil {
		return err
	}
	separator, err := coerceTo(args[1], column.Of(column.Text), implicitCast)
	if err != nil {
		return err
	}
	if separator, err = fold(separator); err != nil {
		return err
	}
	c, ok := separator.(*Const)
	if !ok {
		return problem(codeConstantRequired, "the separator of string_agg must be a constant", "join it to the text: string_agg(x || y, '')")
	}
	e.Arg = arg
	if !c.Value.Null[0] { // nothing is put between for NULL
		e.Separator = string(c.Value.Bytes(0))
	}
	return nil
}

// differentItems makes a list one of different values: in their order, as in
// PostgreSQL the ORDER BY may say the direction only.
func (e *Aggregate) differentItems(name string, arg Expr) error {
	arg, err := unknownToText(arg)
	switch {
	case err != nil:
		return err
	case e.Kind == JSONBObjectAgg:
		return problem(codeAggregateForm, "DISTINCT inside jsonb_object_agg is not supported", "leave it out: of equal keys the last row's value counts")
	case !datum.Ordered(arg.Type().Kind) || arg.Type().Kind.Images():
		return problem(codeAggregateForm, fmt.Sprintf("DISTINCT %s inside %s is not supported: equal values can print differently", arg.Type().Kind, name), "cast it to bigint or text")
	case len(e.More) > 1 || len(e.More) == 1 && !Equal(e.More[0], arg):
		return problem(codeAggregateForm, "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list", fmt.Sprintf("order by the argument, or leave DISTINCT or ORDER BY out of %s", name))
	case len(e.More) == 0:
		e.More, e.Order = []Expr{arg}, []SortOrder{{}}
	}
	e.Distinct = true
	return nil
}

// sorted sets an aggregate over sorted values.
func (e *Aggregate) sorted(name string, args []Expr, arg Expr) error {
	if len(args) > 0 {
		if err := e.fraction(name, args[0]); err != nil {
			return err
		}
	}
	kind := arg.Type().Kind
	e.Arg, e.T = arg, column.Of(kind)
	switch {
	case kind == column.Interval:
		return problem(codeAggregateForm, fmt.Sprintf("%s over intervals is not supported", name), "take the seconds: extract(epoch FROM x)")
	case e.Kind == PercentileDisc || e.Kind == Mode:
		return nil
	case !kind.IsNumber():
		d := problem(codeUnknownFunction, fmt.Sprintf("%s over %s does not exist", name, kind), "percentile_disc takes any value that can be ordered")
		d.Detail = name + " is over double precision"
		return d
	}
	var err error
	e.T = column.Of(column.Float8)
	e.Arg, err = coerceTo(arg, e.T, implicitCast)
	return err
}

// fraction sets which percentile is wanted.
func (e *Aggregate) fraction(name string, arg Expr) error {
	arg, err := coerceTo(arg, column.Of(column.Float8), implicitCast)
	if err != nil {
		return problem(codeAggregateForm, fmt.Sprintf("%s takes one number from 0 to 1", name), "several percentiles are several columns")
	}
	if arg, err = fold(arg); err != nil {
		return err
	}
	c, ok := arg.(*Const)
	if !ok || c.Value.Null[0] {
		return problem(codeConstantRequired, fmt.Sprintf("the fraction of %s must be a constant", name), "write a number from 0 to 1")
	}
	if e.Fraction = c.Value.Float[0]; !(e.Fraction >= 0 && e.Fraction <= 1) {
		return problem(codeConstantFails, fmt.Sprintf("percentile value %g is not between 0 and 1", e.Fraction), "the median is 0.5")
	}
	return nil
}
