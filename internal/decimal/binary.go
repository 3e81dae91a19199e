package decimal

import (
	"encoding/binary"
	"math/big"
)

// Signs of PostgreSQL's binary format.
const (
	binaryNegative         = 0x4000
	binaryNaN              = 0xC000
	binaryInfinity         = 0xD000
	binaryNegativeInfinity = 0xF000
	binaryInfinityScale    = 0x20 // what the server sends as infinities' scale
)

// AppendBinary appends the number as PostgreSQL's numeric_send gives it, in
// 16-bit words: count of digits, weight of the first, sign, display scale,
// then base-10,000 digits without zeros at either end.
func (d Decimal) AppendBinary(dst []byte) []byte {
	switch d.form {
	case nan:
		return append(dst, 0, 0, 0, 0, binaryNaN>>8, 0, 0, 0)
	case positiveInfinity:
		return append(dst, 0, 0, 0, 0, binaryInfinity>>8, 0, 0, binaryInfinityScale)
	case negativeInfinity:
		return append(dst, 0, 0, 0, 0, binaryNegativeInfinity>>8, 0, 0, binaryInfinityScale)
	}
	var room [16]uint16
	digits, weight := d.base10000(room[:0])
	var sign uint16
	if d.Sign() < 0 {
		sign = binaryNegative
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(digits)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(weight))
	dst = binary.BigEndian.AppendUint16(dst, sign)
	dst = binary.BigEndian.AppendUint16(dst, uint16(d.scale))
	for _, digit := range digits {
		dst = binary.BigEndian.AppendUint16(dst, digit)
	}
	return dst
}

// base10000 gives the digits of |d|, most significant first, and the weight
// of the first of them.
func (d Decimal) base10000(digits []uint16) ([]uint16, int) {
	if d.Sign() == 0 {
		return digits, 0
	}
	// Groups of four stand to both sides of the point: fill the last one up.
	fill := int(-d.scale) & 3
	groups := (int(d.scale) + fill) / 4
	if d.big == nil {
		digits = smallGroups(digits, magnitude(d.small), fill)
	} else {
		digits = bigGroups(digits, d.big, fill)
	}
	weight := len(digits) - 1 - groups
	for len(digits) > 0 && digits[len(digits)-1] == 0 {
		digits = digits[:len(digits)-1]
	}
	return digits, weight
}

// smallGroups gives u * 10^fill in groups of four decimal digits.
func smallGroups(digits []uint16, u uint64, fill int) []uint16 {
	var reversed [6]uint16
	n := 0
	if fill > 0 {
		low := uint64(smallPowers[4-fill])
		reversed[0] = uint16(u % low * uint64(smallPowers[fill]))
		u, n = u/low, 1
	}
	for ; u > 0; u /= 10000 {
		reversed[n] = uint16(u % 10000)
		n++
	}
	for n--; n >= 0; n-- {
		digits = append(digits, reversed[n])
	}
	return digits
}

func bigGroups(digits []uint16, n *big.Int, fill int) []uint16 {
	text := new(big.Int).Abs(n).Append(nil, 10)
	for range fill {
		text = append(text, '0')
	}
	for len(text) > 0 {
		width := len(text) & 3
		if width == 0 {
			width = 4
		}
		var group uint16
		for _, c := range text[:width] {
			group = group*10 + uint16(c-'0')
		}
		digits, text = append(digits, group), text[width:]
	}
	return digits
}
