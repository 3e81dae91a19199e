package expr

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
)

// maxDepth is how deep expressions may nest. PostgreSQL's own limit comes
// from its stack (2 MB) and is some thousands.
const maxDepth = 2000

// Binder turns nodes of PostgreSQL's parse tree into typed trees.
type Binder struct {
	// Column resolves a column reference. Its error is a *diag.Diagnostic or
	// a diag.List.
	Column func(parts []string, offset int32) (Expr, error)
	// Position gives the place of a byte offset of the source.
	Position func(offset int32) diag.Position
	// Aggregates tells whether aggregate functions may be called here.
	Aggregates bool
	// Clause is where the expression stands ("WHERE"), for messages.
	Clause string
}

// Bind gives the typed tree of n, constants folded. An untyped literal stays
// column.Unknown. The error is a *diag.Diagnostic or a diag.List.
func (b *Binder) Bind(n *pg_query.Node) (Expr, error) {
	bound := &binding{Binder: b, offsets: map[Expr]int32{}}
	e, err := bound.bind(n)
	if err != nil {
		return nil, err
	}
	return bound.finish(e)
}

// BindTyped is Bind for a value that is stored or shown: an untyped literal
// becomes text, as for the columns of a SELECT, and an interval is refused.
func (b *Binder) BindTyped(n *pg_query.Node) (Expr, error) {
	e, err := b.Bind(n)
	if err != nil {
		return nil, err
	}
	if e.Type().Kind == column.Interval {
		return nil, b.at(nodeOffset(n), intervalProblem())
	}
	e, err = unknownToText(e)
	return e, b.at(nodeOffset(n), err)
}

func unknownToText(e Expr) (Expr, error) {
	if e.Type().Kind != column.Unknown {
		return e, nil
	}
	return coerceTo(e, column.Of(column.Text), implicitCast)
}

// binding is one run of a Binder.
type binding struct {
	*Binder
	// offsets are the places of the calls made so far, for messages about
	// constants that fail.
	offsets     map[Expr]int32
	depth       int
	inAggregate bool
}

// finish folds the tree and checks the zones and units in it.
func (b *binding) finish(e Expr) (Expr, error) {
	f := &folder{places: b.offsets}
	folded, err := f.fold(e)
	if err != nil {
		return nil, b.at(b.offsetOf(f.failed), err)
	}
	var wrong error
	where := folded
	Walk(folded, func(e Expr) bool {
		if wrong == nil {
			wrong, where = checkFolded(e), e
		}
		return wrong == nil
	})
	if wrong != nil {
		return nil, b.at(b.offsetOf(where), wrong)
	}
	return folded, nil
}

func intervalProblem() *diag.Diagnostic {
	return problem(codeInterval, "an interval can't be stored",
		"store the seconds as a number: extract(epoch from a - b)")
}

// offsetOf finds the place of a call, or of one inside of it.
func (b *binding) offsetOf(e Expr) int32 {
	offset := int32(-1)
	if e != nil {
		Walk(e, func(e Expr) bool {
			if o, ok := b.offsets[e]; ok && offset < 0 {
				offset = o
			}
			return offset < 0
		})
	}
	return offset
}

// bind gives the typed tree of a node, not folded.
func (b *binding) bind(n *pg_query.Node) (Expr, error) {
	b.depth++
	defer func() { b.depth-- }()
	if b.depth > maxDepth {
		return nil, b.at(nodeOffset(n), problem(codeTooDeep, "the expression is nested too deeply", "split it"))
	}
	switch x := n.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		return b.columnRef(x.ColumnRef)
	case *pg_query.Node_AConst:
		return b.literal(x.AConst)
	case *pg_query.Node_AExpr:
		return b.operatorExpr(x.AExpr)
	case *pg_query.Node_BoolExpr:
		return b.boolExpr(x.BoolExpr)
	case *pg_query.Node_FuncCall:
		return b.funcCall(x.FuncCall)
	case *pg_query.Node_TypeCast:
		return b.typeCast(x.TypeCast)
	case *pg_query.Node_AArrayExpr:
		return b.arrayExpr(x.AArrayExpr, nil)
	case *pg_query.Node_AIndirection:
		return b.indirection(x.AIndirection)
	case *pg_query.Node_CaseExpr:
		return b.caseExpr(x.CaseExpr)
	case *pg_query.Node_CoalesceExpr:
		return b.coalesceExpr(x.CoalesceExpr)
	case *pg_query.Node_MinMaxExpr:
		return b.minMaxExpr(x.MinMaxExpr)
	case *pg_query.Node_NullTest:
		return b.nullTest(x.NullTest)
	case *pg_query.Node_BooleanTest:
		return b.booleanTest(x.BooleanTest)
	case *pg_query.Node_CollateClause:
		return b.collate(x.CollateClause)
	}
	return nil, b.at(nodeOffset(n), unsupportedNode(n))
}

func (b *binding) all(nodes []*pg_query.Node) ([]Expr, error) {
	out := make([]Expr, len(nodes))
	for i, n := range nodes {
		if n == nil {
			continue
		}
		var err error
		if out[i], err = b.bind(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (b *binding) columnRef(n *pg_query.ColumnRef) (Expr, error) {
	parts := make([]string, 0, len(n.Fields))
	for _, f := range n.Fields {
		if f.GetAStar() != nil {
			return nil, b.at(n.Location, problem(codeUnsupported, "* is not allowed in an expression", "name the columns"))
		}
		parts = append(parts, f.GetString_().GetSval())
	}
	if b.Column == nil {
		return nil, b.at(n.Location, problem(codeConstantRequired, fmt.Sprintf("the column %s can't be used here", strings.Join(parts, ".")), "write a constant"))
	}
	return b.Column(parts, n.Location)
}

// call makes a call of a chosen function, its arguments cast to the declared
// types.
func (b *binding) call(f *Function, args []Expr, offset int32) (Expr, error) {
	cast := make([]Expr, len(args))
	kinds, result := f.Args, f.Result
	if slices.ContainsFunc(f.Args, isPolymorphic) {
		if kinds, result = settle(f, args); result == column.Unknown {
			return nil, b.at(offset, problem(codeAmbiguous, "could not determine polymorphic type because input has type unknown", "give a literal its type: '{1}'::integer[]"))
		}
	}
	for i, a := range args {
		context := implicitCast
		if f == concatAny {
			// The operand that isn't text is written as text.
			context = explicitCast
		}
		var err error
		if cast[i], err = coerceTo(a, column.Of(kinds[i]), context); err != nil {
			return nil, b.at(b.literalOffset(a, offset), err)
		}
	}
	if f == concatAny {
		f = exactly("||", column.Text, column.Text)
	}
	call := &Call{Function: f, Args: cast, T: column.Of(result)}
	if f.Name == "overlaps" {
		call = withEnds(call)
	}
	if f.check != nil {
		if err := f.check(call); err != nil {
			return nil, b.at(offset, err)
		}
	}
	return b.note(call, offset), nil
}

// literalOffset gives a literal's own place, for messages that are about it.
func (b *binding) literalOffset(e Expr, otherwise int32) int32 {
	if offset, ok := b.offsets[e]; ok && e.Type().Kind == column.Unknown {
		return offset
	}
	return otherwise
}

// note remembers the place of an expression.
func (b *binding) note(e Expr, offset int32) Expr {
	b.offsets[e] = offset
	return e
}
