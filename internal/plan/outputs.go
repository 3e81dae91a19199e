package plan

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
)

// output is one column of a SELECT list.
type output struct {
	name   string
	expr   expr.Expr // over the FROM's relation
	offset int32
	node   *pg_query.Node // nil for a column of *
	bad    bool
}

// badRelation has the columns of a SELECT that is wrong.
func badRelation(outputs []output) *relation {
	r := &relation{}
	for _, o := range outputs {
		r.columns = append(r.columns, relationColumn{name: o.name, bad: true})
	}
	return r
}

func columnsOf(outputs []output) ([]relationColumn, []expr.Expr) {
	columns, exprs := make([]relationColumn, len(outputs)), make([]expr.Expr, len(outputs))
	for i, o := range outputs {
		columns[i] = relationColumn{name: o.name, typ: o.expr.Type()}
		exprs[i] = o.expr
	}
	return columns, exprs
}

func hasAggregate(outputs []output) bool {
	return slices.ContainsFunc(outputs, func(o output) bool { return o.expr != nil && containsAggregate(o.expr) })
}

func containsAggregate(e expr.Expr) bool {
	found := false
	expr.Walk(e, func(n expr.Expr) bool {
		_, is := n.(*expr.Aggregate)
		found = found || is
		return !found
	})
	return found
}

// outputs binds the SELECT list.
func (q *query) outputs(from *scope, targets []*pg_query.Node, keepUnknown bool) ([]output, error) {
	var out []output
	var problems diag.List
	failedOnce := false
	for _, node := range targets {
		t := node.GetResTarget()
		if ref := t.GetVal().GetColumnRef(); ref != nil && isStar(ref) {
			star, err := q.star(from, ref)
			if err != nil {
				failedOnce = true
				problems = append(problems, diag.From(err)...)
			}
			out = append(out, star...)
			continue
		}
		o := output{name: t.GetName(), offset: t.GetLocation(), node: t.GetVal()}
		if o.name == "" {
			o.name = outputName(t.GetVal())
		}
		e, err := q.bind(from, t.GetVal(), "SELECT", true)
		if err == nil && e.Type().Kind == column.Unknown && !keepUnknown {
			e, err = coerceAt(e, column.Of(column.Text), q.at(o.offset))
		}
		if err != nil {
			failedOnce, o.bad = true, true
			problems = append(problems, diag.From(err)...)
		}
		o.expr = e
		out = append(out, o)
	}
	if failedOnce {
		return out, problems
	}
	return out, nil
}

func isStar(ref *pg_query.ColumnRef) bool {
	fields := ref.GetFields()
	return len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil
}

// star gives the columns that * stands for.
func (q *query) star(from *scope, ref *pg_query.ColumnRef) ([]output, error) {
	pos := q.at(ref.GetLocation())
	first, end, qualified := 0, len(from.relation.columns), false
	if parts := textsOf(ref.GetFields()); len(parts) > 1 {
		var err error
		if first, end, err = from.part(parts[len(parts)-2], pos); err != nil {
			return nil, err
		}
		qualified = true
	}
	var out []output
	bad := false
	for _, i := range from.starOrder(first, end, qualified) {
		c := from.relation.columns[i]
		if c.unreadable != "" {
			return nil, unreadable(c, pos)
		}
		e := &expr.Column{Index: i, Name: c.name, T: c.typ}
		if from.offsets == nil {
			from.offsets = map[*expr.Column]int32{}
		}
		from.offsets[e] = ref.GetLocation()
		bad = bad || c.bad
		out = append(out, output{name: c.name, expr: e, offset: ref.GetLocation(), bad: c.bad})
	}
	if bad {
		return out, failed
	}
	return out, nil
}

// textsOf gives the texts of a list of String nodes; a star is "".
func textsOf(nodes []*pg_query.Node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.GetString_().GetSval()
	}
	return out
}
