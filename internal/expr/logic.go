package expr

import "github.com/millstream-dev/millstream/internal/column"

// logicNode is AND (decided is 0: a false operand decides) or OR (decided
// is 1).
type logicNode struct {
	args    []node
	decided int64
	open    []int32
	out     column.Vector
}

func (l *logicNode) eval(run *evaluation, sel []int32) *column.Vector {
	l.out.Reset(column.Of(column.Bool), run.batch.N)
	for _, i := range sel {
		l.out.Int[i] = 1 - l.decided
	}
	open := append(l.open[:0], sel...)
	l.open = open
	for _, a := range l.args {
		v := a.eval(run, open)
		kept := open[:0]
		for _, i := range open {
			switch {
			case v.Null[i]:
				l.out.Null[i] = true
			case v.Int[i] == l.decided:
				l.out.Null[i], l.out.Int[i] = false, l.decided
				continue
			}
			kept = append(kept, i)
		}
		open = kept
	}
	return &l.out
}

// caseNode is a searched CASE.
type caseNode struct {
	conditions, results []node
	otherwise           node
	t                   column.Type
	open, chosen        []int32
	out                 column.Vector
}

func (c *caseNode) eval(run *evaluation, sel []int32) *column.Vector {
	c.out.Reset(c.t, run.batch.N)
	open := append(c.open[:0], sel...)
	c.open = open
	for k, condition := range c.conditions {
		if len(open) == 0 {
			break
		}
		v := condition.eval(run, open)
		chosen, kept := c.chosen[:0], open[:0]
		for _, i := range open {
			if !v.Null[i] && v.Int[i] != 0 {
				chosen = append(chosen, i)
			} else if v.Null[i] && run.errs.Any() && run.errs.Get(i) != nil {
				c.out.Null[i] = true // failed: no branch is evaluated
			} else {
				kept = append(kept, i)
			}
		}
		c.chosen = chosen
		if len(chosen) > 0 {
			copyRows(&c.out, c.results[k].eval(run, chosen), chosen)
		}
		open = kept
	}
	if len(open) > 0 {
		copyRows(&c.out, c.otherwise.eval(run, open), open)
	}
	return &c.out
}

// coalesceNode gives the first argument that isn't NULL.
type coalesceNode struct {
	args []node
	t    column.Type
	open []int32
	out  column.Vector
}

func (c *coalesceNode) eval(run *evaluation, sel []int32) *column.Vector {
	c.out.Reset(c.t, run.batch.N)
	open := append(c.open[:0], sel...)
	c.open = open
	for _, a := range c.args {
		if len(open) == 0 {
			break
		}
		v := a.eval(run, open)
		copyRows(&c.out, v, open)
		kept := open[:0]
		for _, i := range open {
			if v.Null[i] {
				kept = append(kept, i)
			}
		}
		open = kept
	}
	return &c.out
}

// The operators that compute with NULLs and truth values.

func nullTest(name string, want bool) *Function {
	return &Function{Name: name, CalledOnNull: true, Result: column.Bool, class: suffixClass,
		kernel: func(f *frame) {
			null := f.args[0].Null
			for _, i := range f.sel {
				f.setBool(i, null[i] == want)
			}
		}}
}

// truthTest compares a boolean with a truth value: 0, 1, or 2 for unknown.
func truthTest(name string, value int64, want bool) *Function {
	return &Function{Name: name, CalledOnNull: true, Args: kinds(column.Bool), Result: column.Bool, class: suffixClass,
		kernel: func(f *frame) {
			a := f.args[0]
			for _, i := range f.sel {
				truth := int64(2)
				if !a.Null[i] {
					truth = a.Int[i]
				}
				f.setBool(i, (truth == value) == want)
			}
		}}
}

var (
	isNull       = nullTest("IS NULL", true)
	isNotNull    = nullTest("IS NOT NULL", false)
	isTrue       = truthTest("IS TRUE", 1, true)
	isNotTrue    = truthTest("IS NOT TRUE", 1, false)
	isFalse      = truthTest("IS FALSE", 0, true)
	isNotFalse   = truthTest("IS NOT FALSE", 0, false)
	isUnknown    = truthTest("IS UNKNOWN", 2, true)
	isNotUnknown = truthTest("IS NOT UNKNOWN", 2, false)
)

var not = &Function{Name: "NOT", Args: kinds(column.Bool), Result: column.Bool, class: operatorClass,
	kernel: func(f *frame) {
		a := f.args[0].Int
		for _, i := range f.sel {
			f.out.Int[i] = 1 - a[i]
		}
	}}
