package contender

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
)

// member is one of an object, in the order in which they are expected.
type member struct {
	name   string
	number bool // else a string
	slot   int  // where its value goes; none: -1
}

const none = -1

// maxSlots is how many values a query takes of a record.
const maxSlots = 3

// values are those of a record, without quotes; they lie in the fetched bytes.
type values [maxSlots][]byte

// layout scans objects of known members. An object that is written in the
// expected way is checked to its last byte on a fast path: what stands between
// two values is compared as one text, and values are searched for their end
// eight bytes at a time. Anything else, such as another order, spaces or
// escapes, goes to encoding/json.
type layout struct {
	members []member
	before  []string // what stands before each value, from the end of the last
	after   string
}

func newLayout(members ...member) *layout {
	l := &layout{members: members, after: "}"}
	text := "{"
	for _, m := range members {
		text += `"` + m.name + `":`
		if !m.number {
			text += `"`
		}
		l.before = append(l.before, text)
		text, l.after = `,`, `}`
		if !m.number {
			text, l.after = `",`, `"}`
		}
	}
	return l
}

// scan finds a record's values.
func (l *layout) scan(b []byte, out *values) error {
	if l.fast(b, out) {
		return nil
	}
	return l.slow(b, out)
}

func (l *layout) fast(b []byte, out *values) bool {
	i := 0
	for k, before := range l.before {
		if len(b)-i < len(before) || string(b[i:i+len(before)]) != before {
			return false
		}
		i += len(before)
		start := i
		m := &l.members[k]
		if m.number {
			i = endOfNumber(b, i)
		} else {
			i = endOfString(b, i)
		}
		if i < 0 {
			return false
		}
		if m.slot >= 0 {
			out[m.slot] = b[start:i]
		}
	}
	return string(b[i:]) == l.after
}

// Bytes of one kind, eight times.
const (
	ones     = 0x0101010101010101
	highs    = 0x8080808080808080
	quotes   = '"' * ones
	slashes  = '\\' * ones
	controls = 0x20 * ones
)

// endOfString gives the place of the closing quote, and -1 if there is
// anything before it that is no plain ASCII character. The test of eight bytes
// for a zero may be wrong above the first hit, which is the one that is used.
// https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord
func endOfString(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		q, s := w^quotes, w^slashes
		stop := ((q-ones)&^q | (s-ones)&^s | (w-controls)&^w | w) & highs
		if stop != 0 {
			i += bits.TrailingZeros64(stop) / 8
			if b[i] != '"' {
				return -1
			}
			return i
		}
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i
		case c == '\\' || c < 0x20 || c >= 0x80:
			return -1
		}
	}
	return -1
}

// endOfNumber gives the place after a JSON number without exponent, -1 if
// there is none.
func endOfNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == start || i > start+1 && b[start] == '0' {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		i++
		fraction := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		if i == fraction {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		return -1
	}
	return i
}

// slow reads an object as encoding/json does.
func (l *layout) slow(b []byte, out *values) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(b, &object); err != nil {
		return fmt.Errorf("record %.200q: %w", b, err)
	}
	for _, m := range l.members {
		if m.slot < 0 {
			continue
		}
		raw, ok := object[m.name]
		if !ok {
			return fmt.Errorf("record %.200q has no member %s", b, m.name)
		}
		out[m.slot] = raw
		if !m.number {
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("member %s: %w", m.name, err)
			}
			out[m.slot] = []byte(s)
		}
	}
	return nil
}
