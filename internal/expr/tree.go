// Package expr is typed expressions and the kernels that evaluate them over
// vectors.
//
// A Binder turns a parse tree of PostgreSQL's grammar into a typed tree,
// resolving operators, functions and implicit casts as PostgreSQL does.
// Compile turns the tree into a Program that evaluates whole vectors. A row
// whose evaluation fails gets the SQLSTATE and the message that PostgreSQL
// gives; the other rows of the batch go on.
package expr

import "github.com/millstream-dev/millstream/internal/column"

// Expr is a node of a typed expression tree. Trees are immutable: whoever
// changes one makes a new one (Transform).
type Expr interface {
	// Type is the type of the value.
	Type() column.Type
	// Children are the operands in order of evaluation.
	Children() []Expr
	// with gives the same node with other operands.
	with(children []Expr) Expr
}

// Column is a column of the batch that the expression is evaluated over.
type Column struct {
	Index int // into column.Batch.Cols
	Name  string
	T     column.Type
}

// Const is a literal. Value has one element.
type Const struct {
	T     column.Type
	Value *column.Vector
}

// Call is a function or an operator applied to operands, casts included:
// whatever evaluates all of its operands for every row.
type Call struct {
	Function *Function
	Args     []Expr
	T        column.Type
}

// LogicOp is an operator of three-valued logic that need not evaluate all of
// its operands.
type LogicOp uint8

// The operators of three-valued logic.
const (
	And LogicOp = iota
	Or
)

// Logic is AND or OR. Operands are evaluated from left to right, and a
// later one only for the rows that the earlier ones have not decided.
type Logic struct {
	Op   LogicOp
	Args []Expr // boolean, at least two
}

// Case is CASE WHEN … THEN … ELSE … END. A result is evaluated only for the
// rows that choose it. CASE x WHEN y is bound to comparisons.
type Case struct {
	Whens []When
	Else  Expr // never nil: a NULL constant when not written
	T     column.Type
}

// When is a branch of a Case.
type When struct{ Condition, Result Expr }

// Coalesce is COALESCE(…): an argument is evaluated only for the rows where
// the ones before it are NULL.
type Coalesce struct {
	Args []Expr
	T    column.Type
}

// Aggregate is a call of an aggregate function. It can't be evaluated: the
// planner replaces it by a Column of the aggregation's result.
type Aggregate struct {
	Kind   AggregateKind
	Arg    Expr   // nil for count(*)
	More   []Expr // what the rows are ordered by, one for each of Order
	Filter Expr   // nil without FILTER (WHERE …)
	AggregateForm
	T      column.Type
	Offset int32 // byte offset in the source, for messages
}

// AggregateForm is what a call of an aggregate says beside its operands.
type AggregateForm struct {
	Distinct  bool
	Order     []SortOrder // one for each of More
	Desc      bool        // WITHIN GROUP (ORDER BY argument DESC)
	Separator string      // of string_agg
	Fraction  float64     // of percentiles
}

// SortOrder is the direction of an ORDER BY.
type SortOrder struct{ Desc, NullsFirst bool }

// AggregateKind is an aggregate function.
type AggregateKind uint8

// The aggregate functions. Which argument types each takes, and what it
// gives, is the table in aggregates.go.
const (
	CountStar AggregateKind = iota + 1
	Count
	Sum
	Avg
	Min
	Max
	BoolAnd
	BoolOr
	VarPop
	VarSamp
	StddevPop
	StddevSamp
	BitAnd
	BitOr
	BitXor
	FirstValue
	LastValue
	StringAgg
	JSONBAgg
	JSONBObjectAgg
	PercentileCont
	PercentileDisc
	Mode
	ApproxCountDistinct
	ApproxPercentile
)

func (e *Column) Type() column.Type    { return e.T }
func (e *Const) Type() column.Type     { return e.T }
func (e *Call) Type() column.Type      { return e.T }
func (e *Logic) Type() column.Type     { return column.Of(column.Bool) }
func (e *Case) Type() column.Type      { return e.T }
func (e *Coalesce) Type() column.Type  { return e.T }
func (e *Aggregate) Type() column.Type { return e.T }

func (e *Column) Children() []Expr   { return nil }
func (e *Const) Children() []Expr    { return nil }
func (e *Call) Children() []Expr     { return e.Args }
func (e *Logic) Children() []Expr    { return e.Args }
func (e *Coalesce) Children() []Expr { return e.Args }

func (e *Case) Children() []Expr {
	out := make([]Expr, 0, 2*len(e.Whens)+1)
	for _, w := range e.Whens {
		out = append(out, w.Condition, w.Result)
	}
	return append(out, e.Else)
}

func (e *Aggregate) Children() []Expr {
	var out []Expr
	if e.Arg != nil {
		out = append(out, e.Arg)
	}
	out = append(out, e.More...)
	if e.Filter != nil {
		out = append(out, e.Filter)
	}
	return out
}

func (e *Column) with([]Expr) Expr { return e }
func (e *Const) with([]Expr) Expr  { return e }

func (e *Call) with(c []Expr) Expr     { n := *e; n.Args = c; return &n }
func (e *Logic) with(c []Expr) Expr    { n := *e; n.Args = c; return &n }
func (e *Coalesce) with(c []Expr) Expr { n := *e; n.Args = c; return &n }

func (e *Case) with(c []Expr) Expr {
	n := *e
	n.Whens = make([]When, len(e.Whens))
	for i := range n.Whens {
		n.Whens[i] = When{c[2*i], c[2*i+1]}
	}
	n.Else = c[len(c)-1]
	return &n
}

func (e *Aggregate) with(c []Expr) Expr {
	n := *e
	if e.Arg != nil {
		n.Arg, c = c[0], c[1:]
	}
	n.More, c = c[:len(e.More):len(e.More)], c[len(e.More):]
	if e.Filter != nil {
		n.Filter = c[0]
	}
	return &n
}

// Transform rebuilds a tree from the top: where f gives a replacement (true)
// the subtree is replaced by it as it stands, elsewhere the operands are
// transformed in turn.
func Transform(e Expr, f func(Expr) (Expr, bool)) Expr {
	if r, ok := f(e); ok {
		return r
	}
	children := e.Children()
	if len(children) == 0 {
		return e
	}
	changed := false
	next := make([]Expr, len(children))
	for i, c := range children {
		next[i] = Transform(c, f)
		changed = changed || next[i] != c
	}
	if !changed {
		return e
	}
	return e.with(next)
}

// Walk calls f for e and everything below it, operands after their operator;
// where f gives false it goes no deeper.
func Walk(e Expr, f func(Expr) bool) {
	if !f(e) {
		return
	}
	for _, c := range e.Children() {
		Walk(c, f)
	}
}
