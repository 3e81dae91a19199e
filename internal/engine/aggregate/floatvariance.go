package aggregate

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// floatVariance is the variances and standard deviations of real and double
// precision. PostgreSQL's depend on the order of rows in their last digits,
// and lose digits where values lie close together; these follow from the
// exact sums of the values and of their squares, and are rounded once.
//
// The square of a float64 is the sum of two: the product, and what rounding
// it has left out, which one fused multiplication gives. That holds where
// neither leaves the range of float64; the rare value whose square does is
// squared and summed exactly in a big.Float.
type floatVariance struct {
	moment
	sum     floatSum
	squares floatSum // the products
	rest    floatSum // what rounding them has left out: small, and of both signs
	rare    map[uint32]*big.Float
}

const (
	// leastSquared and mostSquared bound the values whose squares are two
	// float64: below, what is left out would be less than the least float64.
	leastSquared = 0x1p-480
	mostSquared  = 0x1p511
	// exactBits hold the sums of squares of any float64, n times as much, and
	// the square of their sum: from 2^-2148 to 2^2176.
	exactBits = 4500
	// quotientBits are so many more than a float64 has that rounding twice
	// makes no difference that can be seen.
	quotientBits = 256
)

func (a *floatVariance) Grow(n int) {
	a.sum.Grow(n)
	a.squares.Grow(n)
	a.rest.Grow(n)
}

func (a *floatVariance) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		r := rows.Rows[k]
		if arg.Null[r] {
			continue
		}
		x := arg.Float[r]
		a.sum.groups[g].n++
		a.sum.add(g, x)
		a.addSquare(g, x)
	}
}

func (a *floatVariance) addSquare(g uint32, x float64) {
	switch size := math.Abs(x); {
	case size >= leastSquared && size < mostSquared:
		square := x * x
		a.squares.groups[g].n++
		a.squares.add(g, square)
		if rest := math.FMA(x, x, -square); rest != 0 {
			a.rest.groups[g].n++
			a.rest.add(g, rest)
		}
	case x != 0 && !math.IsNaN(x) && !math.IsInf(x, 0):
		exact := new(big.Float).SetPrec(exactBits).SetFloat64(x)
		a.addRare(g, exact.Mul(exact, exact))
	}
}

// addRare adds a square, which is not kept.
func (a *floatVariance) addRare(g uint32, square *big.Float) {
	if a.rare == nil {
		a.rare = map[uint32]*big.Float{}
	}
	if had := a.rare[g]; had != nil {
		had.Add(had, square)
		return
	}
	a.rare[g] = new(big.Float).Copy(square)
}

func (a *floatVariance) Merge(into uint32, src Accumulator, g uint32) {
	s := src.(*floatVariance)
	a.sum.Merge(into, &s.sum, g)
	a.squares.Merge(into, &s.squares, g)
	a.rest.Merge(into, &s.rest, g)
	if square := s.rare[g]; square != nil {
		a.addRare(into, square)
	}
}

func (a *floatVariance) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	group := &a.sum.groups[g]
	divisor := a.divisor(group.n)
	if divisor == nil {
		out.Null[i] = true
		return nil
	}
	if group.special != 0 {
		out.Float[i] = math.NaN()
		return nil
	}
	exact := func(x *big.Float) *big.Float { return new(big.Float).SetPrec(exactBits).Set(x) }
	deviation, sum := exact(a.squares.exact(g)), exact(a.sum.exact(g))
	deviation.Add(deviation, a.rest.exact(g))
	if square := a.rare[g]; square != nil {
		deviation.Add(deviation, square)
	}
	deviation.Mul(deviation, new(big.Float).SetInt64(group.n))
	deviation.Sub(deviation, sum.Mul(sum, sum))
	if deviation.Sign() <= 0 {
		out.Float[i] = 0
		return nil
	}
	deviation.SetPrec(quotientBits)
	deviation.Quo(deviation, new(big.Float).SetInt(divisor))
	if a.root {
		deviation.Sqrt(deviation)
	}
	result, _ := deviation.Float64()
	if math.IsInf(result, 0) {
		return sqlerr.New(sqlerr.NumericValueOutOfRange, "value out of range: overflow")
	}
	out.Float[i] = result
	return nil
}

func (a *floatVariance) Encode(dst []byte, g uint32) []byte {
	dst = a.rest.Encode(a.squares.Encode(a.sum.Encode(dst, g), g), g)
	square := a.rare[g]
	if square == nil {
		return binary.AppendUvarint(dst, 0)
	}
	text := square.Append(nil, 'p', 0) // all of its digits
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

func (a *floatVariance) Decode(src []byte, g uint32) (rest []byte, err error) {
	if rest, err = a.sum.Decode(src, g); err != nil {
		return nil, err
	}
	if rest, err = a.squares.Decode(rest, g); err != nil {
		return nil, err
	}
	if rest, err = a.rest.Decode(rest, g); err != nil {
		return nil, err
	}
	text, rest, err := takeBytes(rest)
	if err != nil {
		return nil, err
	}
	delete(a.rare, g)
	if len(text) == 0 {
		return rest, nil
	}
	square, ok := new(big.Float).SetPrec(exactBits).SetString(string(text))
	if !ok {
		return nil, ErrCorrupt
	}
	a.addRare(g, square)
	return rest, nil
}

func (a *floatVariance) Clear() {
	a.sum.Clear()
	a.squares.Clear()
	a.rest.Clear()
	clear(a.rare)
}

func (a *floatVariance) Bytes() int64 {
	return a.sum.Bytes() + a.squares.Bytes() + a.rest.Bytes() + int64(len(a.rare))*(exactBits/8+64)
}
