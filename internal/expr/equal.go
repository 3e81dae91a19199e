package expr

import (
	"bytes"
	"math"
	"reflect"

	"github.com/millstream-dev/millstream/internal/column"
)

// Equal tells whether two trees are the same: same nodes, functions, types
// and constants, constants to the bit.
func Equal(a, b Expr) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	if a.Type() != b.Type() || !sameNode(a, b) {
		return false
	}
	x, y := a.Children(), b.Children()
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !Equal(x[i], y[i]) {
			return false
		}
	}
	return true
}

// sameNode compares two nodes without their operands.
func sameNode(a, b Expr) bool {
	switch a := a.(type) {
	case *Column:
		b, ok := b.(*Column)
		return ok && a.Index == b.Index
	case *Const:
		b, ok := b.(*Const)
		return ok && sameConst(a.Value, b.Value)
	case *Call:
		b, ok := b.(*Call)
		return ok && sameFunction(a.Function, b.Function)
	case *Logic:
		b, ok := b.(*Logic)
		return ok && a.Op == b.Op
	case *Case:
		_, ok := b.(*Case)
		return ok
	case *Coalesce:
		_, ok := b.(*Coalesce)
		return ok
	case *Aggregate:
		b, ok := b.(*Aggregate)
		return ok && a.Kind == b.Kind && (a.Arg == nil) == (b.Arg == nil) && (a.Filter == nil) == (b.Filter == nil) && reflect.DeepEqual(a.AggregateForm, b.AggregateForm)
	}
	return false
}

func sameFunction(a, b *Function) bool {
	if a == b || rowTests[a] == b && b != nil || rowTests[b] == a && a != nil {
		return true
	}
	return a.window != nil && b.window != nil && a.window.end == b.window.end &&
		reflect.DeepEqual(a.window.assigner, b.window.assigner)
}

func sameConst(a, b *column.Vector) bool {
	if a.Null[0] || b.Null[0] {
		return a.Null[0] && b.Null[0]
	}
	switch a.Type.Kind.Storage() {
	case column.IntStorage:
		return a.Int[0] == b.Int[0]
	case column.FloatStorage:
		x, y := a.Float[0], b.Float[0]
		return math.Float64bits(x) == math.Float64bits(y) || math.IsNaN(x) && math.IsNaN(y)
	case column.IntervalStorage:
		return a.Interval[0] == b.Interval[0]
	}
	return bytes.Equal(a.Bytes(0), b.Bytes(0))
}
