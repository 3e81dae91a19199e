package json_test

import (
	"bytes"
	stdjson "encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/codec/hostile"
	"github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
)

// FuzzDecode holds the decoder against encoding/json. The two agree on the
// grammar; how they differ stands at documentCode. A
// second decoder, which has seen nothing before and needs nothing, must give
// the same verdict.
func FuzzDecode(f *testing.F) {
	for _, r := range hostile.Records() {
		if len(r.Payload) < 1000 {
			f.Add(r.Payload)
		}
	}
	g := newGenerator(f)
	schemas := [][]codec.Column{wideSchema(), pathSchema()}
	for _, columns := range schemas {
		for range 50 {
			f.Add(g.record(columns, true))
		}
	}
	warm := []*json.Decoder{json.New(schemas[0]), json.New(schemas[1])}
	f.Fuzz(func(t *testing.T, payload []byte) {
		for k, columns := range schemas {
			_, faults := ours(warm[k], columns, [][]byte{payload})
			fault, failed := faults[0]
			document := failed && fault.Column < 0
			if want := documentFails(payload); document != want && !(document && fault.Size) {
				t.Errorf("document refused: %t (%v), want %t", document, fault.Err, want)
			}
			if document && !fault.Size && fault.Err.Code != documentCode(payload) {
				t.Errorf("document refused with %v, want %s", fault.Err, documentCode(payload))
			}
			if fault.Position > len(payload) {
				t.Errorf("position %d of %d bytes", fault.Position, len(payload))
			}
			unneeded := withNeeded(columns, none)
			_, again := ours(json.New(unneeded), unneeded, [][]byte{payload})
			if text(again, 0) != text(faults, 0) {
				t.Errorf("checked only: %+v, materialised: %+v", text(again, 0), text(faults, 0))
			}
		}
	})
}

func documentFails(b []byte) bool { return documentCode(b) != "" }

// documentCode is the verdict on a document, made from encoding/json's. That
// package takes bytes that are no UTF-8, halves of surrogate pairs, \u0000 and
// documents that are no objects.
func documentCode(b []byte) string {
	head := bytes.TrimLeft(b, " \t\r\n")
	switch bad := badEscape(b); {
	case !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0:
		return "22021"
	case !stdjson.Valid(b):
		return "22P02"
	case head[0] == '[':
		return "22023"
	case bad != "":
		return bad
	case head[0] != '{':
		return "22023"
	}
	return ""
}

// badEscape finds, with the standard library's own unquoting, the first
// escape that stands for no character: it turns into U+FFFD there.
func badEscape(b []byte) string {
	for p := 0; p+6 <= len(b); p++ {
		if b[p] != '\\' {
			continue
		}
		if b[p+1] != 'u' {
			p++
			continue
		}
		one := unquote(b[p : p+6])
		switch {
		case one == "\x00":
			return "22P05"
		case one != "\uFFFD" || bytes.EqualFold(b[p+2:p+6], []byte("fffd")):
			p += 5
		case p+12 <= len(b) && utf8.RuneCountInString(unquote(b[p:p+12])) == 1:
			p += 11
		default:
			return "22P02"
		}
	}
	return ""
}

func unquote(escapes []byte) (s string) {
	_ = stdjson.Unmarshal([]byte(`"`+string(escapes)+`"`), &s) // a fault leaves s empty
	return s
}

// FuzzPaths holds what a path finds against a plain decoding into maps.
func FuzzPaths(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1},"a":{"c":2}}`))
	f.Add([]byte(`{"a":{"b":[1,2]},"a":3,"b":[[1],[2]]}`))
	columns := []codec.Column{
		{Name: "ab", Type: column.Of(column.Text), Path: steps("a", "b"), Needed: true},
		{Name: "a-1", Type: column.Of(column.Text), Path: steps("a", -1), Needed: true},
		{Name: "a1b", Type: column.Of(column.Text), Path: steps("a", 1, "b"), Needed: true},
	}
	d := json.New(columns)
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, faults := ours(d, columns, [][]byte{payload})
		if len(faults) > 0 {
			return
		}
		a := member(payload, "a")
		for j, want := range [][]byte{member(a, "b"), element(a, -1), member(element(a, 1), "b")} {
			text := "NULL"
			if want != nil && string(want) != "null" {
				text = string(want)
				if want[0] == '"' {
					if err := stdjson.Unmarshal(want, &text); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got[0].Values[j] != text {
				t.Errorf("%s is %q, want %q", columns[j].Name, got[0].Values[j], text)
			}
		}
	})
}

func member(b []byte, name string) []byte {
	var m map[string]stdjson.RawMessage
	if stdjson.Unmarshal(b, &m) != nil {
		return nil
	}
	return m[name]
}

func element(b []byte, i int) []byte {
	var a []stdjson.RawMessage
	if stdjson.Unmarshal(b, &a) != nil {
		return nil
	}
	if i < 0 {
		i += len(a)
	}
	if i < 0 || i >= len(a) {
		return nil
	}
	return a[i]
}
