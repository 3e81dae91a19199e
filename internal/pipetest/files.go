package pipetest

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"

	"github.com/millstream-dev/millstream/internal/diag"
)

// Events and rows may stand in files beside the script, for those that are too
// many to be read in it.

func (p *parser) beside(line sourceLine, name string) ([]byte, string, bool) {
	path := filepath.Join(filepath.Dir(p.script.File), name)
	b, err := os.ReadFile(path)
	if err != nil {
		p.report(CodeArgument, p.pos(line, 1), "name a file beside the test", "can't read %q: %v", name, err)
		return nil, "", false
	}
	return b, path, true
}

// eventFile gives the records of an NDJSON file; empty lines are left out.
func (p *parser) eventFile(line sourceLine, name string, template Record) []Record {
	b, _, ok := p.beside(line, name)
	if !ok {
		return nil
	}
	var out []Record
	for _, l := range bytes.Split(b, []byte("\n")) {
		if l = bytes.TrimSpace(l); len(l) > 0 {
			r := template
			r.Value = l
			out = append(out, r)
		}
	}
	return out
}

// rowFile gives the rows of a CSV file whose first line names the columns; a
// value NULL is none.
func (p *parser) rowFile(line sourceLine, name string) *Table {
	b, path, ok := p.beside(line, name)
	if !ok {
		return nil
	}
	r := csv.NewReader(bytes.NewReader(b))
	records, err := r.ReadAll()
	if err != nil || len(records) == 0 {
		p.report(CodeArgument, p.pos(line, 1), "its first line must name the columns", "can't read %q as CSV: %v", name, err)
		return nil
	}
	t := &Table{}
	for i, record := range records {
		pos := diag.Position{File: path, Line: i + 1, Column: 1}
		cells := make([]Cell, len(record))
		for j, text := range record {
			cells[j] = Cell{Pos: pos, Text: text, Null: text == "NULL"}
		}
		if i == 0 {
			t.Columns = cells
			continue
		}
		t.Rows = append(t.Rows, Row{Pos: pos, Cells: cells})
	}
	return t
}
