package json

import (
	"encoding/binary"
	"math/bits"

	"github.com/millstream-dev/millstream/internal/codec"
)

// The scanning functions take the payload and a position, and give the
// position behind what they have read, or -1 after noting the fault. A
// position behind the end reads as the byte 0, which no grammar rule takes.

func load(b []byte, p int) uint64 { return binary.LittleEndian.Uint64(b[p : p+8 : len(b)]) }

func at(b []byte, p int) byte {
	if p < len(b) {
		return b[p]
	}
	return 0
}

func space(b []byte, p int) int {
	for p < len(b) && (b[p] == ' ' || b[p] == '\n' || b[p] == '\t' || b[p] == '\r') {
		p++
	}
	return p
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stops marks, with the high bit of its byte, the first byte of x that ends a
// run of plain characters: a quote, a backslash or a control character. Marks
// behind the first may be wrong.
//
// Flipping bit 1 moves the quote (0x22) to 0x20 and keeps the control
// characters below it, so one subtraction finds both.
func stops(x uint64) uint64 {
	return (((x ^ ones*0x02) - ones*0x21) | ((x ^ ones*'\\') - ones)) &^ x & highs
}

// plain gives the position of the first byte from p on that is a quote, a
// backslash or a control character, or len(b).
func (d *Decoder) plain(b []byte, p int) int {
	var seen uint64
	for p+8 <= len(b) {
		x := load(b, p)
		seen |= x
		if m := stops(x); m != 0 {
			d.seen |= seen
			return p + bits.TrailingZeros64(m)>>3
		}
		p += 8
	}
	for p < len(b) {
		c := b[p]
		if c == '"' || c == '\\' || c < 0x20 {
			break
		}
		seen |= uint64(c)
		p++
	}
	d.seen |= seen
	return p
}

// str reads a string whose first character is at p, behind the quote.
//
// It begins as plain does, in place: most strings are short, and end here.
func (d *Decoder) str(b []byte, p int) (end int, escaped bool) {
	var seen uint64
	for p+8 <= len(b) {
		x := load(b, p)
		seen |= x
		if m := stops(x); m != 0 {
			d.seen |= seen
			p += bits.TrailingZeros64(m) >> 3
			if b[p] == '"' {
				return p + 1, false
			}
			return d.escapes(b, p)
		}
		p += 8
	}
	d.seen |= seen
	p = d.plain(b, p)
	if p < len(b) && b[p] == '"' {
		return p + 1, false
	}
	return d.escapes(b, p)
}

// escapes reads the rest of a string from its first backslash on.
func (d *Decoder) escapes(b []byte, p int) (end int, escaped bool) {
	for {
		switch at(b, p) {
		case '"':
			return p + 1, true
		case '\\':
			if p = d.escape(b, p); p < 0 {
				return -1, true
			}
		default: // a control character or the end
			return d.fail(p), true
		}
		p = d.plain(b, p)
	}
}

// escape reads one escape, or a pair of surrogates, at the backslash p.
func (d *Decoder) escape(b []byte, p int) int {
	switch at(b, p+1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return p + 2
	case 'u':
	default:
		return d.fail(p + 1)
	}
	r, bad := hex4(b, p+2)
	if bad >= 0 {
		return d.fail(bad)
	}
	switch {
	case r == 0:
		d.unsupported(p, true)
	case r >= 0xDC00 && r < 0xE000:
		d.unsupported(p, false)
	case r >= 0xD800 && r < 0xDC00:
		if at(b, p+6) == '\\' && at(b, p+7) == 'u' {
			low, bad := hex4(b, p+8)
			if bad >= 0 {
				return d.fail(bad)
			}
			if low >= 0xDC00 && low < 0xE000 {
				return p + 12
			}
		}
		d.unsupported(p, false)
	}
	return p + 6
}

// hex4 reads four hexadecimal digits; bad is the position of the first byte
// that is none, or -1.
func hex4(b []byte, p int) (r rune, bad int) {
	for i := p; i < p+4; i++ {
		c := at(b, i)
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, i
		}
		r = r<<4 | rune(c)
	}
	return r, -1
}

func digits(b []byte, p int) int {
	for p < len(b) && b[p]-'0' <= 9 {
		p++
	}
	return p
}

// number reads a number that begins at p with a minus sign or a digit.
func (d *Decoder) number(b []byte, p int) int {
	if b[p] == '-' {
		p++
	}
	switch c := at(b, p); {
	case c == '0':
		p++
	case c >= '1' && c <= '9':
		p = digits(b, p+1)
	default:
		return d.fail(p)
	}
	if at(b, p) == '.' {
		q := digits(b, p+1)
		if q == p+1 {
			return d.fail(q)
		}
		p = q
	}
	if at(b, p)|0x20 == 'e' {
		p++
		if c := at(b, p); c == '+' || c == '-' {
			p++
		}
		q := digits(b, p)
		if q == p {
			return d.fail(q)
		}
		p = q
	}
	return p
}

// word reads true, false or null.
func (d *Decoder) word(b []byte, p int, word string) int {
	for i := range len(word) {
		if at(b, p+i) != word[i] {
			return d.fail(p + i)
		}
	}
	return p + len(word)
}

// scalar reads a value that is neither object nor array.
func (d *Decoder) scalar(b []byte, p int) (end int, escaped bool) {
	switch c := at(b, p); {
	case c == '"':
		return d.str(b, p+1)
	case c-'0' <= 9 || c == '-':
		return d.number(b, p), false
	case c == 't':
		return d.word(b, p, "true"), false
	case c == 'f':
		return d.word(b, p, "false"), false
	case c == 'n':
		return d.word(b, p, "null"), false
	}
	return d.fail(p), false
}

// key reads a member's key and colon, and the spaces around them. p is at the
// quote, or is not, which is a fault.
func (d *Decoder) key(b []byte, p int) int {
	if at(b, p) != '"' {
		return d.fail(p)
	}
	p, _ = d.str(b, p+1)
	if p < 0 {
		return -1
	}
	return d.colon(b, p)
}

func (d *Decoder) colon(b []byte, p int) int {
	p = space(b, p)
	if at(b, p) != ':' {
		return d.fail(p)
	}
	return space(b, p+1)
}

// skip checks a value of any shape that begins at p, inside of depth open
// objects and arrays. What is open is a stack of bits, so a deep document
// takes no stack of ours.
func (d *Decoder) skip(b []byte, p, depth int) int {
	if c := at(b, p); c != '{' && c != '[' {
		p, _ = d.scalar(b, p)
		return p
	}
	for base := depth; ; {
		// A value begins at p.
		switch c := at(b, p); c {
		case '{', '[':
			if depth == codec.MaxDepth {
				return d.tooDeep(p)
			}
			d.push(depth, c == '{')
			depth++
			p = space(b, p+1)
			if at(b, p) != c+2 { // the closing byte is the opening one plus 2
				if c == '{' {
					if p = d.key(b, p); p < 0 {
						return -1
					}
				}
				continue
			}
			depth--
			p++
		default:
			if p, _ = d.scalar(b, p); p < 0 {
				return -1
			}
		}
		// A value has ended at p: close what closes here.
		for {
			if depth == base {
				return p
			}
			p = space(b, p)
			c := at(b, p)
			object := d.isObject(depth - 1)
			if c == ',' {
				p = space(b, p+1)
				if object {
					if p = d.key(b, p); p < 0 {
						return -1
					}
				}
				break
			}
			if object && c != '}' || !object && c != ']' {
				return d.fail(p)
			}
			depth--
			p++
		}
	}
}

func (d *Decoder) push(depth int, object bool) {
	word, bit := &d.open[depth>>6], uint64(1)<<(depth&63)
	if object {
		*word |= bit
	} else {
		*word &^= bit
	}
}

func (d *Decoder) isObject(depth int) bool { return d.open[depth>>6]>>(depth&63)&1 != 0 }
