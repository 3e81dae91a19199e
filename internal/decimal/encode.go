package decimal

import (
	"encoding/binary"
	"math/big"
)

// The encoding of a numeric in a vector: a little-endian header of 16 bits,
// the scale in the lower 14 and a tag in the upper two, and a body. tagSmall:
// the coefficient as a little-endian int64. tagPositive, tagNegative: the
// magnitude of a coefficient that does not fit one, big-endian. tagSpecial:
// nothing, and the form stands in place of the scale.
const (
	tagSmall uint16 = iota << 14
	tagPositive
	tagNegative
	tagSpecial

	tagMask    = tagSpecial
	headerSize = 2
	smallSize  = headerSize + 8
)

// Encode appends d as it is stored in vectors and state.
func (d Decimal) Encode(dst []byte) []byte {
	switch {
	case d.form != finite:
		return binary.LittleEndian.AppendUint16(dst, tagSpecial|uint16(d.form))
	case d.big == nil:
		return EncodeInt64(dst, d.small, d.scale)
	}
	tag := tagPositive
	if d.big.Sign() < 0 {
		tag = tagNegative
	}
	dst = binary.LittleEndian.AppendUint16(dst, tag|uint16(d.scale))
	return appendMagnitude(dst, d.big)
}

func appendMagnitude(dst []byte, n *big.Int) []byte {
	start := len(dst)
	size := (n.BitLen() + 7) / 8
	for range size {
		dst = append(dst, 0)
	}
	n.FillBytes(dst[start:])
	return dst
}

// EncodeInt64 appends the encoding of coefficient / 10^scale, scale between 0
// and MaxScale.
func EncodeInt64(dst []byte, coefficient int64, scale int32) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, tagSmall|uint16(scale))
	return binary.LittleEndian.AppendUint64(dst, uint64(coefficient))
}

// DecodeInt64 is the fast way to an encoded numeric; ok is false when the
// coefficient does not fit an int64, for NaN and the infinities.
func DecodeInt64(b []byte) (coefficient int64, scale int32, ok bool) {
	if len(b) != smallSize {
		return 0, 0, false
	}
	header := binary.LittleEndian.Uint16(b)
	if header&tagMask != tagSmall {
		return 0, 0, false
	}
	return int64(binary.LittleEndian.Uint64(b[headerSize:])), int32(header), true
}

// Decode reads what Encode wrote. The result does not refer to b. Bytes that
// Encode does not write give NaN.
func Decode(b []byte) Decimal {
	if c, s, ok := DecodeInt64(b); ok {
		return Decimal{small: c, scale: s}
	}
	if len(b) < headerSize {
		return NaN()
	}
	header := binary.LittleEndian.Uint16(b)
	scale := int32(header &^ tagMask)
	switch header & tagMask {
	case tagPositive:
		return FromBig(new(big.Int).SetBytes(b[headerSize:]), scale)
	case tagNegative:
		n := new(big.Int).SetBytes(b[headerSize:])
		return FromBig(n.Neg(n), scale)
	case tagSpecial:
		if scale > 0 && scale <= int32(negativeInfinity) {
			return Decimal{form: form(scale)}
		}
	}
	return NaN()
}

// AppendKey appends a key of an encoded numeric: equal numbers of whatever
// scale give equal bytes, and no key is the beginning of another.
func AppendKey(dst, encoded []byte) []byte {
	if c, s, ok := DecodeInt64(encoded); ok {
		for s > 0 && c%10 == 0 {
			c, s = c/10, s-1
		}
		return EncodeInt64(dst, c, s)
	}
	d := Decode(encoded).normalize()
	if d.form != finite || d.big == nil {
		return d.Encode(dst)
	}
	tag := tagPositive
	if d.big.Sign() < 0 {
		tag = tagNegative
	}
	dst = binary.LittleEndian.AppendUint16(dst, tag|uint16(d.scale))
	dst = binary.LittleEndian.AppendUint32(dst, uint32((d.big.BitLen()+7)/8))
	return appendMagnitude(dst, d.big)
}

// normalize cuts the zeros at the end of the fraction.
func (d Decimal) normalize() Decimal {
	if d.form != finite {
		return d
	}
	for d.big != nil && d.scale > 0 {
		// Cut the longest power of two that divides, so that thousands of
		// zeros take few divisions.
		step := 1
		for step*2 <= int(d.scale) && divides(d.big, step*2) {
			step *= 2
		}
		if step == 1 && !divides(d.big, 1) {
			return d
		}
		d = FromBig(new(big.Int).Quo(d.big, power(step)), d.scale-int32(step))
	}
	for d.big == nil && d.scale > 0 && d.small%10 == 0 {
		d.small, d.scale = d.small/10, d.scale-1
	}
	return d
}

func divides(n *big.Int, zeros int) bool {
	return int(n.TrailingZeroBits()) >= zeros &&
		new(big.Int).Rem(n, power(zeros)).Sign() == 0
}
