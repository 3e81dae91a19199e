package json_test

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
)

// benchBatch is how many records a benchmark decodes at once.
const benchBatch = 1000

func field(name string, k column.Kind, needed bool) codec.Column {
	return codec.Column{Name: name, Type: column.Of(k), Needed: needed,
		Path: []codec.PathStep{{Member: true, Name: name}}}
}

func yahooColumns(all bool) []codec.Column {
	columns := []codec.Column{
		field("user_id", column.Text, all), field("page_id", column.Text, all), field("ad_id", column.Text, true),
		field("ad_type", column.Text, all), field("event_type", column.Text, true),
		field("event_time", column.Timestamptz, true), field("ip_address", column.Text, all),
	}
	columns[5].Epoch = codec.EpochMillis
	return columns
}

func yahooEvents(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	id := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
	}
	types := []string{"banner", "modal", "sponsored-search", "mail", "mobile"}
	kinds := []string{"view", "click", "purchase"}
	events := make([][]byte, n)
	for i := range events {
		events[i] = fmt.Appendf(nil, `{"user_id":"%s","page_id":"%s","ad_id":"%s","ad_type":"%s","event_type":"%s","event_time":"%d","ip_address":"1.2.3.4"}`,
			id(), id(), id(), types[r.IntN(len(types))], kinds[r.IntN(len(kinds))], 1_700_000_000_000+10*i)
	}
	return events
}

func skeletonColumns() []codec.Column {
	columns := []codec.Column{field("timestamp", column.Timestamptz, true), field("type", column.Text, true),
		field("value", column.Float8, true)}
	columns[0].NotNull, columns[1].NotNull = true, true
	return columns
}

func skeletonEvents(n int) [][]byte {
	events := make([][]byte, n)
	for i := range events {
		events[i] = fmt.Appendf(nil, `{"timestamp": "2024-01-02T03:04:%02d.678", "type": "type_%c", "value": %d.5}`,
			i%60, 'A'+rune(i%3), i%100)
	}
	return events
}

func wideEvents(n int) ([]codec.Column, [][]byte) {
	var columns []codec.Column
	var b strings.Builder
	kinds := []column.Kind{column.Int8, column.Float8, column.Text, column.Bool}
	values := []string{"123456", "12.75", `"some text"`, "true"}
	for i := range 200 {
		columns = append(columns, field(fmt.Sprintf("field_%03d", i), kinds[i%4], true))
		fmt.Fprintf(&b, `,"field_%03d":%s`, i, values[i%4])
	}
	event := []byte("{" + b.String()[1:] + "}")
	events := make([][]byte, n)
	for i := range events {
		events[i] = event
	}
	return columns, events
}

func nestedEvents(n int) ([]codec.Column, [][]byte) {
	path := func(c codec.Column, names ...string) codec.Column {
		c.Path = nil
		for _, name := range names {
			c.Path = append(c.Path, codec.PathStep{Member: true, Name: name})
		}
		return c
	}
	columns := []codec.Column{
		field("event_type", column.Int4, true),
		path(field("auction", column.Int8, true), "bid", "auction"),
		path(field("bidder", column.Int8, true), "bid", "bidder"),
		path(field("price", column.Int8, true), "bid", "price"),
		path(field("at", column.Timestamptz, true), "bid", "dateTime"),
	}
	events := make([][]byte, n)
	for i := range events {
		events[i] = fmt.Appendf(nil, `{"event_type":2,"person":null,"auction":null,"bid":{"auction":%d,"bidder":%d,"price":%d,"channel":"Google","url":"https://www.nexmark.com/abc/item.htm?query=1","dateTime":"2024-01-02 03:04:05.%03d","extra":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}`,
			1000+i, 1000+i/2, 100*i, i%1000)
	}
	return columns, events
}

func benchDecode(b *testing.B, columns []codec.Column, events [][]byte) {
	d := json.New(columns)
	cols := make([]*column.Vector, len(columns))
	size := 0
	for j := range cols {
		cols[j] = &column.Vector{}
	}
	for _, e := range events {
		size += len(e)
	}
	if faults := d.Decode(events, cols, nil); len(faults) > 0 {
		b.Fatalf("%+v: %v", faults[0], faults[0].Err)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		d.Decode(events, cols, nil)
	}
	perSecond(b, len(events))
}

func perSecond(b *testing.B, events int) {
	b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkDecode(b *testing.B) {
	b.Run("yahoo 3 of 7", func(b *testing.B) { benchDecode(b, yahooColumns(false), yahooEvents(benchBatch)) })
	b.Run("yahoo 7 of 7", func(b *testing.B) { benchDecode(b, yahooColumns(true), yahooEvents(benchBatch)) })
	b.Run("skeleton", func(b *testing.B) { benchDecode(b, skeletonColumns(), skeletonEvents(benchBatch)) })
	b.Run("nested", func(b *testing.B) {
		columns, events := nestedEvents(benchBatch)
		benchDecode(b, columns, events)
	})
	b.Run("wide 200", func(b *testing.B) {
		columns, events := wideEvents(benchBatch / 10)
		benchDecode(b, columns, events)
	})
	long := func(s string) [][]byte {
		return [][]byte{[]byte(`{"text":"` + s + `"}`)}
	}
	b.Run("text 10kB", func(b *testing.B) {
		benchDecode(b, []codec.Column{field("text", column.Text, true)}, long(strings.Repeat("plain text ", 930)))
	})
	b.Run("escapes 10kB", func(b *testing.B) {
		benchDecode(b, []codec.Column{field("text", column.Text, true)}, long(strings.Repeat(`some \"quoted\" text\n `, 440)))
	})
	b.Run("unicode 10kB", func(b *testing.B) {
		benchDecode(b, []codec.Column{field("text", column.Text, true)}, long(strings.Repeat("żółta gęś ", 700)))
	})
}

// BenchmarkStandard is what encoding/json needs for the same records.
func BenchmarkStandard(b *testing.B) {
	type yahoo struct {
		AdID      string `json:"ad_id"`
		EventType string `json:"event_type"`
		EventTime string `json:"event_time"`
	}
	type skeleton struct {
		Timestamp string  `json:"timestamp"`
		Type      string  `json:"type"`
		Value     float64 `json:"value"`
	}
	bench := func(b *testing.B, events [][]byte, one func([]byte) error) {
		size := len(bytes.Join(events, nil))
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			for _, e := range events {
				if err := one(e); err != nil {
					b.Fatal(err)
				}
			}
		}
		perSecond(b, len(events))
	}
	valid := func(e []byte) error {
		if !stdjson.Valid(e) {
			return fmt.Errorf("not valid: %s", e)
		}
		return nil
	}
	b.Run("yahoo Valid", func(b *testing.B) { bench(b, yahooEvents(benchBatch), valid) })
	b.Run("yahoo Unmarshal", func(b *testing.B) {
		var v yahoo
		bench(b, yahooEvents(benchBatch), func(e []byte) error { return stdjson.Unmarshal(e, &v) })
	})
	b.Run("skeleton Valid", func(b *testing.B) { bench(b, skeletonEvents(benchBatch), valid) })
	b.Run("skeleton Unmarshal", func(b *testing.B) {
		var v skeleton
		bench(b, skeletonEvents(benchBatch), func(e []byte) error { return stdjson.Unmarshal(e, &v) })
	})
}
