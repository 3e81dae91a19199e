package apikey

import (
	"strings"
	"testing"
	"time"
)

func TestScopes(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"read", "read"}, {"admin,ingest", "ingest,admin"}, {"read, read", "read"}, {"ingest,read,admin", "ingest,read,admin"},
		{"write", ""}, {"", ""}, {"Read", ""}, {"read,all", ""},
	} {
		s, err := ParseScopes(strings.Split(tt.in, ","))
		if s.String() != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: %q, %v", tt.in, s, err)
		}
	}
	if Read.Has(Ingest) || Admin.Has(Read) || !All.Has(Admin|Read) {
		t.Error("a scope includes another")
	}
}

func TestID(t *testing.T) {
	for text, want := range map[string]string{
		"ms_abcdefghij_SECRET": "abcdefghij", "ms_abcdefghij_": "", "ms_abcdefghij": "", "ms_short_SECRET": "", "xx_abcdefghij_SECRET": "", "": "",
	} {
		if got := ID(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestValid(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		key  Key
		want bool
	}{
		"without end": {Key{}, true}, "before its end": {Key{Expires: now.Add(1)}, true}, "at its end": {Key{Expires: now}, false},
		"revoked": {Key{Revoked: now}, false}, "revoked before its end": {Key{Revoked: now, Expires: now.Add(time.Hour)}, false},
	} {
		if tt.key.Valid(now) != tt.want {
			t.Errorf("%s: %t", name, !tt.want)
		}
	}
}
