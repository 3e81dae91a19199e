package aggregate

import (
	"math/big"
	"math/bits"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// moment says which of the functions of squared deviations is wanted.
type moment struct {
	sample bool // divided by one less than the number of values
	root   bool // the standard deviation
}

// divisor is n·n or n·(n-1), by which n·Σx² - (Σx)² is divided. It is nil
// where the result is NULL.
func (m moment) divisor(n int64) *big.Int {
	second := n
	if m.sample {
		second--
	}
	if second < 1 {
		return nil
	}
	return new(big.Int).Mul(big.NewInt(n), big.NewInt(second))
}

// numericVariance is the variances and standard deviations of integers and
// numerics: from the exact sums of the values and of their squares, as
// PostgreSQL computes them.
type numericVariance struct {
	moment
	integers bool
	sum      numericSum
	squares  numericSum
}

func (a *numericVariance) Grow(n int) {
	a.sum.Grow(n)
	a.squares.Grow(n)
}

func (a *numericVariance) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		r := rows.Rows[k]
		if arg.Null[r] {
			continue
		}
		sum, squares := &a.sum.groups[g], &a.squares.groups[g]
		sum.n++
		squares.n++
		if a.integers {
			a.addInt(g, arg.Int[r], 0)
			continue
		}
		encoded := arg.Bytes(int(r))
		if coef, scale, ok := decimal.DecodeInt64(encoded); ok {
			a.addInt(g, coef, scale)
			continue
		}
		d := decimal.Decode(encoded)
		a.sum.addDecimal(g, d)
		if sum.special == 0 {
			coef, scale := d.Coefficient()
			a.squares.addBig(g, new(big.Int).Mul(coef, coef), 2*scale)
		}
	}
}

// addInt adds coef·10^-scale, and its square.
func (a *numericVariance) addInt(g uint32, coef int64, scale int32) {
	if !a.sum.addSmall(&a.sum.groups[g], coef, scale) {
		a.sum.addBig(g, big.NewInt(coef), scale)
	}
	if !a.squares.addSquare(&a.squares.groups[g], coef, scale) {
		square := big.NewInt(coef)
		a.squares.addBig(g, square.Mul(square, square), 2*scale)
	}
}

// maxSquare is the upper half of the greatest square that addSquare adds to a
// sum of less than 2^126.
const maxSquare = 1 << 61

// addSquare adds (coef·10^-scale)² if that needs neither a rescaling of the
// sum nor more than 128 bits. The sum's scale is even.
func (a *numericSum) addSquare(group *numericGroup, coef int64, scale int32) bool {
	if group.n == 1 && 2*scale > group.scale {
		group.scale = 2 * scale // the sum is zero still
	}
	if group.isBig || 2*scale > group.scale {
		return false
	}
	magnitude := uint64(max(coef, -coef)) // of the least integer, too
	if more := group.scale/2 - scale; more > 0 {
		factor, ok := pow10(more)
		hi, lo := bits.Mul64(magnitude, uint64(factor))
		if !ok || hi != 0 {
			return false
		}
		magnitude = lo
	}
	hi, lo := bits.Mul64(magnitude, magnitude)
	if hi > maxSquare || group.sum.hi > maxSquare {
		return false
	}
	group.sum.addWide(int128{hi: int64(hi), lo: lo})
	return true
}

func (a *numericVariance) Merge(into uint32, src Accumulator, g uint32) {
	s := src.(*numericVariance)
	a.sum.Merge(into, &s.sum, g)
	a.squares.Merge(into, &s.squares, g)
}

func (a *numericVariance) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	group := &a.sum.groups[g]
	divisor := a.divisor(group.n)
	if divisor == nil {
		out.Null[i] = true
		return nil
	}
	if group.special != 0 {
		setDecimal(out, i, decimal.NaN())
		return nil
	}
	sum := a.sum.value(g)
	deviation := new(big.Int).Mul(a.squares.value(g), big.NewInt(group.n))
	deviation.Mul(deviation, bigPow10(2*group.scale-a.squares.groups[g].scale))
	deviation.Sub(deviation, sum.Mul(sum, sum))
	if deviation.Sign() <= 0 {
		setDecimal(out, i, decimal.FromInt64(0))
		return nil
	}
	result, err := decimal.FromBig(deviation, 2*group.scale).Div(decimal.FromBig(divisor, 0))
	if err == nil && a.root {
		result, err = result.SqrtTo(result.Scale())
	}
	if err != nil {
		return err
	}
	setDecimal(out, i, result)
	return nil
}

func (a *numericVariance) Encode(dst []byte, g uint32) []byte {
	return a.squares.Encode(a.sum.Encode(dst, g), g)
}

func (a *numericVariance) Decode(src []byte, g uint32) (rest []byte, err error) {
	if rest, err = a.sum.Decode(src, g); err != nil {
		return nil, err
	}
	return a.squares.Decode(rest, g)
}

func (a *numericVariance) Clear() {
	a.sum.Clear()
	a.squares.Clear()
}

func (a *numericVariance) Bytes() int64 { return a.sum.Bytes() + a.squares.Bytes() }
