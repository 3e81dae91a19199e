package decimal

import (
	"encoding/binary"
	"strconv"
)

// The first byte of AppendOrdered: it orders by form and sign.
const (
	orderedNegInf byte = iota
	orderedNegative
	orderedZero
	orderedPositive
	orderedInf
	orderedNaN
)

// AppendOrdered appends an encoded numeric as bytes that compare as numerics
// do: a byte for the sign, the place of the first digit, and the digits without
// zeros at the end; those of a negative number are inverted.
func AppendOrdered(dst, encoded []byte) []byte {
	var digits []byte
	var scratch [20]byte
	var negative bool
	c, scale, ok := DecodeInt64(encoded)
	if ok {
		if c == 0 {
			return append(dst, orderedZero)
		}
		negative = c < 0
		digits = strconv.AppendUint(scratch[:0], magnitude(c), 10)
	} else {
		d := Decode(encoded)
		switch {
		case d.IsNaN():
			return append(dst, orderedNaN)
		case d.IsInf() > 0:
			return append(dst, orderedInf)
		case d.IsInf() < 0:
			return append(dst, orderedNegInf)
		case d.Sign() == 0:
			return append(dst, orderedZero)
		}
		n, s := d.Coefficient()
		negative, scale = n.Sign() < 0, s
		digits = n.Append(nil, 10)
		if negative {
			digits = digits[1:]
		}
	}
	first := int64(len(digits)) - int64(scale)
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	sign := orderedPositive
	if negative {
		sign = orderedNegative
	}
	dst = append(dst, sign)
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(first+1<<31))
	dst = append(append(dst, digits...), 0)
	if negative {
		for i := at; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}
