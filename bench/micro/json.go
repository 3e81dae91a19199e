package main

import (
	stdjson "encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/bytedance/sonic"
	"github.com/minio/simdjson-go"
	"github.com/valyala/fastjson"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
)

// batch is how many records are decoded at once.
const batch = 1000

// yahoo makes events of the Yahoo streaming benchmark.
func yahoo() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	id := func() string {
		return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
	}
	types := []string{"banner", "modal", "sponsored-search", "mail", "mobile"}
	kinds := []string{"view", "click", "purchase"}
	out := make([][]byte, batch)
	for i := range out {
		out[i] = fmt.Appendf(nil, `{"user_id":"%s","page_id":"%s","ad_id":"%s","ad_type":"%s","event_type":"%s","event_time":"%d","ip_address":"1.2.3.4"}`,
			id(), id(), id(), types[r.IntN(len(types))], kinds[r.IntN(len(kinds))], 1_700_000_000_000+10*i)
	}
	return out
}

func size(events [][]byte) (n int) {
	for _, e := range events {
		n += len(e)
	}
	return n
}

func textColumn(name string, needed bool) codec.Column {
	return codec.Column{Name: name, Type: column.Of(column.Text), Needed: needed, Path: []codec.PathStep{{Member: true, Name: name}}}
}

// ours decodes events with the product's decoder.
func ours(columns []codec.Column, events [][]byte) func() {
	d := json.New(columns)
	cols := make([]*column.Vector, len(columns))
	for j := range cols {
		cols[j] = &column.Vector{}
	}
	return func() {
		if faults := d.Decode(events, cols, nil); len(faults) > 0 {
			panic(faults[0].Err.Message)
		}
	}
}

// decoders reads ad_id, event_type and event_time of each event. All check the
// whole record, and hand out its three values.
func decoders() []line {
	events := yahoo()
	columns := []codec.Column{
		textColumn("user_id", false), textColumn("page_id", false), textColumn("ad_id", true), textColumn("ad_type", false),
		textColumn("event_type", true), textColumn("event_time", true), textColumn("ip_address", false),
	}
	columns[5].Type, columns[5].Epoch = column.Of(column.Timestamptz), codec.EpochMillis
	out := []line{{what: "3 of 7 columns", by: "millstream", run: ours(columns, events)}}
	add := func(by string, one func([]byte) int) {
		out = append(out, line{what: "3 of 7 columns", by: by, run: func() {
			n := 0
			for _, e := range events {
				n += one(e)
			}
			if n < batch*(36+4+13) {
				panic(by + " does not find the values")
			}
		}})
	}
	var p fastjson.Parser
	add("fastjson", func(e []byte) int {
		v := must(p.ParseBytes(e))
		return len(v.GetStringBytes("ad_id")) + len(v.GetStringBytes("event_type")) + len(v.GetStringBytes("event_time"))
	})
	type event struct {
		AdID      string `json:"ad_id"`
		EventType string `json:"event_type"`
		EventTime string `json:"event_time"`
	}
	add("sonic", func(e []byte) int {
		var v event
		must(0, sonic.Unmarshal(e, &v))
		return len(v.AdID) + len(v.EventType) + len(v.EventTime)
	})
	if simdjson.SupportedCPU() {
		var parsed *simdjson.ParsedJson
		var it simdjson.Iter
		var obj simdjson.Object
		var el simdjson.Element
		add("simdjson-go", func(e []byte) int {
			parsed = must(simdjson.Parse(e, parsed, simdjson.WithCopyStrings(false)))
			it = parsed.Iter()
			it.AdvanceInto()
			_, root, err := it.Root(nil)
			must(0, err)
			o := must(root.Object(&obj))
			n := 0
			for _, name := range []string{"ad_id", "event_type", "event_time"} {
				n += len(must(o.FindKey(name, &el).Iter.StringBytes()))
			}
			return n
		})
	}
	add("encoding/json", func(e []byte) int {
		var v event
		must(0, stdjson.Unmarshal(e, &v))
		return len(v.AdID) + len(v.EventType) + len(v.EventTime)
	})
	for i := range out {
		out[i].bytes, out[i].items = size(events), batch
	}
	out = append(out, widths()...)
	for i := range out {
		out[i].part = "json"
	}
	return out
}

// widths decodes records of 10 to 200 columns, and of 100 bytes to 10 kB: what
// a byte costs should hardly differ.
func widths() []line {
	var out []line
	for _, n := range []int{10, 50, 200} {
		var columns []codec.Column
		var b strings.Builder
		for i := range n {
			name := fmt.Sprintf("field_%03d", i)
			columns = append(columns, textColumn(name, true))
			fmt.Fprintf(&b, `,"%s":"some text %d"`, name, i%10)
		}
		events := repeat([]byte("{"+b.String()[1:]+"}"), batch/10)
		out = append(out, line{what: fmt.Sprintf("%d columns", n), by: "millstream", items: len(events), bytes: size(events), run: ours(columns, events)})
	}
	for _, n := range []int{100, 1000, 10_000} {
		value := strings.Repeat("plain text ", n/44+1)[:n/4-9]
		columns := []codec.Column{textColumn("a", true), textColumn("b", true), textColumn("c", true), textColumn("d", true)}
		events := repeat(fmt.Appendf(nil, `{"a":"%[1]s","b":"%[1]s","c":"%[1]s","d":"%[1]s"}`, value), batch/10)
		out = append(out, line{what: fmt.Sprintf("4 columns in %d bytes", len(events[0])), by: "millstream", items: len(events), bytes: size(events), run: ours(columns, events)})
	}
	return out
}

func repeat(event []byte, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = event
	}
	return out
}
