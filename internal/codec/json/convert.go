package json

import (
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// values converts what the scan has found in b into row of cols.
//
// PostgreSQL runs the inputs of all columns before it looks for NULLs, and
// takes words for the present without complaint: so those faults wait until
// no column has a graver one.
func (d *Decoder) values(b []byte, row int, cols []*column.Vector) (codec.Fault, bool) {
	null, reserved := -1, -1
	for j := range d.columns {
		t := &d.columns[j]
		v, i := t.scratch, 0
		if t.Needed {
			v, i = cols[t.index], row
		}
		n := t.node
		if n.seen != n.parent.visit || n.parent.parent != nil && !n.present() || b[n.start] == 'n' {
			if t.NotNull && null < 0 {
				null = j
			}
			if v != nil {
				v.Null[i] = true
			}
			continue
		}
		if v == t.scratch {
			v.Buf = v.Buf[:0]
		}
		verdict, err := d.convert(t, b[n.start:n.end], n.escaped, v, i)
		if err != nil {
			f := columnFault(t, n.start, err)
			f.Size = verdict == expanded
			return f, true
		}
		if verdict == present && reserved < 0 {
			reserved = j
		}
	}
	switch {
	case null >= 0:
		return d.columns[null].nullFault(), true
	case reserved >= 0:
		return d.columns[reserved].reservedFault(), true
	}
	return codec.Fault{}, false
}

func (t *target) nullFault() codec.Fault {
	position := -1
	if t.node.present() {
		position = t.node.start
	}
	return columnFault(t, position, sqlerr.New(sqlerr.NotNullViolation,
		`null value in column "%s" violates not-null constraint`, t.Name))
}

func (t *target) reservedFault() codec.Fault {
	f := columnFault(t, t.node.start, sqlerr.New(sqlerr.FeatureNotSupported,
		`input for column "%s" is a word for the present, which is another one at each reading`, t.Name))
	f.Reserved = true
	return f
}

// verdict is what convert says beside an error.
type verdict uint8

const (
	plainVerdict verdict = iota
	present              // the input is a word for the present
	expanded             // a limit of size was met
)

// convert sets value i of v from raw, the JSON text of a value that is not
// null.
func (d *Decoder) convert(t *target, raw []byte, escaped bool, v *column.Vector, i int) (verdict, *sqlerr.Error) {
	kind := t.Type.Kind
	if kind == column.JSONB {
		return jsonb(t, raw, v, i)
	}
	if kind.IsArray() && raw[0] != '"' {
		return d.elementsOf(t, raw, v, i)
	}
	text := raw
	if raw[0] == '"' {
		text = raw[1 : len(raw)-1]
		if escaped {
			d.text = unescape(d.text[:0], text)
			text = d.text
		}
	}
	if t.Epoch != codec.NoEpoch {
		return plainVerdict, epochInput(t, raw[0], text, v, i)
	}
	fast := false
	switch kind {
	case column.Text:
		v.SetBytes(i, text)
		fast = true
	case column.Varchar:
		// No more bytes than characters allowed: then it fits.
		if fast = t.Type.Length == 0 || len(text) <= int(t.Type.Length) || utf8.RuneCount(text) <= int(t.Type.Length); fast {
			v.SetBytes(i, text)
		}
	case column.Float8, column.Float4:
		fast = floatInput(v, i, text)
	case column.Int8, column.Int4, column.Int2:
		fast = intInput(v, i, text)
	case column.Numeric:
		fast = numericInput(v, i, text)
	case column.Bool:
		fast = boolInput(v, i, text)
	case column.Timestamptz, column.Timestamp:
		fast = timestampInput(v, i, text)
	case column.Date:
		fast = dateInput(v, i, text)
	case column.UUID:
		fast = uuidInput(v, i, text)
	}
	if fast {
		v.Null[i] = false
		return plainVerdict, nil
	}
	if (kind.IsTime() || kind == column.Time) && datum.Reserved(text, kind) {
		return present, nil
	}
	return plainVerdict, datum.Input(v, i, text)
}
