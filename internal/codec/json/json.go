package json

import (
	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
)

// Decoder decodes JSON records. It serves one goroutine.
type Decoder struct {
	columns []target
	root    *node
	array   bool // a document is an array: every path begins with an index

	visits uint64 // the last number given to a node.visit

	// The scan of the present record.
	seen   uint64 // all bytes of strings, or-ed: tells whether any is not ASCII
	failed failure
	bad    escapeFault
	open   [(codec.MaxDepth + 63) / 64]uint64 // what skip has open
	name   []byte                             // a key without escapes
	text   []byte                             // a value without escapes
}

// target is a column and where its value lies.
type target struct {
	codec.Column
	index   int // among the columns given to New
	node    *node
	path    string
	scratch *column.Vector // takes the value where the column isn't needed

	elements *arrayTarget // of a column of arrays
}

// New gives a decoder of records with these columns.
func New(columns []codec.Column) *Decoder {
	d := &Decoder{root: &node{}, array: len(columns) > 0}
	for _, c := range columns {
		d.array = d.array && !c.Path[0].Member
	}
	for j, c := range columns {
		if !c.Needed && !c.NotNull && alwaysFits(c) {
			continue // what the scan says is all there is to check
		}
		t := target{Column: c, index: j, node: d.root.place(c.Path), path: pathText(c.Path)}
		if !c.Needed {
			t.scratch = column.NewVector(c.Type, 1)
		}
		d.columns = append(d.columns, t)
	}
	return d
}

// alwaysFits tells the columns that take any value of a document.
func alwaysFits(c codec.Column) bool {
	return c.Type.Kind == column.Text || c.Type.Kind == column.Varchar && c.Type.Length == 0
}

// Decode implements codec.Decoder.
func (d *Decoder) Decode(payloads [][]byte, cols []*column.Vector, faults []codec.Fault) []codec.Fault {
	for i := range d.columns {
		if t := &d.columns[i]; t.Needed {
			cols[t.index].Reset(t.Type, len(payloads))
		}
	}
	for row, payload := range payloads {
		fault, failed := d.document(payload)
		if !failed {
			fault, failed = d.values(payload, row, cols)
		}
		if failed {
			fault.Row = row
			faults = append(faults, fault)
			d.clear(row, cols)
		}
	}
	return faults
}

func (d *Decoder) clear(row int, cols []*column.Vector) {
	for i := range d.columns {
		if t := &d.columns[i]; t.Needed {
			cols[t.index].Null[row] = true
		}
	}
}

// document scans a payload from its first byte to its last.
func (d *Decoder) document(b []byte) (codec.Fault, bool) {
	if len(b) > codec.MaxRecordBytes {
		return sizeFault(len(b)), true
	}
	d.seen, d.bad.found = 0, false
	d.visits++
	d.root.visit = d.visits
	start := space(b, 0)
	c := at(b, start)
	var end int
	switch {
	case c == '{' && !d.array:
		end = d.object(b, start, d.root, 0)
	case c == '[' && d.array:
		end = d.elements(b, start, d.root, 0)
	default:
		end = d.skip(b, start, 0)
	}
	if end >= 0 {
		if end = space(b, end); end < len(b) {
			end = d.fail(end)
		}
	}
	if end < 0 || d.seen&highs != 0 || d.bad.found || c != '{' || d.array {
		return d.documentFault(b, end < 0, start, c)
	}
	return codec.Fault{}, false
}
