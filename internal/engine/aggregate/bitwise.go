package aggregate

import (
	"encoding/binary"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// bitwise is bit_and, bit_or and bit_xor over integers.
type bitwise struct {
	kind  expr.AggregateKind
	value []int64
	any   []bool // a value that is not NULL has come
}

func (a *bitwise) Grow(n int) {
	a.value = grow(a.value, n)
	a.any = grow(a.any, n)
}

func (a *bitwise) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		if r := rows.Rows[k]; !arg.Null[r] {
			a.add(g, arg.Int[r])
		}
	}
}

func (a *bitwise) add(g uint32, v int64) {
	switch {
	case !a.any[g]:
		a.any[g], a.value[g] = true, v
	case a.kind == expr.BitAnd:
		a.value[g] &= v
	case a.kind == expr.BitOr:
		a.value[g] |= v
	default:
		a.value[g] ^= v
	}
}

func (a *bitwise) Merge(into uint32, src Accumulator, g uint32) {
	if s := src.(*bitwise); s.any[g] {
		a.add(into, s.value[g])
	}
}

func (a *bitwise) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	out.Null[i] = !a.any[g]
	out.Int[i] = a.value[g]
	return nil
}

func (a *bitwise) Encode(dst []byte, g uint32) []byte {
	if !a.any[g] {
		return append(dst, 0)
	}
	return binary.AppendVarint(append(dst, 1), a.value[g])
}

func (a *bitwise) Decode(src []byte, g uint32) (rest []byte, err error) {
	if len(src) == 0 || src[0] > 1 {
		return nil, ErrCorrupt
	}
	a.any[g], a.value[g] = src[0] == 1, 0
	if src = src[1:]; !a.any[g] {
		return src, nil
	}
	a.value[g], rest, err = takeVarint(src)
	return rest, err
}

func (a *bitwise) Clear()       { a.value, a.any = a.value[:0], a.any[:0] }
func (a *bitwise) Bytes() int64 { return int64(9 * cap(a.value)) }
