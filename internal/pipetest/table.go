package pipetest

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/diag"
)

// expect reads: expect TABLE, expect LEDGER [VIEW], expect watermark VIEW TIME.
func (p *parser) expect(line sourceLine, words []word) *Expect {
	block := p.block()
	if len(words) < 2 {
		p.wrongForm(line, "expect", "expect takes what to look at")
		return nil
	}
	e := &Expect{Kind: Kind(words[1].text)}
	rest := words[2:]
	none := false
	switch e.Kind {
	case Watermark, Floor, Final:
		return p.expectTime(line, e, rest, block)
	case Late, Quarantine, Errors, Counts:
		if len(rest) > 0 && rest[0].text != "none" {
			e.Name, rest = rest[0].text, rest[1:]
		}
		if e.Kind == Counts && e.Name == "" {
			p.wrongForm(line, "expect", "expect counts takes a view")
			return nil
		}
	default:
		e.Kind, e.Name = Rows, words[1].text
	}
	if len(rest) == 1 && rest[0].text == "none" {
		none, rest = true, nil
	}
	if len(rest) == 2 && rest[0].text == "file" && len(block) == 0 {
		if e.Table = p.rowFile(line, rest[1].text); e.Table == nil {
			return nil
		}
		return e
	}
	switch {
	case len(rest) > 0:
		p.report(CodeArgument, p.pos(line, rest[0].column), "write "+statementForms["expect"], "%q is too much", rest[0].text)
		return nil
	case none && len(block) > 0:
		p.report(CodeBlock, p.pos(block[0], 1), "remove none or the table", "nothing is expected, yet there is a table")
		return nil
	case none:
		e.Table = &Table{}
		return e
	case len(block) == 0:
		p.report(CodeBlock, p.pos(line, 1), "put a table below it, its first line the columns' names, or write none after it", "%s is expected to hold nothing said", words[1].text)
		return nil
	}
	e.Table = p.table(block)
	if e.Table == nil {
		return nil
	}
	return e
}

func (p *parser) expectTime(line sourceLine, e *Expect, rest []word, block []sourceLine) *Expect {
	if len(block) > 0 {
		p.report(CodeBlock, p.pos(block[0], 1), "remove the indented lines", "expect %s takes no table", e.Kind)
		return nil
	}
	if len(rest) < 2 {
		p.wrongForm(line, "expect", "expect %s takes a view and a time, or none", e.Kind)
		return nil
	}
	e.Name, e.Time = rest[0].text, strings.TrimSpace(line.text[rest[1].start:])
	return e
}

// table reads an aligned table: cells between bars, the first line names the
// columns.
func (p *parser) table(block []sourceLine) *Table {
	t := &Table{}
	good := true
	for i, l := range block {
		cells := p.cells(l)
		if cells == nil {
			good = false
			continue
		}
		if i == 0 {
			t.Columns = cells
			good = p.uniqueColumns(cells) && good
			continue
		}
		if rule(cells) {
			continue
		}
		if len(cells) != len(t.Columns) {
			p.report(CodeBlock, p.pos(l, 1), "give each column of the first line a value; NULL for none", "%d values for %d columns", len(cells), len(t.Columns))
			good = false
			continue
		}
		t.Rows = append(t.Rows, Row{Pos: p.pos(l, 1), Cells: cells})
	}
	if !good {
		return nil
	}
	return t
}

func (p *parser) uniqueColumns(cells []Cell) bool {
	for i, c := range cells {
		if c.Text == "" || slices.ContainsFunc(cells[:i], func(o Cell) bool { return o.Text == c.Text }) {
			p.problems = append(p.problems, &diag.Diagnostic{Code: CodeBlock, Pos: c.Pos, Message: "column " + strconv.Quote(c.Text) + " twice, or without a name", Hint: "name each column once"})
			return false
		}
	}
	return true
}

// rule tells a line of dashes below the names.
func rule(cells []Cell) bool {
	for _, c := range cells {
		if strings.Trim(c.Text, "-+") != "" || c.Text == "" {
			return false
		}
	}
	return strings.HasPrefix(cells[0].Text, "---")
}

// cells splits a line at its bars; nil if a quoted cell is not closed. Bars at
// the line's ends are allowed.
func (p *parser) cells(l sourceLine) []Cell {
	text := l.text
	start := len(text) - len(strings.TrimLeft(text, " \t"))
	rest := strings.TrimPrefix(text[start:], "|")
	if strings.HasSuffix(rest, "|") && len(rest) > 1 {
		rest = rest[:len(rest)-1]
	}
	var out []Cell
	for {
		trimmed := strings.TrimLeft(rest, " \t")
		pos := p.pos(l, utf8.RuneCountInString(text[:strings.LastIndex(text, trimmed)])+1)
		cell, tail, more, err := takeCell(trimmed)
		if err != nil {
			p.problems = append(p.problems, &diag.Diagnostic{Code: CodeBlock, Pos: pos, Message: "a quoted value that is not closed", Hint: `write it as in "a | b", with Go's escapes`})
			return nil
		}
		cell.Pos = pos
		out = append(out, cell)
		if !more {
			return out
		}
		rest = tail
	}
}

func takeCell(s string) (c Cell, rest string, more bool, err error) {
	if strings.HasPrefix(s, `"`) {
		if quoted, err := strconv.QuotedPrefix(s); err == nil {
			tail := strings.TrimLeft(s[len(quoted):], " \t")
			if tail == "" || tail[0] == '|' {
				text, err := strconv.Unquote(quoted)
				rest, more = strings.CutPrefix(tail, "|")
				return Cell{Text: text}, rest, more, err
			}
		} else {
			return Cell{}, "", false, err
		}
	}
	text, rest, more := strings.Cut(s, "|")
	text = strings.TrimRight(text, " \t")
	if text == "NULL" {
		return Cell{Null: true, Text: text}, rest, more, nil
	}
	return Cell{Text: text}, rest, more, nil
}
