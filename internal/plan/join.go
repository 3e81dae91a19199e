package plan

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
)

// joinExpr reads stream JOIN table ON …: each record meets the row of the
// table that has its keys.
func (q *query) joinExpr(v *pg_query.JoinExpr, env *environment) (*scope, error) {
	pos := q.at(nodeOffset(v.GetRarg()))
	if v.GetAlias() != nil {
		return nil, q.fail(problem(codeJoin, pos, "give each of the two an alias of its own", "an alias of a whole join is not supported"))
	}
	stream, table, left := v.GetLarg(), v.GetRarg(), false
	switch v.GetJointype() {
	case pg_query.JoinType_JOIN_INNER:
		if !q.isTable(table, env) && q.isTable(stream, env) {
			stream, table = table, stream
		}
	case pg_query.JoinType_JOIN_LEFT:
		left = true
	case pg_query.JoinType_JOIN_RIGHT:
		stream, table, left = table, stream, true
	default:
		return nil, q.fail(problem(codeJoin, pos, "JOIN and LEFT JOIN work", "FULL JOIN is not supported: rows of the table without an event never come to an end"))
	}
	switch {
	case v.GetIsNatural():
		return nil, q.fail(problem(codeJoin, pos, "write USING (…) or ON …", "NATURAL JOIN is not supported: a new column would change what it means"))
	case !q.isTable(table, env):
		return nil, q.fail(problem(codeJoin, q.at(nodeOffset(table)), joinHint, "only a table of PostgreSQL can be joined with a stream yet"))
	case v.GetQuals() == nil && len(v.GetUsingClause()) == 0:
		return nil, q.fail(problem(codeJoin, pos, "write JOIN … ON and the keys that are equal", "CROSS JOIN is not supported"))
	}
	from, err := q.fromItem(stream, env)
	if err != nil {
		return nil, err
	}
	if from.relation.groups != nil {
		return nil, q.fail(problem(codeJoin, q.at(nodeOffset(stream)), "join the stream and then aggregate; or join when reading, in an ordinary view over the materialized view",
			"groups can't be joined with a table yet"))
	}
	t, to, err := q.tableScope(table.GetRangeVar())
	if err != nil {
		return nil, err
	}
	j := &joiner{query: q, table: t, left: left, pos: pos, node: v}
	return j.join(from, to, table == v.GetLarg())
}

// isTable tells an item of FROM that can only be a table of PostgreSQL.
func (q *query) isTable(n *pg_query.Node, env *environment) bool {
	v := n.GetRangeVar()
	if v == nil || v.GetSchemaname() == "" && env.find(v.GetRelname()) != nil {
		return false
	}
	if v.GetSchemaname() != "" && v.GetSchemaname() != q.schema {
		return true
	}
	known := q.names[v.GetRelname()]
	return known == nil || known.kind == otherName
}

// tableScope finds a table that is joined.
func (q *query) tableScope(v *pg_query.RangeVar) (*lookupTable, *scope, error) {
	pos := q.at(v.GetLocation())
	schema := v.GetSchemaname()
	if schema == "" {
		schema = q.schema
	}
	n := q.names[v.GetRelname()]
	if n == nil || n.kind != otherName || qualified(relationVar(n.statement), q.schema) != schema+"."+v.GetRelname() {
		if q.unparsed(v.GetRelname()) {
			return nil, nil, failed
		}
		if near := diag.Closest(v.GetRelname(), q.joinable()); near != "" {
			return nil, nil, q.fail(problem(codeLookup, pos, fmt.Sprintf("did you mean %q?", near), "the file says nothing of a table %q", v.GetRelname()))
		}
		return nil, nil, q.fail(q.noSuchTable(v.GetRelname(), pos))
	}
	t := q.lookupOf(n)
	if t == nil {
		return nil, nil, q.fail(problem(codeLookup, pos, "join a table that is made by CREATE TABLE with its columns listed",
			"%s %q can't be looked up: the file does not list its columns and its key", n.what, n.name))
	}
	s, err := q.aliased(t.relation(), v.GetAlias(), v.GetRelname(), pos)
	return t, s, err
}

// joinable gives the names of what a stream may be joined with.
func (q *query) joinable() []string {
	var names []string
	for _, n := range q.order {
		if n.kind == otherName || n.kind == topicName {
			names = append(names, n.name)
		}
	}
	return names
}

// joiner reads one join.
type joiner struct {
	*query
	table *lookupTable
	left  bool
	pos   diag.Position
	node  *pg_query.JoinExpr
	// first is where the table's columns begin in the joined relation, and
	// streamAt where the stream's do.
	first, streamAt int
	keys            []joinKey
	mistyped        *diag.Diagnostic // why an equality is no key
}

// joinKey is an equality that the table is looked up by.
type joinKey struct {
	column int       // of the table
	value  expr.Expr // over the joined relation
}

func (j *joiner) join(stream, table *scope, tableFirst bool) (*scope, error) {
	j.first = len(stream.relation.columns)
	if tableFirst {
		j.first, j.streamAt = 0, len(table.relation.columns)
	}
	out := &scope{schema: j.schema}
	joined := &relation{}
	if tableFirst {
		joined.columns = slices.Concat(table.relation.columns, stream.relation.columns)
		out.parts = append(table.place(0), stream.place(j.streamAt)...)
	} else {
		joined.columns = slices.Concat(stream.relation.columns, table.relation.columns)
		out.parts = append(stream.place(0), table.place(j.first)...)
	}
	out.relation = joined
	if twice := out.sameName(); twice != "" {
		return nil, j.fail(problem(codeAlias, j.pos, "give one of them another alias", "table name %q specified more than once", twice))
	}
	rest, err := j.condition(out)
	if err != nil {
		return nil, j.fail(err)
	}
	columns, err := j.checkKeys()
	if err != nil {
		return nil, j.fail(err)
	}
	index := j.table.lookup.index(columns)
	for _, in := range stream.relation.inputs {
		next := j.input(in, index, rest)
		if a := next.joins[len(next.joins)-1].groupWindow(); a != nil {
			return nil, j.fail(windowColumn(j.pos, a, "JOIN", "join by the topic's columns"))
		}
		joined.inputs = append(joined.inputs, next)
	}
	j.lookedUp(j.table.lookup)
	return out, nil
}

// lookedUp adds a table to those that the pipeline reads.
func (b *builder) lookedUp(l *Lookup) {
	if !slices.Contains(b.pipeline.Lookups, l) {
		b.pipeline.Lookups = append(b.pipeline.Lookups, l)
	}
}

// condition reads ON or USING: the keys, and what else must hold.
func (j *joiner) condition(s *scope) (rest []expr.Expr, err error) {
	var conditions []expr.Expr
	if j.node.GetQuals() != nil {
		e, err := j.query.condition(s, j.node.GetQuals(), "JOIN/ON", false)
		if err != nil {
			return nil, err
		}
		conditions = conjuncts(e)
	}
	for _, name := range textsOf(j.node.GetUsingClause()) {
		e, err := j.using(s, name)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, e)
	}
	for _, c := range conditions {
		k, ok := j.key(c)
		if ok && !slices.ContainsFunc(j.keys, func(o joinKey) bool { return o.column == k.column }) {
			j.keys = append(j.keys, k)
		} else {
			rest = append(rest, c)
		}
	}
	return rest, nil
}

// using makes the equality of USING (name), and hides the table's column
// where the name stands alone.
func (j *joiner) using(s *scope, name string) (expr.Expr, error) {
	find := func(from, to int, what string) (*expr.Column, error) {
		found := -1
		for i := from; i < to; i++ {
			if c := s.relation.columns[i]; c.name == name && !c.merged {
				if found >= 0 {
					return nil, problem(codeAmbiguous, j.pos, "write ON and name the tables", "common column name %q appears more than once in the %s", name, what)
				}
				found = i
			}
		}
		if found < 0 {
			return nil, problem(codeColumn, j.pos, "write ON …", "column %q specified in USING clause does not exist in the %s", name, what)
		}
		c := s.relation.columns[found]
		if c.bad {
			return nil, failed
		}
		if c.unreadable != "" {
			return nil, unreadable(c, j.pos)
		}
		return &expr.Column{Index: found, Name: name, T: c.typ}, nil
	}
	stream, err := find(j.streamAt, j.streamAt+len(s.relation.columns)-len(j.table.lookup.Columns), "stream")
	if err != nil {
		return nil, err
	}
	table, err := find(j.first, j.first+len(j.table.lookup.Columns), "table")
	if err != nil {
		return nil, err
	}
	s.relation.columns[table.Index].merged = true
	return expr.Equality(stream, table, j.pos)
}

// key reads a condition as stream = table.column, or column = stream.
func (j *joiner) key(condition expr.Expr) (joinKey, bool) {
	a, b, ok := expr.EqualityOperands(condition)
	if !ok {
		return joinKey{}, false
	}
	if j.reads(a) {
		a, b = b, a
	}
	if j.reads(a) || !j.reads(b) {
		return joinKey{}, false
	}
	c, bare := expr.Unlabelled(b).(*expr.Column)
	if bare && sameKeys(a.Type(), c.T) {
		return joinKey{c.Index - j.first, a}, true
	}
	j.mistyped = problem(codeLookupKey, j.pos, "cast the stream's side to the type of the table's column",
		"the equality %s compares the table's column only after a cast", expr.SQL(condition))
	return joinKey{}, false
}

// reads tells whether an expression reads the table.
func (j *joiner) reads(e expr.Expr) bool {
	found := false
	expr.Walk(e, func(n expr.Expr) bool {
		c, ok := n.(*expr.Column)
		found = found || ok && c.Index >= j.first && c.Index < j.first+len(j.table.lookup.Columns)
		return !found
	})
	return found
}

// sameKeys tells types whose values are equal exactly when their key bytes
// are.
func sameKeys(a, b column.Type) bool {
	switch {
	case a.Kind.IsInteger():
		return b.Kind.IsInteger()
	case a.Kind.IsFloat():
		return b.Kind.IsFloat()
	case a.Kind.IsString():
		return b.Kind.IsString()
	}
	return a.Kind == b.Kind
}

// checkKeys gives the columns that the table is looked up by, and brings the
// keys into their order. At most one row may have the keys' values.
func (j *joiner) checkKeys() ([]int, error) {
	slices.SortFunc(j.keys, func(a, b joinKey) int { return a.column - b.column })
	columns := make([]int, len(j.keys))
	for i, k := range j.keys {
		columns[i] = k.column
	}
	l := j.table.lookup
	switch {
	case len(columns) == 0 && j.mistyped != nil:
		return nil, j.mistyped
	case len(columns) == 0:
		return nil, problem(codeLookupKey, j.pos, fmt.Sprintf("write ON %s.key = …", quoteName(l.Table)),
			"the join with %q compares none of its columns with the stream", l.Table)
	case !j.table.unique(columns):
		d := problem(codeLookupKey, j.pos,
			fmt.Sprintf("give it PRIMARY KEY (%s) or UNIQUE (%[1]s), or join by the columns of a key that it has", l.columnNames(columns)),
			"several rows of %q could have the same %s, and an event would meet them all", l.Table, l.columnNames(columns))
		if j.mistyped != nil {
			d.Detail = j.mistyped.Message
		}
		return nil, d
	}
	return columns, nil
}

// input gives the records of in with the table's columns.
func (j *joiner) input(in *input, index int, rest []expr.Expr) *input {
	next := *in
	l := j.table.lookup
	join := &Join{Lookup: l, Left: j.left, Index: index, First: in.width()}
	columns := make([]expr.Expr, len(l.Columns))
	for i, c := range l.Columns {
		columns[i] = &expr.Column{Index: join.First + i, Name: c.Name, T: c.Type}
	}
	if j.first == 0 {
		next.columns = slices.Concat(columns, in.columns)
	} else {
		next.columns = slices.Concat(in.columns, columns)
	}
	for _, k := range j.keys {
		join.Keys = append(join.Keys, substitute(k.value, next.columns))
	}
	next.joins = append(in.joins[:len(in.joins):len(in.joins)], join)
	conditions := substituteAll(rest, next.columns)
	if j.left {
		join.On = conjunction(conditions)
	} else {
		next.filters = append(in.filters[:len(in.filters):len(in.filters)], conditions...)
	}
	return &next
}

// width is the number of columns of the batch that the input's expressions
// are over.
func (in *input) width() int {
	if n := len(in.joins); n > 0 {
		last := in.joins[n-1]
		return last.First + len(last.Lookup.Columns)
	}
	return len(in.topic.Columns) + int(MetaCount)
}

// branch gives the input as a view's branch, without what depends on the
// view's mode. Each condition stands where it can first be told: what needs
// the record alone before any table is looked up, as PostgreSQL's planner
// places it too.
func (in *input) branch(source int) *Branch {
	stages := make([][]expr.Expr, len(in.joins)+1)
	for _, f := range in.filters {
		for _, c := range conjuncts(f) {
			at := in.stage(c)
			stages[at] = append(stages[at], c)
		}
	}
	b := &Branch{Topic: in.topic, Source: source, Filter: conjunction(stages[0])}
	for i, j := range in.joins {
		placed := *j
		placed.Filter = conjunction(stages[i+1])
		b.Joins = append(b.Joins, &placed)
	}
	return b
}

// stage is how many of the input's tables must be joined before e can be
// evaluated.
func (in *input) stage(e expr.Expr) int {
	stage := 0
	expr.Walk(e, func(n expr.Expr) bool {
		if c, ok := n.(*expr.Column); ok {
			for i, j := range in.joins {
				if c.Index >= j.First {
					stage = max(stage, i+1)
				}
			}
		}
		return true
	})
	return stage
}
