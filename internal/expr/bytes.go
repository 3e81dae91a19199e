package expr

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"math"
	mathbits "math/bits"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// byteaFunctions are the functions and operators of bytea.
func byteaFunctions() []*Function {
	const b, text, integer, big = column.Bytea, column.Text, column.Int4, column.Int8
	const noLike = "compare bytes with =, or look for them with position"
	return []*Function{
		line("||", kinds(b, b), b, concatenate, "the bytes one after the other"),
		line("length", kinds(b), integer, countBytes(1), "number of bytes"),
		line("octet_length", kinds(b), integer, countBytes(1), "number of bytes"),
		line("bit_length", kinds(b), integer, countBytes(8), "number of bits"),
		line("bit_count", kinds(b), big, countOnes, "number of bits that are set"),
		line("substring", kinds(b, integer), b, cutBytes, "from a byte (counted from 1) to the end"),
		line("substring", kinds(b, integer, integer), b, cutBytes, "from a byte (counted from 1), so many bytes"),
		line("substr", kinds(b, integer), b, cutBytes, "from a byte (counted from 1) to the end"),
		line("substr", kinds(b, integer, integer), b, cutBytes, "from a byte (counted from 1), so many bytes"),
		line("position", kinds(b, b), integer, findBytes, "place of bytes in others, 0 if they aren't there: `position(x in y)`"),
		line("overlay", kinds(b, b, integer), b, overlayBytes, "a part replaced: `overlay(x placing y from 2)`"),
		line("overlay", kinds(b, b, integer, integer), b, overlayBytes, "a part replaced: `overlay(x placing y from 2 for 3)`"),
		line("btrim", kinds(b, b), b, trimBytes(true, true), "without any of these bytes at both ends"),
		line("ltrim", kinds(b, b), b, trimBytes(true, false), "without any of these bytes at the start"),
		line("rtrim", kinds(b, b), b, trimBytes(false, true), "without any of these bytes at the end"),
		line("get_byte", kinds(b, integer), integer, getByte, "the byte with a number (counted from 0)"),
		line("set_byte", kinds(b, integer, integer), b, setByte, "the bytes with the one of a number (counted from 0) set"),
		line("get_bit", kinds(b, big), integer, getBit, "the bit with a number (counted from 0, in each byte from the lowest)"),
		line("set_bit", kinds(b, big, integer), b, setBit, "the bytes with the bit of a number (counted from 0) set"),
		line("md5", kinds(b), text, md5Of, "MD5 hash, as hexadecimal digits"),
		line("sha224", kinds(b), b, digest(func(s []byte) []byte { h := sha256.Sum224(s); return h[:] }), "SHA-224 hash"),
		line("sha256", kinds(b), b, digest(func(s []byte) []byte { h := sha256.Sum256(s); return h[:] }), "SHA-256 hash; of a text without backslashes `sha256(x::bytea)`"),
		line("sha384", kinds(b), b, digest(func(s []byte) []byte { h := sha512.Sum384(s); return h[:] }), "SHA-384 hash"),
		line("sha512", kinds(b), b, digest(func(s []byte) []byte { h := sha512.Sum512(s); return h[:] }), "SHA-512 hash"),
		line("encode", kinds(b, text), text, encodeBytes, "bytes as text, in `hex`, `base64` or `escape`"),
		line("decode", kinds(text, text), b, decodeText, "bytes of a text in `hex`, `base64` or `escape`"),
		refused("~~", kinds(b, b), column.Bool, noLike),
		refused("!~~", kinds(b, b), column.Bool, noLike),
		refused("like_escape", kinds(b, b), b, noLike),
	}
}

func countOnes(f *frame) {
	for _, i := range f.sel {
		n := 0
		for _, c := range f.bytes(0, i) {
			n += mathbits.OnesCount8(c)
		}
		f.out.Int[i] = int64(n)
	}
}

// cutBytes is substring(x, from[, length]).
func cutBytes(f *frame) {
	from := f.args[1].Int
	for _, i := range f.sel {
		s := f.bytes(0, i)
		start, end := from[i]-1, int64(math.MaxInt64)
		if len(f.args) == 3 {
			length := f.args[2].Int[i]
			if length < 0 {
				f.fail(i, errNegativeSubstring)
				continue
			}
			end = start + length
		}
		f.out.SetBytes(int(i), sliceOf(s, start, end))
	}
}

// sliceOf gives the bytes from start up to but without end, which may lie
// outside of s.
func sliceOf(s []byte, start, end int64) []byte {
	start, end = max(start, 0), min(end, int64(len(s)))
	if start >= end {
		return nil
	}
	return s[start:end]
}

func findBytes(f *frame) {
	for _, i := range f.sel {
		f.out.Int[i] = int64(bytes.Index(f.bytes(0, i), f.bytes(1, i))) + 1
	}
}

// overlayBytes is overlayText for bytes.
func overlayBytes(f *frame) {
	for _, i := range f.sel {
		s, t, from := f.bytes(0, i), f.bytes(1, i), f.args[2].Int[i]
		length := int64(len(t))
		if len(f.args) == 4 {
			length = f.args[3].Int[i]
		}
		if from <= 0 {
			f.fail(i, errNegativeSubstring)
			continue
		}
		end := from + length
		if int64(int32(end)) != end {
			f.fail(i, errIntegerRange)
			continue
		}
		start := len(f.out.Buf)
		f.out.Buf = append(f.out.Buf, sliceOf(s, 0, from-1)...)
		f.out.Buf = append(f.out.Buf, t...)
		f.out.Buf = append(f.out.Buf, sliceOf(s, end-1, math.MaxInt64)...)
		f.finish(i, start)
	}
}

func trimBytes(start, end bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			s, set := f.bytes(0, i), f.bytes(1, i)
			for start && len(s) > 0 && bytes.IndexByte(set, s[0]) >= 0 {
				s = s[1:]
			}
			for end && len(s) > 0 && bytes.IndexByte(set, s[len(s)-1]) >= 0 {
				s = s[:len(s)-1]
			}
			f.out.SetBytes(int(i), s)
		}
	}
}

// indexed gives row i's bytes and a place in them, counted in units of which
// a byte has so many, or fails the row.
func (f *frame) indexed(i int32, perByte int64) (s []byte, at int64, ok bool) {
	s, at = f.bytes(0, i), f.args[1].Int[i]
	if n := int64(len(s)) * perByte; at < 0 || at >= n {
		f.fail(i, sqlerr.New(sqlerr.ArraySubscriptError, "index %d out of valid range, 0..%d", at, n-1))
		return nil, 0, false
	}
	return s, at, true
}

func getByte(f *frame) {
	for _, i := range f.sel {
		if s, at, ok := f.indexed(i, 1); ok {
			f.out.Int[i] = int64(s[at])
		}
	}
}

func setByte(f *frame) {
	for _, i := range f.sel {
		if s, at, ok := f.indexed(i, 1); ok {
			start := len(f.out.Buf)
			f.out.Buf = append(f.out.Buf, s...)
			f.out.Buf[start+int(at)] = byte(f.args[2].Int[i])
			f.finish(i, start)
		}
	}
}

func getBit(f *frame) {
	for _, i := range f.sel {
		if s, at, ok := f.indexed(i, 8); ok {
			f.out.Int[i] = int64(s[at/8] >> (at % 8) & 1)
		}
	}
}

var errBigintRange = sqlerr.New(sqlerr.NumericValueOutOfRange, "bigint out of range")

var errNewBit = sqlerr.New(sqlerr.InvalidParameterValue, "new bit must be 0 or 1")

func setBit(f *frame) {
	for _, i := range f.sel {
		s, at, ok := f.indexed(i, 8)
		if !ok {
			continue
		}
		bit := f.args[2].Int[i]
		if bit != 0 && bit != 1 {
			f.fail(i, errNewBit)
			continue
		}
		start := len(f.out.Buf)
		f.out.Buf = append(f.out.Buf, s...)
		b := &f.out.Buf[start+int(at/8)]
		*b = *b&^(1<<(at%8)) | byte(bit<<(at%8))
		f.finish(i, start)
	}
}

func md5Of(f *frame) {
	for _, i := range f.sel {
		sum := md5.Sum(f.bytes(0, i))
		start := len(f.out.Buf)
		f.out.Buf = hex.AppendEncode(f.out.Buf, sum[:])
		f.finish(i, start)
	}
}

func digest(of func([]byte) []byte) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.out.SetBytes(int(i), of(f.bytes(0, i)))
		}
	}
}
