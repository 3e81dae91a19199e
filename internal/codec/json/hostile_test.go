package json_test

import (
	"testing"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/codec/hostile"
	"github.com/millstream-dev/millstream/internal/codec/json"
)

func orNull(s string) string {
	if s == "" {
		return "NULL"
	}
	return s
}

func TestHostileRecords(t *testing.T) {
	records := hostile.Records()
	if len(records) < 60 {
		t.Fatalf("only %d records", len(records))
	}
	names := map[string]bool{}
	decoders := map[string]*json.Decoder{}
	columns := map[string][]codec.Column{"materialised": skeletonColumns(), "checked": withNeeded(skeletonColumns(), none)}
	for name, c := range columns {
		decoders[name] = json.New(c)
	}
	for _, r := range records {
		if names[r.Name] {
			t.Errorf("%s: the name is used twice", r.Name)
		}
		names[r.Name] = true
		for name, d := range decoders {
			checkHostile(t, r, d, columns[name], name == "materialised")
		}
	}
}

func TestHugeRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some 300 MB")
	}
	d := json.New(skeletonColumns())
	for _, r := range hostile.Huge() {
		checkHostile(t, r, d, skeletonColumns(), true)
	}
}

func checkHostile(t *testing.T, r hostile.Record, d *json.Decoder, columns []codec.Column, values bool) {
	t.Helper()
	outcomes, faults := ours(d, columns, [][]byte{r.Payload})
	fault, failed := faults[0]
	if r.Cause == hostile.Good {
		want := outcome{Values: []string{r.Timestamp, r.Type, orNull(r.Value)}}
		if failed {
			t.Errorf("%s: %v at %d; want %v", r.Name, fault.Err, fault.Position, want)
		} else if values && outcomes[0].String() != want.String() {
			t.Errorf("%s: got %v, want %v", r.Name, outcomes[0], want)
		}
		return
	}
	if !failed {
		t.Errorf("%s: decoded to %v; want %s %s", r.Name, outcomes[0], r.Code, r.Message)
		return
	}
	column := ""
	if fault.Column >= 0 {
		column = columns[fault.Column].Name
		if want := "$." + column; fault.Path != want {
			t.Errorf("%s: path %q, want %q", r.Name, fault.Path, want)
		}
	}
	got := hostile.Record{Cause: hostile.Input, Code: fault.Err.Code, Message: fault.Err.Message, Column: column, Position: fault.Position}
	switch {
	case fault.Size:
		got.Cause = hostile.Size
	case fault.Reserved:
		got.Cause = hostile.Reserved
	}
	want := hostile.Record{Cause: r.Cause, Code: r.Code, Message: r.Message, Column: r.Column, Position: r.Position}
	if got.Cause != want.Cause || got.Code != want.Code || got.Message != want.Message ||
		got.Column != want.Column || got.Position != want.Position {
		t.Errorf("%s:\n got %+v\nwant %+v", r.Name, got, want)
	}
}

// TestHostileRecordsInPostgreSQL holds the expectations themselves against
// PostgreSQL.
func TestHostileRecordsInPostgreSQL(t *testing.T) {
	s := newServer(t)
	s.install(t, skeletonColumns())
	for _, r := range hostile.Records() {
		got := s.decode(t, [][]byte{r.Payload})[0]
		switch r.Cause {
		case hostile.Good:
			want := outcome{Values: []string{r.Timestamp, r.Type, orNull(r.Value)}}
			if got.String() != want.String() {
				t.Errorf("%s: PostgreSQL gives %v, not %v", r.Name, got, want)
			}
		case hostile.Input:
			if got.Code != r.Code || got.Message != r.Message {
				t.Errorf("%s: PostgreSQL says %v, not %s %s", r.Name, got, r.Code, r.Message)
			}
		case hostile.Reserved:
			if got.Code != "" {
				t.Errorf("%s: PostgreSQL refuses it: %v", r.Name, got)
			}
		}
	}
}
