package badinput

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/codec/hostile"
)

// kind is a record and what must become of it.
type kind struct {
	name      string
	payload   []byte
	key       []byte
	headers   []kgo.RecordHeader
	timestamp time.Time

	refused  *entry  // quarantined for all views
	late     bool    // for windows
	filtered bool    // by all views: a tombstone
	failsIn  []entry // quarantined for some views
	filterIn string  // a view whose WHERE says no
}

// The indexes of fates in counts.
const (
	accepted    = 1
	filtered    = 2
	late        = 3
	quarantined = 4
)

// expected are the ledger's rows.
func (k kind) expected() []entry {
	if k.refused != nil {
		return []entry{*k.refused}
	}
	return k.failsIn
}

func (k kind) fate(view string) int {
	if k.refused != nil {
		return quarantined
	}
	if k.filtered || k.filterIn == view {
		return filtered
	}
	for _, e := range k.failsIn {
		if e.View == view {
			return quarantined
		}
	}
	if k.late && view == "windows" {
		return late
	}
	return accepted
}

const stamp = `"timestamp": "2024-01-02T03:04:05Z"`

var recordTime = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

var goodKind = kind{name: "good", payload: []byte(`{` + stamp + `, "type": "good", "value": 1}`), timestamp: recordTime}

func good(name string) kind {
	k := goodKind
	k.name = name
	return k
}

func of(name, payload string) kind {
	return kind{name: name, payload: []byte(payload), timestamp: recordTime}
}

// kinds are the records of package hostile, and those that only the whole
// line can judge.
func kinds() []kind {
	var out []kind
	for _, r := range hostile.Records() {
		out = append(out, ofHostile(r))
	}
	for _, group := range [][]kind{times(), surroundings(), large(), expressions()} {
		out = append(out, group...)
	}
	return out
}

func ofHostile(r hostile.Record) kind {
	k := kind{name: r.Name, payload: r.Payload, timestamp: recordTime}
	if r.Cause != hostile.Good {
		cause := map[hostile.Cause]string{hostile.Input: "decode", hostile.Size: "size", hostile.Reserved: "event_time"}[r.Cause]
		k.refused = &entry{Cause: cause, SQLState: r.Code, Message: r.Message, Column: r.Column, Position: r.Position}
		return k
	}
	if r.Timestamp == "infinity" {
		k.refused = &entry{Cause: "event_time", Message: "the event time is infinite", Column: "timestamp", Position: -1}
	}
	return k
}

func times() []kind {
	future := func(name, at string) kind {
		k := of(name, `{"timestamp": "`+at+`", "type": "a"}`)
		k.refused = &entry{Cause: "future", Message: "the event time is further ahead of the clock than future_limit allows", Column: "timestamp", Position: -1}
		return k
	}
	old := func(name, at string) kind {
		k := of(name, `{"timestamp": "`+at+`", "type": "a"}`)
		k.late = true
		return k
	}
	return []kind{
		future("ahead by a century", "2124-01-02 03:04:05"),
		future("the last timestamp", "294276-12-31 23:59:59.999999"),
		old("late by a year", "2023-01-02 03:04:05"),
		old("late by ten minutes", "2024-01-02 02:54:05"),
		old("before Unix", "1969-12-31 23:59:59"),
		old("the first timestamp", "4713-01-01 00:00:00 BC"),
	}
}

// surroundings are keys, headers and timestamps.
func surroundings() []kind {
	broken := func(name string) kind {
		k := of(name, `{`)
		k.refused = &entry{Cause: "decode", SQLState: "22P02", Message: "invalid input syntax for type json", Position: 1}
		return k
	}
	tombstone := kind{name: "tombstone", filtered: true, timestamp: recordTime}
	named := tombstone
	named.name, named.key = "tombstone with a key", []byte("gone")
	var headers []kgo.RecordHeader
	for i := range 5000 {
		headers = append(headers, kgo.RecordHeader{Key: fmt.Sprintf("h%d", i%100), Value: []byte{byte(i)}})
	}
	odd := []kgo.RecordHeader{{Key: "", Value: nil}, {Key: "a\xff\x00b", Value: []byte("\x00\xff")}, {Key: "same", Value: []byte("1")}, {Key: "same", Value: []byte("2")}}
	bigHeader := []kgo.RecordHeader{{Key: strings.Repeat("k", 100_000), Value: bytes.Repeat([]byte("v"), 1<<20)}}
	bigKey := bytes.Repeat([]byte("k"), 4<<20)

	var out []kind
	for _, v := range []struct {
		name    string
		key     []byte
		headers []kgo.RecordHeader
		at      time.Time
	}{
		{"an empty key", []byte{}, nil, recordTime},
		{"a key of 4 MiB", bigKey, nil, recordTime},
		{"a key of no text", []byte("\x00\xff\xfe"), nil, recordTime},
		{"5,000 headers", nil, headers, recordTime},
		{"odd headers", nil, odd, recordTime},
		{"a header of 1 MiB", nil, bigHeader, recordTime},
		{"written at the epoch", nil, nil, time.UnixMilli(0)},
		{"written in the year 9999", nil, nil, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"written before the epoch", nil, nil, time.UnixMilli(-1_000_000)},
		{"written beyond the last timestamp", nil, nil, time.UnixMilli(1 << 53)},
		{"written at the end of Kafka's time", nil, nil, time.UnixMilli(1<<62 + 1<<61)},
	} {
		for _, k := range []kind{good(v.name), broken(v.name + " on a broken record")} {
			k.key, k.headers, k.timestamp = v.key, v.headers, v.at
			out = append(out, k)
		}
	}
	return append(out, tombstone, named)
}

func large() []kind {
	var keys, nested strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&keys, `,"k%d":0`, i)
	}
	for range 1000 {
		nested.WriteString(`,"x":{"a":[1,2,{"b":null}]}`)
	}
	head := `{` + stamp + `, "type": "big"`
	text := func(size int) string {
		return head + `, "x": "` + strings.Repeat("x", size-len(head)-len(`, "x": ""}`)) + `"}`
	}
	long := of("a key of the group of 2,001 bytes", `{`+stamp+`, "type": "`+strings.Repeat("t", 2001)+`"}`)
	long.filterIn = "ratios"
	long.failsIn = []entry{{View: "windows", Cause: "key_size", Message: "the row's key takes more than 2,000 bytes", Position: -1}}
	return []kind{
		of("a million keys", head+keys.String()+`}`),
		of("a key a thousand times, with objects", head+nested.String()+`}`),
		of("1 MiB", text(1<<20)),
		of("one byte less than 8 MiB, a fetch's share", text(8<<20-1)),
		of("16 MiB", text(16<<20)),
		of("all that the broker takes", text(recordBytes-200)),
		of("a thousand digits in a text", head+`, "value": "`+strings.Repeat("1", 300)+`.`+strings.Repeat("7", 1000)+`"}`),
		of("spaces of 1 MiB", strings.Repeat(" ", 1<<20)+head+`}`),
		long,
	}
}

func expressions() []kind {
	fails := of("an expression that fails in one view", `{`+stamp+`, "type": "12345"}`)
	fails.failsIn = []entry{{View: "ratios", Cause: "expression", SQLState: "22012", Message: "division by zero", Position: -1}}
	filteredOut := of("an expression that fails, behind a WHERE that says no", `{`+stamp+`, "type": "`+strings.Repeat("x", 100)+`"}`)
	filteredOut.filterIn = "ratios"
	lateToo := of("late in one view, failing in another", `{"timestamp": "2023-01-02", "type": "abcde"}`)
	lateToo.late = true
	lateToo.failsIn = fails.failsIn
	return []kind{fails, filteredOut, lateToo}
}
