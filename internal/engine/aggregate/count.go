package aggregate

import (
	"encoding/binary"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// count is count(*) and count(x).
type count struct {
	star bool
	n    []int64
}

func (a *count) Grow(n int) { a.n = grow(a.n, n) }

func (a *count) Update(rows *Rows, arg *column.Vector) {
	if a.star {
		for _, g := range rows.Groups {
			a.n[g]++
		}
		return
	}
	for k, g := range rows.Groups {
		if !arg.Null[rows.Rows[k]] {
			a.n[g]++
		}
	}
}

func (a *count) Merge(into uint32, src Accumulator, g uint32) { a.n[into] += src.(*count).n[g] }

func (a *count) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	out.Int[i] = a.n[g]
	return nil
}

func (a *count) Encode(dst []byte, g uint32) []byte { return binary.AppendVarint(dst, a.n[g]) }

func (a *count) Decode(src []byte, g uint32) (rest []byte, err error) {
	a.n[g], rest, err = takeVarint(src)
	return rest, err
}

func (a *count) Clear()       { a.n = a.n[:0] }
func (a *count) Bytes() int64 { return int64(cap(a.n)) * 8 }

// boolean is bool_and and bool_or: the number of true and false values met
// tells both, but one bit of each is enough.
type boolean struct {
	or   bool
	seen []uint8 // bit 0: a true value, bit 1: a false one
}

func (a *boolean) Grow(n int) { a.seen = grow(a.seen, n) }

func (a *boolean) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		if r := rows.Rows[k]; !arg.Null[r] {
			a.seen[g] |= 2 >> arg.Int[r]
		}
	}
}

func (a *boolean) Merge(into uint32, src Accumulator, g uint32) {
	a.seen[into] |= src.(*boolean).seen[g]
}

func (a *boolean) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	switch seen := a.seen[g]; {
	case seen == 0:
		out.Null[i] = true
	case a.or:
		out.Int[i] = int64(seen & 1)
	default:
		out.Int[i] = int64(1 - seen>>1)
	}
	return nil
}

func (a *boolean) Encode(dst []byte, g uint32) []byte { return append(dst, a.seen[g]) }

func (a *boolean) Decode(src []byte, g uint32) ([]byte, error) {
	if len(src) == 0 || src[0] > 3 {
		return nil, ErrCorrupt
	}
	a.seen[g] = src[0]
	return src[1:], nil
}

func (a *boolean) Clear()       { a.seen = a.seen[:0] }
func (a *boolean) Bytes() int64 { return int64(cap(a.seen)) }
