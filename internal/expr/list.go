package expr

import "github.com/millstream-dev/millstream/internal/column"

// anyOf and allOf are x op ANY (ARRAY[…]) and x op ALL (ARRAY[…]), one for
// each operator that gives a boolean. x IN (…) and x NOT IN (…) are bound to
// them. As in PostgreSQL, x and all elements are evaluated for every row.
var (
	anyOf = overList(" ANY", 1)
	allOf = overList(" ALL", 0)
)

func overList(suffix string, decided int64) map[*Function]*Function {
	out := map[*Function]*Function{}
	for _, op := range functions.list {
		if op.class == operatorClass && op.Result == column.Bool && op.Refusal == "" {
			out[op] = &Function{Name: op.Name + suffix, Args: op.Args, Result: column.Bool, CalledOnNull: true,
				Stable: op.Stable, class: listClass, kernel: listKernel(op, decided)}
		}
	}
	return out
}

// listKernel compares its first argument with each of the others; the outcome
// decided (1 for ANY, 0 for ALL) is the result as soon as one gives it.
func listKernel(op *Function, decided int64) kernel {
	return func(f *frame) {
		x := f.args[0]
		in := innerOf(f, x.Len())
		open := f.live[:0]
		for _, i := range f.sel {
			if f.out.Null[i] = x.Null[i]; !x.Null[i] {
				f.out.Int[i] = 1 - decided
				open = append(open, i)
			}
		}
		f.live = open
		for _, item := range f.args[1:] {
			open = f.compareItem(op, in, item, open, decided)
		}
	}
}

// compareItem compares one element for the rows that are open, and gives
// those that stay open.
func (f *frame) compareItem(op *Function, in *inner, item *column.Vector, open []int32, decided int64) []int32 {
	in.sel = in.sel[:0]
	for _, i := range open {
		if item.Null[i] {
			f.out.Null[i] = true
		} else {
			in.sel = append(in.sel, i)
		}
	}
	in.out.Reset(in.frame.typ, f.out.Len())
	in.frame.args[0], in.frame.args[1] = f.args[0], item
	in.frame.sel = in.sel
	op.kernel(&in.frame)
	kept := open[:0]
	for _, i := range open {
		switch {
		case item.Null[i]:
		case in.out.Null[i]: // failed
			f.out.Null[i] = true
		case in.out.Int[i] == decided:
			f.out.Null[i], f.out.Int[i] = false, decided
			continue
		}
		kept = append(kept, i)
	}
	return kept
}
