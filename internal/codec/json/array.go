package json

import (
	"bytes"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// arrayTarget is what a column of arrays keeps for their elements.
type arrayTarget struct {
	target
	values *column.Vector
}

var errNoArray = sqlerr.New(sqlerr.InvalidTextRepresentation, "expected JSON array")

// elementsOf sets value i of v to the array that raw is: its elements are
// converted as a column's values are. Arrays in arrays, which PostgreSQL makes
// further dimensions of, are refused.
func (d *Decoder) elementsOf(t *target, raw []byte, v *column.Vector, i int) (verdict, *sqlerr.Error) {
	if raw[0] != '[' {
		return plainVerdict, errNoArray
	}
	if t.elements == nil {
		element := *t
		element.Type, element.Needed = t.Type.Elem(), true
		t.elements = &arrayTarget{element, &column.Vector{}}
	}
	e := t.elements
	e.values.Reset(e.Type, 0)
	for at := 1; ; {
		at = space(raw, at)
		if raw[at] == ',' {
			at = space(raw, at+1)
		}
		if raw[at] == ']' {
			break
		}
		end := endOfValue(raw, at)
		value := raw[at:end]
		at = end
		switch j := e.values.Grow(); value[0] {
		case 'n':
		case '[':
			return plainVerdict, datum.ErrDimensions
		default:
			verdict, err := d.convert(&e.target, value, bytes.IndexByte(value, '\\') >= 0, e.values, j)
			if err != nil || verdict != plainVerdict {
				return verdict, err
			}
		}
	}
	start := len(v.Buf)
	v.Buf = datum.AppendArray(v.Buf, e.values)
	v.FinishBytes(i, start)
	v.Null[i] = false
	return plainVerdict, nil
}

// endOfValue finds the end of a value of a document that was scanned.
func endOfValue(b []byte, at int) int {
	depth := 0
	for ; ; at++ {
		switch b[at] {
		case '"':
			for at++; b[at] != '"'; at++ {
				if b[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return at
			}
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return at
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return at + 1
		}
	}
}
