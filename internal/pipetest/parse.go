package pipetest

import (
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/failpoint"
)

// The codes of what can be wrong with a script.
const (
	CodeStatement = "MS8001" // no such statement, or not here
	CodeArgument  = "MS8002" // a statement's words are not what it takes
	CodeBlock     = "MS8003" // the indented lines below it are not
)

// Load reads and parses a test file.
func Load(path string) (*Script, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the test: %w", err)
	}
	return Parse(path, string(text))
}

// Parse reads a script. Its error is a diag.List with all that is wrong.
func Parse(file, text string) (*Script, error) {
	p := &parser{script: &Script{File: file, Topics: map[string]int32{}, Clock: DefaultClock, Skip: map[string]string{}}}
	for i, line := range strings.Split(text, "\n") {
		p.lines = append(p.lines, sourceLine{number: i + 1, text: strings.TrimRight(line, " \t\r")})
	}
	for p.next < len(p.lines) {
		p.statement()
	}
	p.problems.Sort()
	return p.script, p.problems.Err()
}

// sourceLine is a line without the blanks at its end.
type sourceLine struct {
	number int
	text   string
}

func (l sourceLine) indented() bool {
	return strings.HasPrefix(l.text, " ") || strings.HasPrefix(l.text, "\t")
}

func (l sourceLine) comment() bool { return strings.HasPrefix(strings.TrimLeft(l.text, " \t"), "#") }

type parser struct {
	script   *Script
	lines    []sourceLine
	next     int // line to read
	problems diag.List
	started  bool // a step was seen: declarations must come before
}

func (p *parser) pos(line sourceLine, column int) diag.Position {
	return diag.Position{File: p.script.File, Line: line.number, Column: column}
}

func (p *parser) report(code string, pos diag.Position, hint, format string, args ...any) {
	p.problems = append(p.problems, &diag.Diagnostic{Code: code, Pos: pos, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// statementForms are the statements and how each is written.
var statementForms = map[string]string{
	"pipeline": "pipeline FILE, or pipeline and the SQL indented below",
	"topic":    "topic NAME PARTITIONS",
	"clock":    "clock 2030-01-01T00:00:00Z",
	"skip":     "skip MODE: why",
	"send":     `send TOPIC PARTITION [key=K] [at=TIME] [header:NAME=VALUE] {"…"}, or the events indented below, one a line, or file EVENTS.ndjson`,
	"advance":  "advance 5m",
	"idle":     "idle [30s]",
	"restart":  "restart",
	"crash":    "crash, or crash at POINT",
	"cut":      "cut, cut before commit, or cut after commit",
	"replay":   `replay late VIEW or replay quarantine TABLE|VIEW, each with PARTITION OFFSET for one record, and then {"…"} to send instead`,
	"sql":      "sql STATEMENT, or the statements indented below",
	"expect":   "expect TABLE, expect late|quarantine|errors|counts [VIEW], each with an indented table, file ROWS.csv, or none; expect watermark|floor|final VIEW TIME",
}

func statementNames() []string {
	var out []string
	for name := range statementForms {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// statement reads one statement with its block.
func (p *parser) statement() {
	line := p.lines[p.next]
	p.next++
	if line.text == "" || line.comment() {
		return
	}
	if line.indented() {
		p.report(CodeBlock, p.pos(line, 1), "indented lines belong to the statement above them; statements begin in the first column", "an indented line that belongs to no statement")
		p.block()
		return
	}
	words := splitWords(line.text)
	switch name := words[0].text; name {
	case "clock":
		if p.started {
			p.step(line, words)
		} else {
			p.declaration(line, words)
		}
	case "pipeline", "topic", "skip":
		if p.started {
			p.report(CodeStatement, p.pos(line, 1), "move it before the first send", "%s must stand before everything that is run", name)
		}
		p.declaration(line, words)
	case "send", "advance", "idle", "restart", "crash", "cut", "replay", "sql", "expect":
		p.started = true
		p.step(line, words)
	default:
		hint := "statements are " + strings.Join(statementNames(), ", ")
		if near := diag.Closest(name, statementNames()); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		p.report(CodeStatement, p.pos(line, 1), hint, "no statement %q", name)
		p.block()
	}
}

// block takes the indented lines below a statement, without comments. Empty
// lines between them belong to it.
func (p *parser) block() []sourceLine {
	var out []sourceLine
	end := p.next
	for i := p.next; i < len(p.lines); i++ {
		l := p.lines[i]
		if l.text == "" {
			continue
		}
		if !l.indented() {
			break
		}
		end = i + 1
		if !l.comment() {
			out = append(out, l)
		}
	}
	p.next = end
	return out
}

// wrongForm reports a statement that is not written as it must be.
func (p *parser) wrongForm(line sourceLine, name, format string, args ...any) {
	p.report(CodeArgument, p.pos(line, 1), "write "+statementForms[name], format, args...)
}

func (p *parser) noBlock(name string) {
	if rest := p.block(); len(rest) > 0 {
		p.report(CodeBlock, p.pos(rest[0], 1), "remove the indented lines", "%s takes no lines below it", name)
	}
}

func (p *parser) declaration(line sourceLine, words []word) {
	switch words[0].text {
	case "pipeline":
		p.pipeline(line, words)
	case "topic":
		p.noBlock("topic")
		if len(words) != 3 {
			p.wrongForm(line, "topic", "topic takes a name and a number of partitions")
			return
		}
		n, err := strconv.ParseInt(words[2].text, 10, 32)
		if err != nil || n < 1 {
			p.report(CodeArgument, p.pos(line, words[2].column), "give a number from 1 on", "%q is no number of partitions", words[2].text)
			return
		}
		p.script.Topics[words[1].text] = int32(n)
	case "clock":
		if at, ok := p.clock(line, words); ok {
			p.script.Clock = at
		}
	case "skip":
		p.skip(line)
	}
}

// clock reads: clock TIME.
func (p *parser) clock(line sourceLine, words []word) (at time.Time, ok bool) {
	p.noBlock("clock")
	if len(words) != 2 {
		p.wrongForm(line, "clock", "clock takes a time")
		return at, false
	}
	at, err := parseTime(words[1].text)
	if err != nil {
		p.report(CodeArgument, p.pos(line, words[1].column), "write "+statementForms["clock"], "%q is no time", words[1].text)
	}
	return at, err == nil
}

func (p *parser) pipeline(line sourceLine, words []word) {
	block := p.block()
	if p.script.Pipeline != "" || p.script.SQL != "" {
		p.report(CodeStatement, p.pos(line, 1), "remove one", "a second pipeline")
	}
	switch {
	case len(words) == 1 && len(block) == 0:
		p.wrongForm(line, "pipeline", "pipeline has neither a file nor SQL")
	case len(words) == 1:
		p.script.SQL = p.rawBlock(block)
	case len(words) == 2 && len(block) == 0:
		p.script.Pipeline = words[1].text
	default:
		p.wrongForm(line, "pipeline", "pipeline takes one file, or SQL, not both")
	}
}

// rawBlock is the block's text with line numbers kept, so that errors in the
// SQL name the script's lines.
func (p *parser) rawBlock(block []sourceLine) string {
	var b strings.Builder
	at := 1
	for _, l := range block {
		for ; at < l.number; at++ {
			b.WriteByte('\n')
		}
		b.WriteString(l.text)
	}
	b.WriteByte('\n')
	return b.String()
}

func (p *parser) skip(line sourceLine) {
	p.noBlock("skip")
	mode, reason, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line.text, "skip")), ":")
	mode, reason = strings.TrimSpace(mode), strings.TrimSpace(reason)
	if !ok || reason == "" {
		p.wrongForm(line, "skip", "skip takes a mode and a reason")
		return
	}
	if _, err := FindMode(mode); err != nil {
		p.report(CodeArgument, p.pos(line, 6), "modes are "+modeNames(), "no mode %q", mode)
		return
	}
	p.script.Skip[mode] = reason
}

func (p *parser) step(line sourceLine, words []word) {
	step := Step{Pos: p.pos(line, 1)}
	switch name := words[0].text; name {
	case "send":
		step.Send = p.send(line, words)
		if step.Send == nil {
			return
		}
	case "restart":
		p.noBlock(name)
		if len(words) != 1 {
			p.wrongForm(line, name, "restart takes nothing")
			return
		}
		step.Restart = true
	case "crash":
		if step.Crash = p.crash(line, words); step.Crash == nil {
			return
		}
	case "cut":
		if step.Cut = p.cut(line, words); step.Cut == "" {
			return
		}
	case "clock":
		var ok bool
		if step.Clock, ok = p.clock(line, words); !ok {
			return
		}
	case "replay":
		p.noBlock(name)
		if step.Replay = p.replay(line, words); step.Replay == nil {
			return
		}
	case "sql":
		step.SQL = strings.TrimSpace(strings.TrimPrefix(line.text, name))
		for _, l := range p.block() {
			step.SQL += "\n" + l.text
		}
		if strings.TrimSpace(step.SQL) == "" {
			p.wrongForm(line, name, "sql has no statement")
			return
		}
	case "advance", "idle":
		p.noBlock(name)
		step.Advance = p.duration(line, words)
		if step.Advance == 0 {
			return
		}
	case "expect":
		step.Expect = p.expect(line, words)
		if step.Expect == nil {
			return
		}
	}
	p.script.Steps = append(p.script.Steps, step)
}

// crash reads: crash [at POINT].
func (p *parser) crash(line sourceLine, words []word) *Crash {
	p.noBlock("crash")
	switch {
	case len(words) == 1:
		return &Crash{}
	case len(words) != 3 || words[1].text != "at":
		p.wrongForm(line, "crash", "crash takes nothing, or a point")
		return nil
	}
	point := words[2].text
	if names := failpoint.List(); !slices.Contains(names, point) {
		hint := "points are " + strings.Join(names, ", ")
		if near := diag.Closest(point, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		p.report(CodeArgument, p.pos(line, words[2].column), hint, "no point %q", point)
		return nil
	}
	return &Crash{Point: point}
}

// cut reads: cut [before|after commit].
func (p *parser) cut(line sourceLine, words []word) Cut {
	p.noBlock("cut")
	switch where := strings.Join(strings.Fields(line.text)[1:], " "); {
	case len(words) == 1:
		return CutNow
	case Cut(where) == CutBefore, Cut(where) == CutAfter:
		return Cut(where)
	}
	p.wrongForm(line, "cut", "cut takes nothing, or on which side of a commit")
	return ""
}

// replay reads: replay LEDGER NAME [PARTITION OFFSET [PAYLOAD]].
func (p *parser) replay(line sourceLine, words []word) *Replay {
	if len(words) < 3 || len(words) == 4 || words[1].text != string(Late) && words[1].text != string(Quarantine) {
		p.wrongForm(line, "replay", "replay takes late or quarantine, a name, and for one record its partition and offset")
		return nil
	}
	r := &Replay{Ledger: Kind(words[1].text), Name: words[2].text}
	if len(words) == 3 {
		return r
	}
	partition, err := strconv.ParseInt(words[3].text, 10, 32)
	if err != nil || partition < 0 {
		p.report(CodeArgument, p.pos(line, words[3].column), "write "+statementForms["replay"], "%q is no partition", words[3].text)
		return nil
	}
	if r.Offset, err = strconv.ParseInt(words[4].text, 10, 64); err != nil || r.Offset < 0 {
		p.report(CodeArgument, p.pos(line, words[4].column), "write "+statementForms["replay"], "%q is no offset", words[4].text)
		return nil
	}
	n := int32(partition)
	r.Partition = &n
	if len(words) > 5 {
		r.Payload = []byte(strings.TrimSpace(line.text[words[5].start:]))
	}
	return r
}

func (p *parser) duration(line sourceLine, words []word) time.Duration {
	name := words[0].text
	if name == "idle" && len(words) == 1 {
		return DefaultIdle
	}
	if len(words) != 2 {
		p.wrongForm(line, name, "%s takes a duration", name)
		return 0
	}
	d, err := time.ParseDuration(words[1].text)
	if err != nil || d <= 0 {
		p.report(CodeArgument, p.pos(line, words[1].column), "write it as in 500ms, 30s, 5m, 1h30m, 48h", "%q is no duration", words[1].text)
		return 0
	}
	return d
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("no time: %q", s)
}

// send reads: send TOPIC PARTITION [key=… at=… header:…=…] [PAYLOAD].
func (p *parser) send(line sourceLine, words []word) *Send {
	block := p.block()
	if len(words) < 3 {
		p.wrongForm(line, "send", "send takes a topic and a partition")
		return nil
	}
	n, err := strconv.ParseInt(words[2].text, 10, 32)
	if err != nil || n < 0 {
		p.report(CodeArgument, p.pos(line, words[2].column), "write "+statementForms["send"], "%q is no partition", words[2].text)
		return nil
	}
	s := &Send{Topic: words[1].text, Partition: int32(n)}
	rest := ""
	if len(words) > 3 {
		rest = line.text[words[3].start:]
	}
	template, payload, ok := p.attributes(line, rest, Record{})
	if !ok {
		return nil
	}
	if payload != "" {
		if len(block) > 0 {
			p.report(CodeBlock, p.pos(block[0], 1), "put all events below", "send has an event beside it and more below it")
		}
		block = []sourceLine{{number: line.number, text: payload}}
	}
	if len(block) == 0 {
		p.wrongForm(line, "send", "send has no event")
		return nil
	}
	for _, l := range block {
		r, text, ok := p.attributes(l, strings.TrimLeft(l.text, " \t"), template)
		if name, isFile := strings.CutPrefix(text, "file "); ok && isFile {
			s.Records = append(s.Records, p.eventFile(l, strings.TrimSpace(name), r)...)
			continue
		}
		if ok {
			if r.Value, ok = p.payload(l, text); ok {
				s.Records = append(s.Records, r)
			}
		}
	}
	return s
}

// attributes reads key=…, at=… and header:…=… before the payload.
func (p *parser) attributes(line sourceLine, rest string, r Record) (Record, string, bool) {
	r.Headers = slices.Clone(r.Headers)
	for {
		name, after, ok := strings.Cut(rest, "=")
		if !ok || name != "key" && name != "at" && !strings.HasPrefix(name, "header:") || strings.ContainsAny(name, " {\"") {
			return r, rest, true
		}
		value, tail, err := takeValue(after)
		if err != nil {
			p.report(CodeArgument, p.pos(line, 1), `write it as in key=a or key="two words"`, "%s has no readable value", name)
			return r, "", false
		}
		switch name {
		case "key":
			r.Key = []byte(value)
		case "at":
			at, err := parseTime(value)
			if err != nil {
				p.report(CodeArgument, p.pos(line, 1), "write it as in at=2024-01-01T00:00:00Z", "%q is no time", value)
				return r, "", false
			}
			r.Timestamp = at
		default:
			r.Headers = append(r.Headers, Header{Key: strings.TrimPrefix(name, "header:"), Value: []byte(value)})
		}
		rest = strings.TrimLeft(tail, " \t")
	}
}

// takeValue takes a bare word or a Go string literal off the front.
func takeValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", err
		}
		value, err = strconv.Unquote(quoted)
		return value, s[len(quoted):], err
	}
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:], nil
	}
	return s, "", nil
}

// payload is an event: the text as it stands, or tombstone, empty, bytes HEX,
// text "…" with Go's escapes, or repeat N TEXT.
func (p *parser) payload(line sourceLine, text string) ([]byte, bool) {
	word, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "":
		p.report(CodeBlock, p.pos(line, 1), "write the event after it, or tombstone", "no event")
		return nil, false
	case "tombstone":
		return nil, true
	case "empty":
		return []byte{}, true
	case "bytes":
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		if err != nil {
			p.report(CodeBlock, p.pos(line, 1), "write it as in bytes 7b 22 ff 7d", "%q is not hexadecimal", rest)
			return nil, false
		}
		return b, true
	case "text":
		s, err := strconv.Unquote(rest)
		if err != nil {
			p.report(CodeBlock, p.pos(line, 1), `write it as in text "a\x00b"`, "text takes a quoted string")
			return nil, false
		}
		return []byte(s), true
	}
	return []byte(text), true
}

// word is a word of a statement's line.
type word struct {
	text   string
	start  int // byte in the line
	column int // character, from 1
}

func splitWords(s string) []word {
	var out []word
	column := 0
	inside := false
	for i, r := range s {
		column++
		if r == ' ' || r == '\t' {
			inside = false
			continue
		}
		if !inside {
			out = append(out, word{start: i, column: column})
			inside = true
		}
		out[len(out)-1].text += string(r)
	}
	return out
}
