package expr

import (
	"bytes"
	"strconv"
	"strings"
)

// arrayElement is an element of a text[] that leads into a document.
type arrayElement struct {
	text string
	null bool
	// index is the element as an array's index, if it is one.
	index   int64
	isIndex bool
}

// arrayOf reads an argument that is a text[]; the last one is kept.
func (f *frame) arrayOf(arg int, i int32) []arrayElement {
	stored := f.bytes(arg, i)
	if kept, ok := f.cached.([]arrayElement); ok && bytes.Equal(stored, f.word) {
		return kept
	}
	v := f.array(arg, i)
	out := make([]arrayElement, v.Len())
	for j := range out {
		if out[j].null = v.Null[j]; out[j].null {
			continue
		}
		out[j].text = string(v.Bytes(j))
		if n, err := strconv.ParseInt(strings.TrimLeft(out[j].text, " \t\n\v\f\r"), 10, 32); err == nil {
			out[j].index, out[j].isIndex = n, true
		}
	}
	f.word, f.cached = append(f.word[:0], stored...), out
	return out
}
