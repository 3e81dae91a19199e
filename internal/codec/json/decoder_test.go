package json_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
)

var _ codec.Decoder = (*json.Decoder)(nil)

// TestRepeatedKeys shows that the last of repeated keys counts at each level.
func TestRepeatedKeys(t *testing.T) {
	columns := []codec.Column{
		{Name: "user", Type: column.Of(column.JSONB), Path: steps("user"), Needed: true},
		{Name: "id", Type: column.Of(column.Text), Path: steps("user", "id"), Needed: true},
		{Name: "tag", Type: column.Of(column.Text), Path: steps("user", "tags", -1), Needed: true},
	}
	d := json.New(columns)
	for _, test := range []struct{ payload, want string }{
		{`{"user":{"id":1,"tags":[1,2]}}`, `{"id": 1, "tags": [1, 2]} | 1 | 2`},
		{`{"user":{"id":1},"user":{"tags":[3]}}`, `{"tags": [3]} | NULL | 3`},
		{`{"user":{"id":1},"user":5}`, `5 | NULL | NULL`},
		{`{"user":{"id":1},"user":null}`, `NULL | NULL | NULL`},
		{`{"user":5,"user":{"id":7,"id":8}}`, `{"id": 8} | 8 | NULL`},
		{`{"user":{"tags":[1,2],"tags":{"a":1}}}`, `{"tags": {"a": 1}} | NULL | NULL`},
		{`{"user":{"tags":[1],"tags":[]}}`, `{"tags": []} | NULL | NULL`},
		{`{"user":[{"id":1}]}`, `[{"id": 1}] | NULL | NULL`},
		{`{"\u0075ser":{"i\u0064":"x"}}`, `{"id": "x"} | x | NULL`},
	} {
		got, _ := ours(d, columns, [][]byte{[]byte(test.payload)})
		if got[0].String() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.payload, got[0], test.want)
		}
	}
}

// TestArrayDocuments shows documents that are arrays, for tables whose paths
// all begin with an index.
func TestArrayDocuments(t *testing.T) {
	columns := []codec.Column{
		{Name: "first", Type: column.Of(column.Int4), Path: steps(0), Needed: true},
		{Name: "last", Type: column.Of(column.Text), Path: steps(-1, "a"), Needed: true},
	}
	for _, test := range []struct{ payload, want string }{
		{`[1, 2, {"a": "x"}]`, `1 | x`},
		{`[]`, `NULL | NULL`},
		{`{"a": 1}`, `22023 cannot take elements of an object`},
		{`1`, `22023 cannot call populate_composite on a scalar`},
		{`[1,]`, `22P02 invalid input syntax for type json`},
		{`["\u0000"]`, `22P05 unsupported Unicode escape sequence`},
	} {
		got, _ := ours(json.New(columns), columns, [][]byte{[]byte(test.payload)})
		if got[0].String() != test.want {
			t.Errorf("%s: got %v, want %s", test.payload, got[0], test.want)
		}
	}
}

// TestFaultPlaces shows path and position of faults, and rows in order.
func TestFaultPlaces(t *testing.T) {
	columns := []codec.Column{
		{Name: "a", Type: column.Of(column.Int4), Path: steps("x y", 2, "z"), NotNull: true},
		{Name: "b", Type: column.Of(column.Int4), Path: steps("b", -1), Needed: true},
	}
	payloads := [][]byte{
		[]byte(`{"x y":[0,0,{"z": "bad"}]}`), []byte(`{"x y":[0,0,{"z":1}],"b":[5]}`), []byte(`{"b":[]}`),
		[]byte(`{"b":[1,"x"]}`),
	}
	cols := vectors(columns)
	faults := json.New(columns).Decode(payloads, cols, []codec.Fault{{Row: -7}})
	var got []string
	for _, f := range faults[1:] {
		got = append(got, fmt.Sprintf("%d %d %s %d %s", f.Row, f.Column, f.Path, f.Position, f.Err.Code))
	}
	want := []string{`0 0 $."x y"[2].z 18 22P02`, `2 0 $."x y"[2].z -1 23502`, `3 1 $.b[-1] 8 22P02`}
	if faults[0].Row != -7 || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	if v := cols[1]; v.Len() != 4 || !v.Null[0] || v.Null[1] || v.Int[1] != 5 || !v.Null[2] || !v.Null[3] {
		t.Errorf("column b: %+v", v)
	}
}

// TestExponentsInJSONB shows the bound on what a few bytes can grow to.
func TestExponentsInJSONB(t *testing.T) {
	columns := []codec.Column{{Name: "j", Type: column.Of(column.JSONB), Path: steps("j"), Needed: true}}
	bomb := []byte(`{"j":[` + strings.Repeat(`1e131071,`, 1000) + `"1e5"]}`)
	for _, columns := range [][]codec.Column{columns, withNeeded(columns, none)} {
		d := json.New(columns)
		if _, faults := ours(d, columns, [][]byte{bomb}); !faults[0].Size || faults[0].Err.Code != "54000" {
			t.Errorf("a bomb: %+v", faults[0])
		}
		if _, faults := ours(d, columns, [][]byte{[]byte(`{"j":[1e131071, "1e131071", 1E-5]}`)}); len(faults) > 0 {
			t.Errorf("one large number: %v", faults[0].Err)
		}
		if _, faults := ours(d, columns, [][]byte{[]byte(`{"j":1e131072}`)}); faults[0].Err == nil || faults[0].Err.Code != "22003" {
			t.Errorf("a number too large: %+v", faults[0])
		}
	}
}

// TestLongMessages shows that a message does not quote megabytes.
func TestLongMessages(t *testing.T) {
	payload := []byte(`{"timestamp":"2024-01-02","type":"a","value":"` + strings.Repeat("ż", 1<<20) + `"}`)
	_, faults := ours(json.New(skeletonColumns()), skeletonColumns(), [][]byte{payload})
	if m := faults[0].Err.Message; len(m) > 4100 || !strings.HasSuffix(m, "żż…") {
		t.Errorf("a message of %d bytes ends with %q", len(m), m[len(m)-10:])
	}
}

// TestNoGarbage shows that decoding the usual records allocates nothing.
func TestNoGarbage(t *testing.T) {
	wide, wideRecords := wideEvents(10)
	nested, nestedRecords := nestedEvents(10)
	for name, test := range map[string]struct {
		columns  []codec.Column
		payloads [][]byte
	}{
		"yahoo": {yahooColumns(true), yahooEvents(10)}, "skeleton": {skeletonColumns(), skeletonEvents(10)},
		"wide": {wide, wideRecords}, "nested": {nested, nestedRecords},
	} {
		for kind, needed := range map[string]func(int) bool{"all": all, "none": none} {
			columns := withNeeded(test.columns, needed)
			d, cols := json.New(columns), vectors(columns)
			if faults := d.Decode(test.payloads, cols, nil); len(faults) > 0 {
				t.Fatalf("%s: %v", name, faults[0].Err)
			}
			if n := testing.AllocsPerRun(20, func() { d.Decode(test.payloads, cols, nil) }); n > 0 {
				t.Errorf("%s, %s needed: %v allocations in 10 records", name, kind, n)
			}
		}
	}
}

// TestChangingFields shows that what was guessed of earlier records decides
// nothing: fields come and go, change places and spaces.
func TestChangingFields(t *testing.T) {
	g := newGenerator(t)
	columns := []codec.Column{field("a", column.Int4, true), field("bb", column.Text, true),
		field("a long name of a field", column.Int4, true), field("d", column.Text, true)}
	d := json.New(columns)
	keys := []string{"a", "bb", "a long name of a field", "d", "unknown", "a longer name of an unknown field", "é"}
	for range 3000 {
		var parts, want []string
		values := map[string]string{}
		for _, k := range g.Perm(len(keys))[:g.IntN(len(keys)+1)] {
			values[keys[k]] = fmt.Sprint(g.IntN(1000))
			colon := g.pick(":", ": ", " : ")
			parts = append(parts, `"`+keys[k]+`"`+colon+values[keys[k]])
		}
		for _, c := range columns {
			want = append(want, orNull(values[c.Name]))
		}
		payload := "{" + strings.Join(parts, g.pick(",", ", ", " ,")) + "}"
		got, _ := ours(d, columns, [][]byte{[]byte(payload)})
		if got[0].String() != strings.Join(want, " | ") {
			t.Fatalf("%s: got %v, want %v", payload, got[0], want)
		}
	}
}

// TestEveryCut cuts and changes a record at each byte: what is left is refused
// by the document's fault at the cut, wherever a word of eight bytes ends.
func TestEveryCut(t *testing.T) {
	record := []byte(`{"timestamp": "2024-01-02T03:04:05.678", "type": "type_A, żółw \u00e9", "value": 12.5e0, "x": [true, null, {}]}`)
	d := json.New(skeletonColumns())
	for n := range record {
		for _, payload := range [][]byte{record[:n], append(bytes.Clone(record[:n]), 1), append(bytes.Clone(record[:n]), 0)} {
			if len(payload) > 0 && payload[len(payload)-1] > 0x7f {
				continue
			}
			_, faults := ours(d, skeletonColumns(), [][]byte{payload})
			if f, ok := faults[0]; !ok || f.Column != -1 || f.Position != n && f.Err.Code != "22021" {
				t.Errorf("%q: fault %+v %v", payload, f, f.Err)
			}
		}
	}
}
