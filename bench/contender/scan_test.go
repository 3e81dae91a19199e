package contender

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"time"
)

// TestScan compares the fast path and its fallback with encoding/json: every
// text that it refuses must be refused, and values must be the same.
func TestScan(t *testing.T) {
	l := newLayout(member{"a", false, 0}, member{"b", true, 1}, member{"c", false, 2})
	for _, text := range []string{
		`{"a":"x","b":1,"c":"y"}`, `{"a":"","b":-0.5,"c":"long enough for words"}`, `{"a":"exactly8","b":10,"c":"16 characters ok"}`,
		`{"b":1,"a":"x","c":"y"}`, `{ "a":"x","b":1,"c":"y"}`, `{"a":"\u0041","b":1,"c":"é"}`, `{"a":"x","b":1e3,"c":"y"}`, `{"a":"x","b":1,"c":"y","d":[]}`,
		`{"a":"x","b":01,"c":"y"}`, `{"a":"x","b":1.,"c":"y"}`, `{"a":"x","b":-,"c":"y"}`, `{"a":"x","b":1,"c":"y"`, `{"a":"x","b":1,"c":"y"} x`, `{"a":"x","b":1,"c":"y"}}`,
		"{\"a\":\"tab\t\",\"b\":1,\"c\":\"y\"}", "{\"a\":\"a longer text with\x01\",\"b\":1,\"c\":\"y\"}", `{"a":"x" "b":1,"c":"y"}`, `{"a":"x","b":1,"c":"y`, `{"a":"x","b":1}`, ``, `{`, `{}`, `[]`,
		`{"a":"quote\"in","b":1,"c":"y"}`, `{"a":"1234567\\","b":1,"c":"y"}`,
	} {
		var want struct {
			A *string
			B *json.Number
			C *string
		}
		wanted := json.Unmarshal([]byte(text), &want)
		if wanted == nil && (want.A == nil || want.B == nil || want.C == nil) {
			wanted = strconv.ErrSyntax
		}
		var got values
		err := l.scan([]byte(text), &got)
		if (err != nil) != (wanted != nil) {
			t.Errorf("%s: got error %v, want %v", text, err, wanted)
			continue
		}
		if err == nil && (string(got[0]) != *want.A || string(got[1]) != want.B.String() || string(got[2]) != *want.C) {
			t.Errorf("%s: got %s, %s, %s", text, got[0], got[1], got[2])
		}
	}
}

// TestScanTakesTheFastPath holds that what is measured is what is meant.
func TestScanTakesTheFastPath(t *testing.T) {
	text := []byte(`{"user_id":"1","page_id":"2","ad_id":"3","ad_type":"mail","event_type":"view","event_time":"1767225600000","ip_address":"1.2.3.4"}`)
	var v values
	if l := newYahooQuery(0).layout(); !l.fast(text, &v) || string(v[2]) != "1767225600000" {
		t.Errorf("the event was left to encoding/json: %s", v)
	}
	if n := testing.AllocsPerRun(100, func() { newYahooLayout.fast(text, &v) }); n != 0 {
		t.Errorf("%v allocations for a record", n)
	}
}

var newYahooLayout = newYahooQuery(0).layout()

func TestParse(t *testing.T) {
	for _, text := range []string{"2026-01-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z", "2026-12-31T12:34:56.789Z", "1970-01-01T00:00:00.001Z", "2026-03-01T00:00:00+02:00", "2026-03-01T00:00:00.5Z"} {
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseTime([]byte(text)); err != nil || got != want.UnixMilli() {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want.UnixMilli())
		}
	}
	for _, text := range []string{"2026-13-01T00:00:00.000Z", "2026-02-30T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-01T00:00:0x.000Z", ""} {
		if got, err := parseTime([]byte(text)); err == nil {
			t.Errorf("%s: got %d, want an error", text, got)
		}
	}
	for _, text := range []string{"0", "12.5", "99.99", "0.1", "-3.25", "123456789012345", "0.00000000001", "1234567890123456789.5"} {
		want, _ := strconv.ParseFloat(text, 64)
		if got, err := parseFloat([]byte(text)); err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
}

// TestCounters compares the table with a map, over growth and key 0.
func TestCounters(t *testing.T) {
	table, want := newCounters(), map[uint64]int64{}
	for i := range uint64(20_000) {
		key := i * i % 7001
		table.at(key).n++
		want[key]++
	}
	got := map[uint64]int64{}
	for i := range table.cells {
		if c := &table.cells[i]; c.key != 0 {
			got[c.realKey()] = c.n
		}
	}
	if len(got) != len(want) || table.used != len(want) {
		t.Fatalf("%d keys, %d used, want %d", len(got), table.used, len(want))
	}
	for key, n := range want {
		if got[key] != n {
			t.Errorf("key %d: got %d, want %d", key, got[key], n)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	text := []byte(`{"user_id":"0a1b2c3d-0a1b-4c3d-8a1b-0a1b2c3d4e5f","page_id":"0a1b2c3d-0a1b-4c3d-8a1b-0a1b2c3d4e5f","ad_id":"0a1b2c3d-0a1b-4c3d-8a1b-0a1b2c3d4e5f","ad_type":"sponsored-search","event_type":"view","event_time":"1767225600000","ip_address":"10.20.30.40"}`)
	b.SetBytes(int64(len(text)))
	var v values
	for range b.N {
		if !newYahooLayout.fast(text, &v) {
			b.Fatal("the slow path")
		}
	}
}
