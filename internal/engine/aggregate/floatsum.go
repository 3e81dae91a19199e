package aggregate

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// A float64 is an integer of 53 bits times 2^(position-1074), position from 0
// to 2045. The sum of floats is kept exactly as an integer in units of
// 2^-1074, cut into limbs of 32 bits, each held in an int64, so that a limb
// takes 2^31 additions before it must pass its carry on. Since values of one
// group mostly lie near each other, a group keeps narrowLimbs limbs only,
// from where its first value lies; the rare group that needs more keeps all.
//
// The exact sum makes the result independent of the order of rows, and
// rounds once. (After the superaccumulator of Kulisch; the small set of
// carry-save limbs is Neal's, "Fast exact summation using small and large
// superaccumulators", 2015.)
const (
	limbBits    = 32
	wideLimbs   = 67 // 2046 + 53 bits in limbs of 32, and one for the carry
	narrowLimbs = 5
	// maxAdds is after how many additions carries are passed on: each adds
	// less than 2^32 to a limb, which has 63 bits.
	maxAdds = 1 << 29
)

// floatSum is sum and avg over real and double precision.
type floatSum struct {
	avg    bool
	result column.Kind
	below  int // how many more limbs than one are kept below the first value
	groups []floatGroup
	wide   map[uint32]*[wideLimbs]int64
}

type floatGroup struct {
	n     int64 // values that are not NULL
	limbs [narrowLimbs]int64
	adds  uint32 // since carries were passed on
	base  int8   // limb number of limbs[0]; meaningless while all limbs are zero
	set   bool   // base is chosen
	isBig bool   // the limbs are in wide
	// special has a bit for each of NaN, Infinity, -Infinity met.
	special uint8
}

const (
	sawNaN = 1 << iota
	sawInf
	sawNegInf
)

func (a *floatSum) Grow(n int) { a.groups = grow(a.groups, n) }

func (a *floatSum) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		if r := rows.Rows[k]; !arg.Null[r] {
			a.groups[g].n++
			a.add(g, arg.Float[r])
		}
	}
}

func (a *floatSum) add(g uint32, x float64) {
	b := math.Float64bits(x)
	exponent := int(b>>52) & 0x7ff
	mantissa := b & (1<<52 - 1)
	group := &a.groups[g]
	switch exponent {
	case 0x7ff:
		switch {
		case mantissa != 0:
			group.special |= sawNaN
		case b>>63 == 0:
			group.special |= sawInf
		default:
			group.special |= sawNegInf
		}
		return
	case 0:
		if mantissa == 0 {
			return
		}
	default:
		mantissa |= 1 << 52
		exponent--
	}
	limb, shift := exponent/limbBits, uint(exponent%limbBits)
	low := mantissa << shift
	p0, p1, p2 := int64(low&(1<<limbBits-1)), int64(low>>limbBits), int64(mantissa>>(64-shift))
	if b>>63 != 0 {
		p0, p1, p2 = -p0, -p1, -p2
	}
	if group.adds >= maxAdds {
		a.carry(g)
	}
	group.adds++
	limbs := a.room(g, limb, limb+3)
	limbs[0] += p0
	limbs[1] += p1
	limbs[2] += p2
}

// room gives the limbs of group g from number from on, having made sure that
// it keeps those up to number to.
func (a *floatSum) room(g uint32, from, to int) []int64 {
	group := &a.groups[g]
	if group.isBig {
		return a.wide[g][from:]
	}
	if !group.set {
		// As a rule one limb below the first value, the rest above: sums grow.
		group.base = int8(min(max(from-1-a.below, 0), wideLimbs-narrowLimbs))
		group.set = true
	}
	base := int(group.base)
	if from >= base && to <= base+narrowLimbs {
		return group.limbs[from-base:]
	}
	a.widen(g)
	return a.wide[g][from:]
}

func (a *floatSum) widen(g uint32) {
	group := &a.groups[g]
	if a.wide == nil {
		a.wide = map[uint32]*[wideLimbs]int64{}
	}
	all := new([wideLimbs]int64)
	if group.set {
		copy(all[group.base:], group.limbs[:])
	}
	a.wide[g] = all
	group.isBig = true
	group.limbs = [narrowLimbs]int64{}
}

// carry passes on what limbs hold beyond 32 bits. A narrow group whose top
// limb overflows becomes wide.
func (a *floatSum) carry(g uint32) {
	group := &a.groups[g]
	if !group.isBig && group.set {
		limbs := &group.limbs
		carryLimbs(limbs[:])
		if top := limbs[narrowLimbs-1]; top >= 1<<limbBits || top < -(1<<limbBits) {
			a.widen(g)
		}
	}
	if group.isBig {
		carryLimbs(a.wide[g][:])
	}
	group.adds = 1
}

// carryLimbs leaves every limb but the last in [0, 2^32).
func carryLimbs(limbs []int64) {
	for i := 0; i < len(limbs)-1; i++ {
		c := limbs[i] >> limbBits
		limbs[i] -= c << limbBits
		limbs[i+1] += c
	}
}

func (a *floatSum) Merge(into uint32, src Accumulator, g uint32) {
	s := src.(*floatSum)
	from := &s.groups[g]
	a.groups[into].n += from.n
	a.groups[into].special |= from.special
	if from.adds == 0 {
		return
	}
	if uint64(a.groups[into].adds)+uint64(from.adds) > maxAdds {
		a.carry(into)
	}
	a.groups[into].adds += from.adds
	if from.isBig {
		a.addLimbs(into, 0, s.wide[g][:])
		return
	}
	a.addLimbs(into, int(from.base), from.limbs[:])
}

// addLimbs adds limbs, the first of which has number base.
func (a *floatSum) addLimbs(g uint32, base int, limbs []int64) {
	for len(limbs) > 0 && limbs[0] == 0 {
		base, limbs = base+1, limbs[1:]
	}
	for len(limbs) > 0 && limbs[len(limbs)-1] == 0 {
		limbs = limbs[:len(limbs)-1]
	}
	if len(limbs) == 0 {
		return
	}
	into := a.room(g, base, base+len(limbs))
	for i, v := range limbs {
		into[i] += v
	}
}

func (a *floatSum) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	group := &a.groups[g]
	if group.n == 0 {
		out.Null[i] = true
		return nil
	}
	sum, finite := a.sum(g)
	if a.avg && finite {
		sum = a.mean(g, sum)
	}
	if finite && a.result == column.Float4 {
		sum = float64(float32(sum))
	}
	if finite && math.IsInf(sum, 0) {
		return sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: overflow")
	}
	out.Float[i] = sum
	return nil
}

// sum gives the group's sum, and whether all its values are finite.
func (a *floatSum) sum(g uint32) (float64, bool) {
	group := &a.groups[g]
	switch group.special {
	case 0:
		f, _ := a.exact(g).Float64()
		return f, true
	case sawInf:
		return math.Inf(1), false
	case sawNegInf:
		return math.Inf(-1), false
	}
	return math.NaN(), false
}

func (a *floatSum) mean(g uint32, sum float64) float64 {
	return sum / float64(a.groups[g].n)
}

// exact gives the sum of the finite values.
func (a *floatSum) exact(g uint32) *big.Float {
	group := &a.groups[g]
	base, limbs := int(group.base), group.limbs[:]
	if group.isBig {
		base, limbs = 0, a.wide[g][:]
	}
	z := new(big.Int)
	for k := len(limbs) - 1; k >= 0; k-- {
		z.Lsh(z, limbBits)
		z.Add(z, big.NewInt(limbs[k]))
	}
	if z.Sign() == 0 {
		return new(big.Float)
	}
	f := new(big.Float).SetInt(z) // as precise as z needs
	return f.SetMantExp(f, base*limbBits-1074)
}

func (a *floatSum) Encode(dst []byte, g uint32) []byte {
	group := &a.groups[g]
	dst = binary.AppendVarint(dst, group.n)
	if group.n == 0 {
		return dst
	}
	dst = append(dst, group.special)
	if group.adds > 0 {
		a.carry(g)
		group = &a.groups[g]
	}
	base, limbs := int(group.base), group.limbs[:]
	if group.isBig {
		base, limbs = 0, a.wide[g][:]
	}
	for len(limbs) > 0 && limbs[0] == 0 {
		base, limbs = base+1, limbs[1:]
	}
	for len(limbs) > 0 && limbs[len(limbs)-1] == 0 {
		limbs = limbs[:len(limbs)-1]
	}
	dst = append(dst, uint8(len(limbs)), uint8(base))
	for _, v := range limbs {
		dst = binary.AppendVarint(dst, v)
	}
	return dst
}

func (a *floatSum) Decode(src []byte, g uint32) (rest []byte, err error) {
	group := floatGroup{}
	if group.n, src, err = takeVarint(src); err != nil {
		return nil, err
	}
	delete(a.wide, g)
	a.groups[g] = group
	if group.n == 0 {
		return src, nil
	}
	if len(src) < 3 {
		return nil, ErrCorrupt
	}
	a.groups[g].special = src[0]
	n, base := int(src[1]), int(src[2])
	src = src[3:]
	if base+n > wideLimbs {
		return nil, ErrCorrupt
	}
	if n == 0 {
		return src, nil
	}
	var limbs [wideLimbs]int64
	for i := range n {
		if limbs[i], src, err = takeVarint(src); err != nil {
			return nil, err
		}
	}
	a.groups[g].adds = 1
	a.addLimbs(g, base, limbs[:n])
	return src, nil
}

func (a *floatSum) Clear() {
	a.groups = a.groups[:0]
	clear(a.wide)
}

func (a *floatSum) Bytes() int64 {
	return int64(cap(a.groups))*72 + int64(len(a.wide))*(wideLimbs*8+16)
}
