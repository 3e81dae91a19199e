package aggregate

import (
	"encoding/binary"
	"math/big"
	"math/bits"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// int128 is a signed integer of 128 bits in two's complement: room for 2⁶⁴
// values of 64 bits.
type int128 struct {
	hi int64
	lo uint64
}

func (x *int128) add(v int64) {
	lo, carry := bits.Add64(x.lo, uint64(v), 0)
	x.lo = lo
	x.hi += v>>63 + int64(carry)
}

func (x *int128) addWide(y int128) {
	lo, carry := bits.Add64(x.lo, y.lo, 0)
	x.lo = lo
	x.hi += y.hi + int64(carry)
}

// fits tells whether the value is an int64.
func (x int128) fits() bool { return x.hi == int64(x.lo)>>63 }

func (x int128) big() *big.Int {
	z := big.NewInt(x.hi)
	z.Lsh(z, 64)
	return z.Add(z, new(big.Int).SetUint64(x.lo))
}

// intSum is sum and avg over integers: exact, in 128 bits.
type intSum struct {
	avg    bool
	result column.Kind // bigint or numeric
	sum    []int128
	n      []int64
}

func (a *intSum) Grow(n int) {
	a.sum = grow(a.sum, n)
	a.n = grow(a.n, n)
}

func (a *intSum) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		if r := rows.Rows[k]; !arg.Null[r] {
			a.sum[g].add(arg.Int[r])
			a.n[g]++
		}
	}
}

func (a *intSum) Merge(into uint32, src Accumulator, g uint32) {
	s := src.(*intSum)
	a.sum[into].addWide(s.sum[g])
	a.n[into] += s.n[g]
}

func (a *intSum) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	if a.n[g] == 0 {
		out.Null[i] = true
		return nil
	}
	if a.result == column.Int8 {
		if !a.sum[g].fits() {
			return sqlerr.New(sqlerr.NumericValueOutOfRange, "bigint out of range")
		}
		out.Int[i] = int64(a.sum[g].lo)
		return nil
	}
	sum := decimal.FromBig(a.sum[g].big(), 0)
	if a.avg {
		var err *sqlerr.Error
		if sum, err = sum.Div(decimal.FromInt64(a.n[g])); err != nil {
			return err
		}
	}
	setDecimal(out, i, sum)
	return nil
}

func (a *intSum) Encode(dst []byte, g uint32) []byte {
	dst = binary.AppendVarint(dst, a.n[g])
	if a.n[g] == 0 {
		return dst
	}
	dst = binary.AppendVarint(dst, a.sum[g].hi)
	return binary.AppendUvarint(dst, a.sum[g].lo)
}

func (a *intSum) Decode(src []byte, g uint32) (rest []byte, err error) {
	if a.n[g], rest, err = takeVarint(src); err != nil || a.n[g] == 0 {
		return rest, err
	}
	if a.sum[g].hi, rest, err = takeVarint(rest); err != nil {
		return nil, err
	}
	a.sum[g].lo, rest, err = takeUvarint(rest)
	return rest, err
}

func (a *intSum) Clear()       { a.sum, a.n = a.sum[:0], a.n[:0] }
func (a *intSum) Bytes() int64 { return int64(cap(a.sum))*16 + int64(cap(a.n))*8 }

// setDecimal sets value i of a numeric vector.
func setDecimal(out *column.Vector, i int, d decimal.Decimal) {
	start := len(out.Buf)
	out.Buf = d.Encode(out.Buf)
	out.FinishBytes(i, start)
}
