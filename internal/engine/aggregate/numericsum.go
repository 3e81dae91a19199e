package aggregate

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// numericSum is sum and avg over numeric: exact. A group's sum is an integer
// of 128 bits at the greatest scale met while it fits, a big.Int beyond.
type numericSum struct {
	avg    bool
	groups []numericGroup
	large  map[uint32]*big.Int
}

type numericGroup struct {
	n       int64
	sum     int128 // unless isBig
	scale   int32  // greatest met
	special uint8
	isBig   bool // the sum is in large
}

func (a *numericSum) Grow(n int) { a.groups = grow(a.groups, n) }

func (a *numericSum) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		r := rows.Rows[k]
		if arg.Null[r] {
			continue
		}
		encoded := arg.Bytes(int(r))
		group := &a.groups[g]
		group.n++
		if coef, scale, ok := decimal.DecodeInt64(encoded); ok && a.addSmall(group, coef, scale) {
			continue
		}
		a.addDecimal(g, decimal.Decode(encoded))
	}
}

// addSmall adds coef·10^-scale if that needs neither a rescaling of the sum
// nor more than 128 bits.
func (a *numericSum) addSmall(group *numericGroup, coef int64, scale int32) bool {
	if group.isBig {
		return false
	}
	if group.n == 1 && scale > group.scale {
		group.scale = scale // the sum is zero still
	}
	if scale > group.scale {
		return false
	}
	if scale < group.scale {
		factor, ok := pow10(group.scale - scale)
		if !ok {
			return false
		}
		hi, lo := bits.Mul64(uint64(max(coef, -coef)), uint64(factor))
		if coef == math.MinInt64 || hi != 0 || lo > math.MaxInt64 {
			return false
		}
		coef *= factor
	}
	if group.sum.hi > math.MaxInt64/2 || group.sum.hi < math.MinInt64/2 {
		return false
	}
	group.sum.add(coef)
	return true
}

func (a *numericSum) addDecimal(g uint32, d decimal.Decimal) {
	group := &a.groups[g]
	switch {
	case d.IsNaN():
		group.special |= sawNaN
	case d.IsInf() > 0:
		group.special |= sawInf
	case d.IsInf() < 0:
		group.special |= sawNegInf
	default:
		coef, scale := d.Coefficient()
		a.addBig(g, coef, scale)
	}
}

// addBig adds coef·10^-scale; coef is not kept.
func (a *numericSum) addBig(g uint32, coef *big.Int, scale int32) {
	group := &a.groups[g]
	sum := a.value(g)
	switch {
	case scale > group.scale:
		sum.Mul(sum, bigPow10(scale-group.scale))
		group.scale = scale
		sum.Add(sum, coef)
	case scale < group.scale:
		sum.Add(sum, new(big.Int).Mul(coef, bigPow10(group.scale-scale)))
	default:
		sum.Add(sum, coef)
	}
	a.set(g, sum)
}

// value gives a copy of the group's sum.
func (a *numericSum) value(g uint32) *big.Int {
	if a.groups[g].isBig {
		return new(big.Int).Set(a.large[g])
	}
	return a.groups[g].sum.big()
}

func (a *numericSum) set(g uint32, sum *big.Int) {
	group := &a.groups[g]
	// Half of the range is left as room for addSmall.
	if sum.BitLen() < 126 {
		if group.isBig {
			delete(a.large, g)
			group.isBig = false
		}
		group.sum = toInt128(sum)
		return
	}
	if a.large == nil {
		a.large = map[uint32]*big.Int{}
	}
	a.large[g] = sum
	group.isBig = true
	group.sum = int128{}
}

func toInt128(z *big.Int) int128 {
	low := new(big.Int).And(z, new(big.Int).SetUint64(math.MaxUint64))
	return int128{hi: new(big.Int).Rsh(z, 64).Int64(), lo: low.Uint64()}
}

func pow10(n int32) (int64, bool) {
	if n > 18 {
		return 0, false
	}
	p := int64(1)
	for range n {
		p *= 10
	}
	return p, true
}

func bigPow10(n int32) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

func (a *numericSum) Merge(into uint32, src Accumulator, g uint32) {
	s := src.(*numericSum)
	from := &s.groups[g]
	if from.n == 0 {
		return
	}
	to := &a.groups[into]
	first := to.n == 0
	to.n += from.n
	to.special |= from.special
	if first && !from.isBig {
		to.sum, to.scale = from.sum, from.scale
		return
	}
	if !to.isBig && !from.isBig && to.scale == from.scale {
		sum := to.sum
		sum.addWide(from.sum)
		if sum.hi < math.MaxInt64/2 && sum.hi > math.MinInt64/2 {
			to.sum = sum
			return
		}
	}
	a.addBig(into, s.value(g), from.scale)
}

func (a *numericSum) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	group := &a.groups[g]
	if group.n == 0 {
		out.Null[i] = true
		return nil
	}
	sum := a.special(g)
	if group.special == 0 {
		sum = decimal.FromBig(a.value(g), group.scale)
		if a.avg {
			var err *sqlerr.Error
			if sum, err = sum.Div(decimal.FromInt64(group.n)); err != nil {
				return err
			}
		}
	}
	setDecimal(out, i, sum)
	return nil
}

// special gives the sum of values among which are NaN or infinities.
func (a *numericSum) special(g uint32) decimal.Decimal {
	text := "NaN"
	switch a.groups[g].special {
	case sawInf:
		text = "Infinity"
	case sawNegInf:
		text = "-Infinity"
	}
	d, _ := decimal.Parse([]byte(text))
	return d
}

func (a *numericSum) Encode(dst []byte, g uint32) []byte {
	group := &a.groups[g]
	dst = binary.AppendVarint(dst, group.n)
	if group.n == 0 {
		return dst
	}
	dst = append(dst, group.special)
	dst = binary.AppendVarint(dst, int64(group.scale))
	sum := a.value(g)
	sign := byte(0)
	if sum.Sign() < 0 {
		sign = 1
	}
	bytes := sum.Bytes()
	dst = append(dst, sign)
	dst = binary.AppendUvarint(dst, uint64(len(bytes)))
	return append(dst, bytes...)
}

func (a *numericSum) Decode(src []byte, g uint32) (rest []byte, err error) {
	delete(a.large, g)
	a.groups[g] = numericGroup{}
	group := &a.groups[g]
	if group.n, src, err = takeVarint(src); err != nil || group.n == 0 {
		return src, err
	}
	if len(src) == 0 {
		return nil, ErrCorrupt
	}
	group.special = src[0]
	scale, src, err := takeVarint(src[1:])
	if err != nil || len(src) == 0 {
		return nil, ErrCorrupt
	}
	group.scale = int32(scale)
	negative := src[0] == 1
	bytes, src, err := takeBytes(src[1:])
	if err != nil {
		return nil, err
	}
	sum := new(big.Int).SetBytes(bytes)
	if negative {
		sum.Neg(sum)
	}
	a.set(g, sum)
	return src, nil
}

func (a *numericSum) Clear() {
	a.groups = a.groups[:0]
	clear(a.large)
}

func (a *numericSum) Bytes() int64 { return int64(cap(a.groups))*40 + int64(len(a.large))*64 }
