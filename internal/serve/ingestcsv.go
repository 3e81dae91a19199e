package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/diag"
)

// SQLSTATEs of rows, as COPY gives them.
const (
	badCopyFormat = "22P04"
	badJSONText   = "22P02"
)

// splitCSV makes a JSON object of each row of CSV. The first line names
// columns of a foreign table of the topic; an empty field is NULL, "" an empty
// text, as COPY … CSV reads them. A value stands where its column's path says.
func (t *topic) splitCSV(body []byte, most int) ([]bodyRecord, *Problem) {
	c := &csvReader{rest: bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), line: 1}
	head, _, fault := c.row()
	if fault != nil {
		return nil, fault
	}
	if head == nil {
		return nil, problem(http.StatusUnprocessableEntity, codeBody, "the body is empty").hint("begin with the names of the columns, separated by commas")
	}
	layout, columns, fault := t.csvLayout(head)
	if fault != nil {
		return nil, fault
	}
	var records []bodyRecord
	for {
		fields, line, fault := c.row()
		if fault != nil {
			return nil, fault
		}
		if fields == nil {
			return records, nil
		}
		if len(records) == most {
			return nil, tooMany(most)
		}
		record := bodyRecord{line: line, fault: csvFault(fields, columns)}
		if record.fault == nil {
			record.value = layout.append(nil, fields, columns)
		}
		records = append(records, record)
	}
}

// csvFault tells that a row has not the fields that the header names, or text
// that is no JSON where there should be.
func csvFault(fields []csvField, columns []*codec.Column) *RecordError {
	switch {
	case len(fields) < len(columns):
		return &RecordError{Field: columns[len(fields)].Name, Code: badCopyFormat, Message: fmt.Sprintf("missing data for column %q", columns[len(fields)].Name)}
	case len(fields) > len(columns):
		return &RecordError{Code: badCopyFormat, Message: "extra data after last expected column"}
	}
	for i, f := range fields {
		if columns[i].Type.Kind == column.JSONB && !f.null() && !json.Valid(f.text) {
			return &RecordError{Field: columns[i].Name, Code: badJSONText, Message: "invalid input syntax for type json"}
		}
	}
	return nil
}

// csvNode is a member of the objects that rows become: a field of the row, or
// an object of further members.
type csvNode struct {
	name    string
	field   int // of the row, where there are no members
	members []*csvNode
}

// csvLayout finds the columns that a header names, and where they stand in a
// document. Of several tables the first counts that has all of them.
func (t *topic) csvLayout(head []csvField) (*csvNode, []*codec.Column, *Problem) {
	var first *Problem
	for i := range t.tables {
		root, columns, fault := t.tables[i].csvLayout(head)
		if fault == nil {
			return root, columns, nil
		}
		if first == nil {
			first = fault
		}
	}
	return nil, nil, first
}

func (t *table) csvLayout(head []csvField) (*csvNode, []*codec.Column, *Problem) {
	bad := func(format string, args ...any) *Problem {
		p := problem(http.StatusUnprocessableEntity, codeBody, format, args...)
		p.Line = 1
		return p
	}
	root := &csvNode{}
	var columns []*codec.Column
	for i, h := range head {
		name := string(h.text)
		at := slices.IndexFunc(t.columns, func(c codec.Column) bool { return c.Name == name })
		if at < 0 {
			names := make([]string, len(t.columns))
			for j := range t.columns {
				names[j] = t.columns[j].Name
			}
			p := bad("%s has no column %q that can be written", t.name, printable(name))
			if close := diag.Closest(name, names); close != "" {
				return nil, nil, p.hint("did you mean %q?", close)
			}
			return nil, nil, p.hint("the first line names the columns: %s", fmt.Sprint(names))
		}
		c := &t.columns[at]
		if slices.Contains(columns, c) {
			return nil, nil, bad("the column %q is named twice", printable(name)).hint("name it once")
		}
		if !root.place(c.Path, i) {
			return nil, nil, bad("the column %q can't be written from CSV: its path leads into an array, or through another column", name).hint("send JSON")
		}
		columns = append(columns, c)
	}
	return root, columns, nil
}

// place puts a field where a path leads; false if it can't be there.
func (n *csvNode) place(path []codec.PathStep, field int) bool {
	for i, step := range path {
		if !step.Member {
			return false
		}
		at := slices.IndexFunc(n.members, func(m *csvNode) bool { return m.name == step.Name })
		switch last := i == len(path)-1; {
		case at < 0:
			n.members = append(n.members, &csvNode{name: step.Name, field: -1})
			at = len(n.members) - 1
			if last {
				n.members[at].field = field
				return true
			}
		case last || n.members[at].field >= 0:
			return false
		}
		n = n.members[at]
	}
	return false
}

// append writes an object; fields that are NULL have no member.
func (n *csvNode) append(dst []byte, fields []csvField, columns []*codec.Column) []byte {
	dst = append(dst, '{')
	some := false
	for _, m := range n.members {
		if m.field >= 0 && fields[m.field].null() {
			continue
		}
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = append(datum.AppendJSONString(dst, []byte(m.name)), ':')
		if m.field < 0 {
			dst = m.append(dst, fields, columns)
			continue
		}
		dst = appendCSVValue(dst, fields[m.field].text, columns[m.field].Type.Kind)
	}
	return append(dst, '}')
}

// appendCSVValue writes numbers, booleans and JSON as such, and what is
// anything else, or not well formed, as a text for the column to read.
func appendCSVValue(dst, text []byte, kind column.Kind) []byte {
	switch {
	case kind == column.JSONB:
		return append(dst, bytes.TrimSpace(text)...)
	case kind.IsNumber() && len(text) > 0 && (text[0] == '-' || text[0] >= '0' && text[0] <= '9') && json.Valid(text):
		return append(dst, text...)
	case kind == column.Bool && (string(text) == "true" || string(text) == "false"):
		return append(dst, text...)
	}
	return datum.AppendJSONString(dst, text)
}

// csvReader takes rows off a text, as RFC 4180 and COPY … CSV write them.
type csvReader struct {
	rest []byte
	line int // where rest begins
}

// csvField is a field of a row.
type csvField struct {
	text   []byte
	quoted bool
}

func (f csvField) null() bool { return len(f.text) == 0 && !f.quoted }

// row gives the next row and the line where it begins; nil at the end. Empty
// lines are no rows.
func (c *csvReader) row() ([]csvField, int, *Problem) {
	for len(c.rest) > 0 && (c.rest[0] == '\n' || bytes.HasPrefix(c.rest, []byte("\r\n"))) {
		c.end()
	}
	if len(c.rest) == 0 {
		return nil, c.line, nil
	}
	line := c.line
	var fields []csvField
	for {
		f, fault := c.field()
		if fault != nil {
			return nil, line, fault
		}
		fields = append(fields, f)
		if len(fields) > maxColumns {
			return nil, line, c.bad(line, fmt.Sprintf("a row has more than %d fields", maxColumns))
		}
		if len(c.rest) == 0 || c.rest[0] != ',' {
			c.end()
			return fields, line, nil
		}
		c.rest = c.rest[1:]
	}
}

// end goes to the next line.
func (c *csvReader) end() {
	c.rest = bytes.TrimPrefix(c.rest, []byte("\r"))
	if len(c.rest) > 0 {
		c.rest = c.rest[1:]
		c.line++
	}
}

// field takes a field up to the comma or the end of the line.
func (c *csvReader) field() (csvField, *Problem) {
	if len(c.rest) == 0 || c.rest[0] != '"' {
		n := bytes.IndexAny(c.rest, ",\n")
		if n < 0 {
			n = len(c.rest)
		}
		text := c.rest[:n]
		c.rest = c.rest[n:]
		if n > 0 && text[n-1] == '\r' && (len(c.rest) == 0 || c.rest[0] == '\n') {
			text = text[:n-1]
		}
		if bytes.IndexByte(text, '"') >= 0 {
			return csvField{}, c.bad(c.line, "a quote stands in a field that does not begin with one")
		}
		return csvField{text: text}, nil
	}
	line := c.line
	var text []byte
	for rest := c.rest[1:]; ; {
		n := bytes.IndexByte(rest, '"')
		if n < 0 {
			return csvField{}, c.bad(line, "a quoted field does not end")
		}
		text = append(text, rest[:n]...)
		rest = rest[n+1:]
		if len(rest) > 0 && rest[0] == '"' {
			text, rest = append(text, '"'), rest[1:]
			continue
		}
		if len(rest) > 0 && rest[0] != ',' && rest[0] != '\n' && !bytes.HasPrefix(rest, []byte("\r\n")) && !bytes.Equal(rest, []byte("\r")) {
			return csvField{}, c.bad(line, "text follows a quoted field")
		}
		c.rest = rest
		c.line += bytes.Count(text, []byte("\n"))
		return csvField{text, true}, nil
	}
}

func (c *csvReader) bad(line int, message string) *Problem {
	p := problem(http.StatusUnprocessableEntity, codeBody, "the body is not valid CSV: %s", message).hint("nothing was accepted; a field with a comma, a quote or an end of line goes into quotes, and a quote is written twice")
	p.Line = line
	return p
}
