package expr

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// rowOf gives the values of (a, b) or ROW(a, b), nil for anything else.
func rowOf(n *pg_query.Node) []*pg_query.Node { return n.GetRowExpr().GetArgs() }

// compareRows is (a, b) = (c, d) and its kin, written with comparisons of the
// values: a row is less when its first value that differs is.
func (b *binding) compareRows(name string, left, right []*pg_query.Node, offset int32) (Expr, error) {
	if len(left) != len(right) {
		return nil, b.at(offset, problem(codeTypesDiffer, "unequal number of entries in row expressions", "compare rows of the same length"))
	}
	x, err := b.all(left)
	if err != nil {
		return nil, err
	}
	y, err := b.all(right)
	if err != nil {
		return nil, err
	}
	switch name {
	case "=":
		return b.eachOf(And, name, x, y, offset)
	case "<>":
		return b.eachOf(Or, name, x, y, offset)
	case "<", "<=", ">", ">=":
		return b.orderRows(name, x, y, offset)
	}
	return nil, b.at(offset, problem(codeUnsupported, fmt.Sprintf("rows are not compared by %s", name), "rows have = <> < <= > >="))
}

// eachOf joins the comparisons of the values one by one.
func (b *binding) eachOf(join LogicOp, name string, x, y []Expr, offset int32) (Expr, error) {
	var tests []Expr
	for i := range x {
		test, err := b.operator(name, []Expr{x[i], y[i]}, offset)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	if len(tests) == 1 {
		return tests[0], nil
	}
	return &Logic{Op: join, Args: tests}, nil
}

// orderRows is a < c OR (a = c AND b < d). Values before the last one decide
// only where they differ.
func (b *binding) orderRows(name string, x, y []Expr, offset int32) (Expr, error) {
	last := len(x) - 1
	out, err := b.rowTest(name, x[last], y[last], offset)
	for i := last - 1; i >= 0 && err == nil; i-- {
		var differs, same Expr
		if differs, err = b.rowTest(name[:1], x[i], y[i], offset); err != nil {
			break
		}
		if same, err = b.rowTest("=", x[i], y[i], offset); err != nil {
			break
		}
		out = &Logic{Op: Or, Args: []Expr{differs, &Logic{Op: And, Args: []Expr{same, out}}}}
	}
	return out, err
}

// rowTest compares two values of rows. As in PostgreSQL a value that is always
// NULL doesn't keep the other one from being computed.
func (b *binding) rowTest(name string, x, y Expr, offset int32) (Expr, error) {
	e, err := b.operator(name, []Expr{x, y}, offset)
	if err != nil {
		return nil, err
	}
	call := *e.(*Call)
	call.Function = rowTests[call.Function]
	return b.note(&call, offset), nil
}

// rowTests are the comparisons for values of rows.
var rowTests = func() map[*Function]*Function {
	out := map[*Function]*Function{}
	for _, c := range comparisons {
		for _, op := range functions.byName[c.name] {
			test := *op
			test.CalledOnNull, test.kernel = true, ofValues(op.kernel)
			out[op] = &test
		}
	}
	return out
}()

// ofValues gives NULL where an operand is NULL.
func ofValues(compare kernel) kernel {
	return func(f *frame) {
		live, all := f.live[:0], f.sel
		for _, i := range all {
			if f.out.Null[i] = f.anyNull(i); !f.out.Null[i] {
				live = append(live, i)
			}
		}
		f.live, f.sel = live, live
		compare(f)
		f.sel = all
	}
}

// rowInList is (a, b) IN ((c, d), …), and NOT IN.
func (b *binding) rowInList(name string, row []*pg_query.Node, items []*pg_query.Node, offset int32) (Expr, error) {
	join := Or
	if name == "<>" {
		join = And
	}
	var tests []Expr
	for _, item := range items {
		values := rowOf(item)
		if values == nil {
			return nil, b.at(offset, problem(codeUnsupported, "a row is compared with rows only", "write (a, b) IN ((1, 2), (3, 4))"))
		}
		test, err := b.compareRows(name, row, values, offset)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	if len(tests) == 1 {
		return tests[0], nil
	}
	return &Logic{Op: join, Args: tests}, nil
}
