package expr

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
)

// operatorExpr binds everything that is written with an operator, and what
// the parser treats alike: IN, LIKE, BETWEEN, IS DISTINCT FROM, NULLIF, ANY.
func (b *binding) operatorExpr(n *pg_query.A_Expr) (Expr, error) {
	switch n.Kind {
	case pg_query.A_Expr_Kind_AEXPR_OP, pg_query.A_Expr_Kind_AEXPR_LIKE, pg_query.A_Expr_Kind_AEXPR_ILIKE:
		return b.plainOperator(n)
	case pg_query.A_Expr_Kind_AEXPR_DISTINCT, pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		return b.distinct(n)
	case pg_query.A_Expr_Kind_AEXPR_NULLIF:
		return b.nullIf(n)
	case pg_query.A_Expr_Kind_AEXPR_IN:
		return b.inList(n)
	case pg_query.A_Expr_Kind_AEXPR_OP_ANY, pg_query.A_Expr_Kind_AEXPR_OP_ALL:
		return b.anyOfList(n)
	case pg_query.A_Expr_Kind_AEXPR_BETWEEN, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg_query.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		return b.between(n)
	case pg_query.A_Expr_Kind_AEXPR_SIMILAR:
		return b.similarTo(n)
	}
	return nil, b.at(n.Location, problem(codeUnsupported, "this form of operator is not supported", ""))
}

func (b *binding) plainOperator(n *pg_query.A_Expr) (Expr, error) {
	var nodes []*pg_query.Node
	if n.Lexpr != nil {
		nodes = append(nodes, n.Lexpr)
	}
	name, err := operatorName(n.Name)
	if err != nil {
		return nil, b.at(n.Location, err)
	}
	if left, right := rowOf(n.Lexpr), rowOf(n.Rexpr); left != nil && right != nil {
		return b.compareRows(name, left, right, n.Location)
	}
	args, err := b.all(append(nodes, n.Rexpr))
	if err != nil {
		return nil, err
	}
	return b.operator(name, args, n.Location)
}

func operatorName(nodes []*pg_query.Node) (string, error) {
	parts := nameParts(nodes)
	if len(parts) > 2 || len(parts) == 2 && parts[0] != "pg_catalog" {
		return "", problem(codeUnknownOperator, fmt.Sprintf("operator does not exist: %s", strings.Join(parts, ".")), "only PostgreSQL's own operators are there")
	}
	return parts[len(parts)-1], nil
}

// operator binds an operator to typed operands.
func (b *binding) operator(name string, args []Expr, offset int32) (Expr, error) {
	ids := typeIDs(args)
	chosen, how := chooseOperator(name, ids)
	if how != found {
		return nil, b.at(offset, operatorProblem(name, ids, how))
	}
	f := chosen.function
	if f == nil || f.Refusal != "" {
		return nil, b.at(offset, refusal(f, name, true, chosen.args))
	}
	return b.call(f, args, offset)
}

func typeIDs(args []Expr) []typeID {
	out := make([]typeID, len(args))
	for i, a := range args {
		out[i] = typeID(a.Type().Kind)
	}
	return out
}

func idsOf(kinds []column.Kind) []typeID {
	out := make([]typeID, len(kinds))
	for i, k := range kinds {
		out[i] = typeID(k)
	}
	return out
}

func typeNamesOf(ids []typeID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.name()
	}
	return out
}

// operatorProblem says why no operator was chosen.
func operatorProblem(name string, ids []typeID, how outcome) *diag.Diagnostic {
	written := signature(name, true, typeNamesOf(ids))
	if how == ambiguous {
		return problem(codeAmbiguous, "operator is not unique: "+written, "give a literal its type: '1'::integer")
	}
	d := problem(codeUnknownOperator, "operator does not exist: "+written, "")
	overloads, known := functions.byName[name]
	switch {
	case !known && later[name] != "":
		d.Code, d.Message, d.Hint = codeUnsupported, fmt.Sprintf("the operator %s is not supported", name), later[name]
	case !known:
		d.Detail = "operators are " + strings.Join(functions.names(true), " ")
	default:
		d.Hint = castHint(name, ids, overloads)
	}
	return d
}

// later are operators of PostgreSQL's that are not supported, and what to
// write instead.
var later = map[string]string{
	"@@": "text search is not there", "@?": "write x #> '{a,b}' IS NOT NULL",
	"!!": "a factorial is not there", "#-": "take values out with ->",
}

// castHint proposes the cast with which the operator exists.
func castHint(name string, ids []typeID, overloads []*Function) string {
	for _, id := range ids {
		if column.Kind(id) == column.JSONB {
			return "take the value out of the document first: (x ->> 'key')::numeric"
		}
	}
	if ids[0].category() == 'D' && (name == "+" || name == "-") && ids[len(ids)-1].category() == 'N' {
		return fmt.Sprintf("write the unit: x %s INTERVAL '1 second'", name)
	}
	if i, to, ok := oneCast(ids, overloads); ok {
		return fmt.Sprintf("cast the %s operand: x::%s", [2]string{"left", "right"}[i], to.Name())
	}
	return "no cast makes it fit: compare or compute with values of one type"
}

// oneCast finds the operand, and the type, whose cast makes an overload fit:
// best a text, cast to the other operand's type.
func oneCast(ids []typeID, overloads []*Function) (operand int, to column.Kind, ok bool) {
	best := 0
	for i, id := range ids {
		for _, f := range overloads {
			if f.Refusal != "" || len(f.Args) != len(ids) || len(ids) != 2 {
				continue
			}
			want, other := f.Args[i], f.Args[1-i]
			c, castable := casts[[2]column.Kind{column.Kind(id), want}]
			if !castable || !implicitlyCoercible(ids[1-i], declaredID(other)) || want.IsString() {
				continue
			}
			score := 1
			if c.context == explicitCast && !column.Kind(id).IsString() {
				continue // a boolean as a number, say
			}
			if other == column.Kind(ids[1-i]) {
				score++
			}
			if want == other {
				score += 2
			}
			if column.Kind(id).IsFloat() && want == column.Numeric {
				score += 2 // rather than to lose the fraction
			}
			if column.Kind(id).IsString() {
				score += 4
			}
			if score > best {
				best, operand, to, ok = score, i, want, true
			}
		}
	}
	return operand, to, ok
}

// refusal says that an overload exists in PostgreSQL and not here.
func refusal(f *Function, name string, operator bool, ids []typeID) *diag.Diagnostic {
	d := problem(codeUnsupportedOverload, signature(name, operator, typeNamesOf(ids))+" is not supported", "")
	if f != nil {
		d.Hint = f.Refusal
	}
	return d
}

// distinct is IS [NOT] DISTINCT FROM. With a bare NULL it tests for NULL,
// whatever the type.
func (b *binding) distinct(n *pg_query.A_Expr) (Expr, error) {
	negated := n.Kind == pg_query.A_Expr_Kind_AEXPR_NOT_DISTINCT
	args, err := b.all([]*pg_query.Node{n.Lexpr, n.Rexpr})
	if err != nil {
		return nil, err
	}
	for i, other := range []*pg_query.Node{n.Rexpr, n.Lexpr} {
		if other.GetAConst().GetIsnull() {
			f := isNotNull
			if negated {
				f = isNull
			}
			return b.test(f, args[i], n.Location)
		}
	}
	e, err := b.operator("=", args, n.Location)
	if err != nil {
		return nil, err
	}
	eq := e.(*Call)
	f := distinctFrom[eq.Function]
	if negated {
		f = notDistinctFrom[eq.Function]
	}
	return b.note(&Call{Function: f, Args: eq.Args, T: column.Of(column.Bool)}, n.Location), nil
}

func (b *binding) nullIf(n *pg_query.A_Expr) (Expr, error) {
	args, err := b.all([]*pg_query.Node{n.Lexpr, n.Rexpr})
	if err != nil {
		return nil, err
	}
	e, err := b.operator("=", args, n.Location)
	if err != nil {
		return nil, err
	}
	eq := e.(*Call)
	return b.note(&Call{Function: nullIf[eq.Function], Args: eq.Args, T: eq.Args[0].Type()}, n.Location), nil
}

// between is written with comparisons, as PostgreSQL's parser does.
func (b *binding) between(n *pg_query.A_Expr) (Expr, error) {
	bounds := n.Rexpr.GetList().GetItems()
	args, err := b.all([]*pg_query.Node{n.Lexpr, bounds[0], bounds[1]})
	if err != nil {
		return nil, err
	}
	x, low, high := args[0], args[1], args[2]
	pair := func(op LogicOp, first string, a Expr, second string, c Expr) (Expr, error) {
		left, err := b.operator(first, []Expr{x, a}, n.Location)
		if err != nil {
			return nil, err
		}
		right, err := b.operator(second, []Expr{x, c}, n.Location)
		if err != nil {
			return nil, err
		}
		return &Logic{Op: op, Args: []Expr{left, right}}, nil
	}
	inside := func(a, c Expr) (Expr, error) { return pair(And, ">=", a, "<=", c) }
	outside := func(a, c Expr) (Expr, error) { return pair(Or, "<", a, ">", c) }
	build, join := inside, Or
	switch n.Kind {
	case pg_query.A_Expr_Kind_AEXPR_BETWEEN:
		return inside(low, high)
	case pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN:
		return outside(low, high)
	case pg_query.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		build, join = outside, And
	}
	first, err := build(low, high)
	if err != nil {
		return nil, err
	}
	second, err := build(high, low)
	if err != nil {
		return nil, err
	}
	return &Logic{Op: join, Args: []Expr{first, second}}, nil
}
