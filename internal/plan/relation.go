package plan

import (
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

// relation is what a FROM item, a subquery or a whole query gives: columns,
// and for each of its inputs what they are computed from. Queries are
// flattened while they are read: an expression over a relation becomes one
// over the topic's records by putting the relation's columns in place.
type relation struct {
	columns []relationColumn
	inputs  []*input
	groups  *groups // not nil: the relation is aggregated, and inputs is nil
}

// relationColumn is a column of a relation.
type relationColumn struct {
	name   string
	typ    column.Type
	hidden bool // a metadata column: there by its name, not in *
	bad    bool // wrong, and already reported
	merged bool // the table's side of USING: there by table.name, not by itself
	// unreadable is the type of a table's column that views don't know.
	unreadable string
}

// input is one topic that a relation reads, directly or as a branch of a
// UNION ALL.
type input struct {
	topic   *Topic
	filters []expr.Expr // of all levels, the innermost first
	joins   []*Join     // tables that are looked up, in order
	columns []expr.Expr // over the topic's records and those tables, one for each column of the relation
	buckets []bucket    // the windows that tumble has made of its event time
}

// bucket is a window made by tumble: its two columns.
type bucket struct {
	assigner   window.Assigner
	start, end expr.Expr
}

// groups is an aggregated query.
type groups struct {
	window   *Window
	branches []*Branch
	keys     []groupKey
	keyTypes []column.Type
	aggs     []Agg
	having   expr.Expr
	columns  []expr.Expr // over the group batch, one for each column of the relation
}

// groupKey is an expression of GROUP BY.
type groupKey struct {
	name     string // for messages
	pos      diag.Position
	index    int // column of the group batch
	window   bool
	constant bool
}

// topicRelation is a topic as FROM reads it.
func topicRelation(s *topicScope) *relation {
	t := s.topic
	r, in := &relation{}, &input{topic: t}
	for i, c := range t.Columns {
		r.columns = append(r.columns, relationColumn{name: c.Name, typ: c.Type, bad: s.bad[i]})
		in.columns = append(in.columns, &expr.Column{Index: i, Name: c.Name, T: c.Type})
	}
	for i, m := range MetaColumns {
		r.columns = append(r.columns, relationColumn{name: m.Name, typ: m.Type, hidden: true})
		in.columns = append(in.columns, &expr.Column{Index: len(t.Columns) + i, Name: m.Name, T: m.Type})
	}
	r.inputs = []*input{in}
	return r
}

// eventTime is the index of the event time in a topic's decoded batch.
func (t *Topic) eventTime() int {
	if t.EventTime >= 0 {
		return t.EventTime
	}
	return len(t.Columns) + int(MetaTimestamp)
}

// EventTimeName is the event time column's name.
func (t *Topic) EventTimeName() string {
	if t.EventTime >= 0 {
		return t.Columns[t.EventTime].Name
	}
	return MetaColumns[MetaTimestamp].Name
}

// isEventTime tells the bare event time column of the input's topic.
func (in *input) isEventTime(e expr.Expr) bool {
	c, ok := e.(*expr.Column)
	return ok && c.Index == in.topic.eventTime()
}

// substitute puts expressions in place of the columns of e.
func substitute(e expr.Expr, columns []expr.Expr) expr.Expr {
	if e == nil {
		return nil
	}
	return expr.Transform(e, func(n expr.Expr) (expr.Expr, bool) {
		if c, ok := n.(*expr.Column); ok {
			return columns[c.Index], true
		}
		return nil, false
	})
}

// conjunction gives the condition that all of the filters are true. A filter
// is evaluated only for the rows that all before it hold true, as PostgreSQL
// does: AND alone would evaluate the next one where one is NULL, and it must
// not get to fail there.
func conjunction(filters []expr.Expr) expr.Expr {
	var args []expr.Expr
	for _, f := range filters {
		args = append(args, conjuncts(f)...)
	}
	guard := false
	for i := len(args) - 1; i >= 0; i-- {
		if guard {
			args[i] = &expr.Coalesce{Args: []expr.Expr{args[i], falseConst()}, T: column.Of(column.Bool)}
		}
		guard = guard || canFail(args[i])
	}
	switch len(args) {
	case 0:
		return nil
	case 1:
		return args[0]
	}
	return &expr.Logic{Op: expr.And, Args: args}
}

// safeCalls never fail, whatever their operands.
var safeCalls = map[string]bool{
	"=": true, "<>": true, "<": true, "<=": true, ">": true, ">=": true, "NOT": true, "not": true,
	"IS NULL": true, "IS NOT NULL": true, "IS TRUE": true, "IS NOT TRUE": true, "IS FALSE": true, "IS NOT FALSE": true,
	"IS DISTINCT FROM": true, "IS NOT DISTINCT FROM": true, "length": true,
}

// canFail tells whether an expression may fail for some row. It errs on the
// side of yes.
func canFail(e expr.Expr) bool {
	can := false
	expr.Walk(e, func(n expr.Expr) bool {
		c, ok := n.(*expr.Call)
		if !ok || safeCalls[c.Function.Name] {
			return !can
		}
		toText := c.Function.Name == "text" && len(c.Args) == 1 && c.Args[0].Type().Kind.IsString()
		can = can || !toText
		return !can
	})
	return can
}

// conjuncts are the operands of a condition's outermost AND.
func conjuncts(e expr.Expr) []expr.Expr {
	l, ok := e.(*expr.Logic)
	if !ok || l.Op != expr.And {
		return []expr.Expr{e}
	}
	var out []expr.Expr
	for _, a := range l.Args {
		out = append(out, conjuncts(a)...)
	}
	return out
}

func falseConst() expr.Expr {
	t := column.Of(column.Bool)
	return &expr.Const{T: t, Value: column.NewVector(t, 1)}
}

// project gives the relation whose columns are expressions over r.
func (r *relation) project(columns []relationColumn, exprs []expr.Expr) *relation {
	out := &relation{columns: columns}
	if r.groups != nil {
		g := *r.groups
		g.columns = substituteAll(exprs, r.groups.columns)
		out.groups = &g
		return out
	}
	for _, in := range r.inputs {
		next := *in
		next.columns = substituteAll(exprs, in.columns)
		out.inputs = append(out.inputs, &next)
	}
	return out
}

func substituteAll(exprs, columns []expr.Expr) []expr.Expr {
	out := make([]expr.Expr, len(exprs))
	for i, e := range exprs {
		out[i] = substitute(e, columns)
	}
	return out
}

// where gives the relation's rows for which a condition over it is true.
func (r *relation) where(condition expr.Expr) *relation {
	out := *r
	if r.groups != nil {
		g := *r.groups
		filters := []expr.Expr{substitute(condition, r.groups.columns)}
		if g.having != nil {
			filters = append([]expr.Expr{g.having}, filters...)
		}
		g.having = conjunction(filters)
		out.groups = &g
		return &out
	}
	out.inputs = nil
	for _, in := range r.inputs {
		next := *in
		next.filters = append(next.filters[:len(next.filters):len(next.filters)], substitute(condition, in.columns))
		out.inputs = append(out.inputs, &next)
	}
	return &out
}

// rename gives the relation other column names: an alias's column list.
func (r *relation) rename(names []string, pos diag.Position, alias string) (*relation, error) {
	visible := 0
	for _, c := range r.columns {
		if !c.hidden {
			visible++
		}
	}
	if len(names) > visible {
		return nil, problem(codeAlias, pos, "", "%q has %d columns available but %d columns specified", alias, visible, len(names))
	}
	out := *r
	out.columns = append([]relationColumn(nil), r.columns...)
	next := 0
	for i := range out.columns {
		if next < len(names) && !out.columns[i].hidden {
			out.columns[i].name = names[next]
			next++
		}
	}
	return &out, nil
}
