package expr

import (
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Folding computes what doesn't depend on a row, as PostgreSQL's planner
// does: a constant that fails, fails the whole query, unless it stands where
// a constant condition leaves it out.

// folder folds a tree. The place of a constant that fails is noted in failed.
//
// PostgreSQL's planner leaves stable functions alone. Here they are computed,
// since the settings that they depend on are fixed; but what was made of them
// decides nothing else, so that the same expressions fail as a whole.
type folder struct {
	failed Expr
	soft   map[Expr]bool  // constants made by stable functions
	places map[Expr]int32 // of the calls in the source; folded calls are added
}

// hard gives a constant that PostgreSQL's planner knows as well.
func (f *folder) hard(e Expr) (*Const, bool) {
	c, ok := e.(*Const)
	return c, ok && !f.soft[e]
}

// fold folds a tree; the error is a *diag.Diagnostic without position.
func fold(e Expr) (Expr, error) { return (&folder{}).fold(e) }

func (f *folder) fold(e Expr) (Expr, error) {
	switch e := e.(type) {
	case *Call:
		return f.call(e)
	case *Logic:
		return f.logic(e)
	case *Case:
		return f.caseWhen(e)
	case *Coalesce:
		return f.coalesce(e)
	case *Aggregate:
		args, err := f.all(e.Children())
		if err != nil {
			return nil, err
		}
		return e.with(args), nil
	}
	return e, nil
}

func (f *folder) all(list []Expr) ([]Expr, error) {
	out := make([]Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = f.fold(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (f *folder) call(e *Call) (Expr, error) {
	args, err := f.all(e.Args)
	if err != nil {
		return nil, err
	}
	constant, soft := true, e.Function.Stable
	for _, a := range args {
		_, isConst := a.(*Const)
		c, isHard := f.hard(a)
		constant, soft = constant && isConst, soft || isConst && !isHard
		if isHard && c.Value.Null[0] {
			switch {
			case !e.Function.CalledOnNull:
				return nullConst(e.T), nil
			case e.Function.Name == "nullif":
				return args[0], nil
			}
		}
	}
	out := e.with(args).(*Call)
	if place, ok := f.places[e]; ok {
		f.places[out] = place
	}
	if !constant || e.Function.class == internalClass {
		return out, nil
	}
	value, rowErr := evaluateConstant(out)
	switch {
	case rowErr == nil && soft:
		if f.soft == nil {
			f.soft = map[Expr]bool{}
		}
		f.soft[value] = true
		return value, nil
	case rowErr == nil:
		return value, nil
	case soft:
		return out, nil
	}
	f.failed = e
	return nil, rowProblem(codeConstantFails, rowErr)
}

// evaluateConstant computes an expression without columns.
func evaluateConstant(e Expr) (*Const, *sqlerr.Error) {
	var errs RowErrors
	errs.Reset(1)
	v := Compile(e).Eval(&column.Batch{N: 1}, []int32{0}, &errs)
	if err := errs.Get(0); err != nil {
		return nil, err
	}
	value := column.NewVector(e.Type(), 0)
	value.Append(v, 0)
	return &Const{T: e.Type(), Value: value}, nil
}

// constTruth gives the truth value of a boolean constant.
func (f *folder) constTruth(e Expr) (truth, null, ok bool) {
	c, ok := f.hard(e)
	if !ok {
		return false, false, false
	}
	if c.Value.Null[0] {
		return false, true, true
	}
	return c.Value.Int[0] != 0, false, true
}

func boolConst(b bool) *Const {
	v := column.NewVector(column.Of(column.Bool), 1)
	v.Int[0] = toInt(b)
	return &Const{T: v.Type, Value: v}
}

// logic folds AND and OR: an operand that decides is the result, and those
// after it aren't looked at; others that are constant fall away.
func (f *folder) logic(e *Logic) (Expr, error) {
	decisive := e.Op == Or
	var kept []Expr
	null := false
	for _, a := range flatten(e) {
		folded, err := f.fold(a)
		if err != nil {
			return nil, err
		}
		truth, isNull, constant := f.constTruth(folded)
		switch {
		case constant && isNull:
			null = true
		case constant && truth == decisive:
			return boolConst(decisive), nil
		case constant:
		default:
			kept = append(kept, folded)
		}
	}
	if null {
		kept = append(kept, nullConst(column.Of(column.Bool)))
	}
	switch len(kept) {
	case 0:
		return boolConst(!decisive), nil
	case 1:
		return kept[0], nil
	}
	return &Logic{Op: e.Op, Args: kept}, nil
}

// flatten gives the operands of nested ANDs, or ORs, in one list.
func flatten(e *Logic) []Expr {
	var out []Expr
	for _, a := range e.Args {
		if inner, ok := a.(*Logic); ok && inner.Op == e.Op {
			out = append(out, flatten(inner)...)
		} else {
			out = append(out, a)
		}
	}
	return out
}

func (f *folder) caseWhen(e *Case) (Expr, error) {
	out := &Case{T: e.T}
	otherwise := e.Else
	for _, w := range e.Whens {
		condition, err := f.fold(w.Condition)
		if err != nil {
			return nil, err
		}
		truth, _, constant := f.constTruth(condition)
		if constant && !truth {
			continue
		}
		if constant {
			otherwise = w.Result
			break
		}
		result, err := f.fold(w.Result)
		if err != nil {
			return nil, err
		}
		out.Whens = append(out.Whens, When{condition, result})
	}
	var err error
	if out.Else, err = f.fold(otherwise); err != nil {
		return nil, err
	}
	if len(out.Whens) == 0 {
		return out.Else, nil
	}
	// As if the branches that are left were all that was written.
	results := []Expr{out.Else}
	for _, w := range out.Whens {
		results = append(results, w.Result)
	}
	out.T = commonModifier(results, e.T.Kind)
	return out, nil
}

func (f *folder) coalesce(e *Coalesce) (Expr, error) {
	out := &Coalesce{T: e.T}
	for _, a := range e.Args {
		folded, err := f.fold(a)
		if err != nil {
			return nil, err
		}
		c, constant := f.hard(folded)
		if constant && c.Value.Null[0] {
			continue
		}
		out.Args = append(out.Args, folded)
		if constant {
			break
		}
	}
	switch len(out.Args) {
	case 0:
		return nullConst(e.T), nil
	case 1:
		return out.Args[0], nil
	}
	out.T = commonModifier(out.Args, e.T.Kind)
	return out, nil
}
