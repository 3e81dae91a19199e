package json

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// failure is where the scan had to stop.
type failure struct {
	position int
	depth    bool // one more level would be too deep
}

// escapeFault is the first escape that is grammatical but stands for no
// character that text can hold.
type escapeFault struct {
	found    bool
	nul      bool // \u0000; else half of a surrogate pair
	position int
}

// fail notes that the grammar does not take the byte at p, and gives -1.
func (d *Decoder) fail(p int) int {
	d.failed = failure{position: p}
	return -1
}

func (d *Decoder) tooDeep(p int) int {
	d.failed = failure{position: p, depth: true}
	return -1
}

func (d *Decoder) unsupported(p int, nul bool) {
	if !d.bad.found {
		d.bad = escapeFault{found: true, nul: nul, position: p}
	}
}

// documentFault gives the fault that counts of a scanned payload, if there
// is one. c is the document's first byte, at start.
func (d *Decoder) documentFault(b []byte, stopped bool, start int, c byte) (codec.Fault, bool) {
	// A scan that came to the end has met no byte 0.
	if stopped || d.seen&highs != 0 && !utf8.Valid(b) {
		if p := invalidByte(b); p >= 0 {
			return fault(p, encodingError(b[p:])), true
		}
	}
	if stopped {
		if d.failed.depth {
			f := fault(d.failed.position, sqlerr.New(sqlerr.StatementTooComplex, "stack depth limit exceeded"))
			f.Size = true
			return f, true
		}
		return fault(d.failed.position, invalidJSON()), true
	}
	// json_to_record looks at a document's shape when it meets an array's
	// bracket, but not before it has read a whole scalar.
	object, array := c == '{', c == '['
	if array && !d.array {
		return fault(start, notAnObject("an array")), true
	}
	if d.bad.found {
		if d.bad.nul {
			return fault(d.bad.position, sqlerr.New(sqlerr.UntranslatableCharacter, "unsupported Unicode escape sequence")), true
		}
		return fault(d.bad.position, invalidJSON()), true
	}
	switch {
	case object && d.array:
		return fault(start, sqlerr.New(sqlerr.InvalidParameterValue, "cannot take elements of an object")), true
	case !object && !array:
		return fault(start, notAnObject("a scalar")), true
	}
	return codec.Fault{}, false
}

// maxMessage bounds a message, in which PostgreSQL quotes the whole value: a
// batch of bad records must not take its own size in messages.
const maxMessage = 4000

// columnFault gives the fault of a column whose value stands at position.
func columnFault(t *target, position int, err *sqlerr.Error) codec.Fault {
	if len(err.Message) > maxMessage {
		cut := maxMessage
		for !utf8.RuneStart(err.Message[cut]) {
			cut--
		}
		err = &sqlerr.Error{Code: err.Code, Message: strings.Clone(err.Message[:cut]) + "…"}
	}
	return codec.Fault{Column: t.index, Path: t.path, Position: position, Err: err}
}

func fault(position int, err *sqlerr.Error) codec.Fault {
	return codec.Fault{Column: -1, Position: position, Err: err}
}

func invalidJSON() *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type json")
}

// notAnObject is json_to_record's message, which names its inner function.
func notAnObject(shape string) *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "cannot call populate_composite on %s", shape)
}

func sizeFault(size int) codec.Fault {
	f := fault(codec.MaxRecordBytes, sqlerr.New(sqlerr.ProgramLimitExceeded,
		"record of %d bytes is longer than the limit of %d bytes", size, codec.MaxRecordBytes))
	f.Size = true
	return f
}

// invalidByte gives the position of the first character that UTF8 in
// PostgreSQL does not hold, the byte 0 among them, or -1.
func invalidByte(b []byte) int {
	for p := 0; p < len(b); {
		if c := b[p]; c < utf8.RuneSelf {
			if c == 0 {
				return p
			}
			p++
			continue
		}
		r, n := utf8.DecodeRune(b[p:])
		if r == utf8.RuneError && n == 1 {
			return p
		}
		p += n
	}
	return -1
}

// encodingError shows as many bytes as the character at the head of b would
// have by its first byte.
func encodingError(b []byte) *sqlerr.Error {
	n := 1
	switch c := b[0]; {
	case c&0xE0 == 0xC0:
		n = 2
	case c&0xF0 == 0xE0:
		n = 3
	case c&0xF8 == 0xF0:
		n = 4
	}
	message := []byte(`invalid byte sequence for encoding "UTF8":`)
	for _, c := range b[:min(n, len(b))] {
		message = fmt.Appendf(message, " 0x%02x", c)
	}
	return sqlerr.New(sqlerr.CharacterNotInRepertoire, "%s", message)
}
