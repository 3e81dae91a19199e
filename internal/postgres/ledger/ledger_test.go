package ledger

import (
	"encoding/json"
	"testing"
)

func TestMark(t *testing.T) {
	at := func(n int32) *int32 { return &n }
	for _, test := range []struct {
		payload  string
		position *int32
		want     string
		marked   bool
	}{
		{`{"a": "x", "b": 1}`, at(6), `{"a": ⟦"x"⟧, "b": 1}`, true},
		{`{"a": "x\"y", "b": 1}`, at(6), `{"a": ⟦"x\"y"⟧, "b": 1}`, true},
		{`{"a": 12.5e400, "b": 1}`, at(6), `{"a": ⟦12.5e400⟧, "b": 1}`, true},
		{`{"a": [1]}`, at(6), `{"a": ⟦[1⟧]}`, true},
		{`{`, at(1), `{⟦⟧`, true},
		{`{"a": "x`, at(6), `{"a": ⟦"x⟧`, true},
		{`}`, at(0), `⟦}⟧`, true},
		{`{}`, nil, `{}`, false},
		{`{}`, at(3), `{}`, false},
	} {
		if got, marked := Mark([]byte(test.payload), test.position); got != test.want || marked != test.marked {
			t.Errorf("%s: %s %t", test.payload, got, marked)
		}
	}
}

// Bytes are read as they are written, and from JSON that stands for itself.
func TestBytes(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`"plain"`, "plain"}, {`{"base64": "/w=="}`, "\xff"}, {`{"a": 1}`, `{"a": 1}`}, {`[1, 2]`, `[1, 2]`}, {`{"base64": "a", "b": 1}`, `{"base64": "a", "b": 1}`},
	} {
		var b Bytes
		if err := json.Unmarshal([]byte(test.text), &b); err != nil || string(b) != test.want {
			t.Errorf("%s: %q %v", test.text, b, err)
		}
	}
	for _, raw := range []Bytes{Bytes("text"), Bytes("\xff\x00"), Bytes("")} {
		text, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		var back Bytes
		if err := json.Unmarshal(text, &back); err != nil || string(back) != string(raw) {
			t.Errorf("%q: %s, read as %q %v", raw, text, back, err)
		}
	}
	var wrong Bytes
	if err := json.Unmarshal([]byte(`{"base64": "?"}`), &wrong); err == nil {
		t.Errorf("no base64 gives %q", wrong)
	}
}
