package main

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"math/rand/v2"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/aggregate"
	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/expr"
)

var (
	bigint = column.Of(column.Int8)
	spec   = state.Spec{Keys: []column.Type{bigint}, Aggs: []state.AggSpec{
		{Kind: expr.CountStar, Result: bigint}, {Kind: expr.Max, Arg: bigint, Result: bigint},
	}}
)

// rowsAtOnce is how many rows meet the table together, and what one run does.
const rowsAtOnce = 4096

// tables counts rows by an integer key, uniformly drawn, and keeps the greatest
// value: the product's table of groups and its accumulators, and Go's map.
func tables() []line {
	var out []line
	for _, keys := range []int{100, 1_000_000} {
		draw := make([]int64, 1<<20)
		r := rand.New(rand.NewPCG(1, uint64(keys)))
		for i := range draw {
			draw[i] = r.Int64N(int64(keys))
		}
		what := fmt.Sprintf("count and max of %d keys", keys)
		out = append(out,
			line{part: "groups", what: what, by: "millstream", items: rowsAtOnce, run: ourTable(draw)},
			line{part: "groups", what: what, by: "Go map", items: rowsAtOnce, run: goMap(draw)})
	}
	return out
}

func ourTable(draw []int64) func() {
	t := state.NewTable(spec)
	values := column.NewVector(bigint, rowsAtOnce)
	keys := []*column.Vector{values}
	var (
		bytes  []byte
		hashes = make([]uint64, rowsAtOnce)
		groups = make([]uint32, rowsAtOnce)
		rows   = make([]int32, rowsAtOnce)
		at     = make([]int64, rowsAtOnce)
	)
	for i := range rows {
		rows[i] = int32(i)
	}
	return inTurn(draw, func(part []int64) {
		copy(values.Int, part)
		bytes = bytes[:0]
		for i, k := range part {
			bytes = binary.LittleEndian.AppendUint64(bytes, uint64(k))
			hashes[i] = state.Hash(bytes[8*i:])
		}
		t.Warm(hashes)
		for i := range part {
			g, fresh := t.Find(hashes[i], bytes[8*i:8*i+8])
			if fresh {
				t.Represent(g, true, keys, i, aggregate.Position{})
			}
			groups[i] = g
		}
		t.Ready()
		run := aggregate.Rows{Groups: groups, Rows: rows, Offsets: at}
		t.Aggs[0].Update(&run, nil)
		t.Aggs[1].Update(&run, values)
	})
}

// inTurn gives do all parts of draw once, and then the next one at each call.
func inTurn(draw []int64, do func(part []int64)) func() {
	for from := 0; from < len(draw); from += rowsAtOnce {
		do(draw[from : from+rowsAtOnce])
	}
	from := 0
	return func() {
		do(draw[from : from+rowsAtOnce])
		from = (from + rowsAtOnce) % len(draw)
	}
}

func goMap(draw []int64) func() {
	type group struct{ n, most int64 }
	m := map[int64]*group{}
	return inTurn(draw, func(part []int64) {
		for _, k := range part {
			g := m[k]
			if g == nil {
				g = &group{most: k}
				m[k] = g
			}
			g.n++
			g.most = max(g.most, k)
		}
	})
}

// states encodes groups as a commit does, and reads them as a restart does,
// beside the standard library's binary encoding.
func states() []line {
	const n = 10_000
	groups := state.NewGroups(spec, func(int64) int64 { return column.Infinity })
	w := groups.Window(state.Windowless)
	keys := []*column.Vector{column.NewVector(bigint, 1)}
	for k := range int64(n) {
		keys[0].Int[0] = k * 7919
		key := binary.LittleEndian.AppendUint64([]byte{1}, uint64(keys[0].Int[0]))
		g, _ := w.Find(state.Hash(key), key)
		w.Represent(g, true, keys, 0, aggregate.Position{})
		w.Ready()
		run := aggregate.Rows{Groups: []uint32{g}, Rows: []int32{0}, Offsets: []int64{k}}
		w.Aggs[0].Update(&run, nil)
		w.Aggs[1].Update(&run, keys[0])
	}
	var blob []byte
	encode := func() {
		blob = append(blob[:0], state.Format)
		for g := range uint32(n) {
			blob = groups.AppendGroup(blob, w, g)
		}
	}
	encode()
	load := func() {
		into := state.NewGroups(spec, func(int64) int64 { return column.Infinity })
		must(0, into.Load(blob, func(int64, int) bool { return true }))
		if into.Len() != n {
			panic("groups are missing")
		}
	}
	type plain struct{ Key, Count, Most int64 }
	all := make([]plain, n)
	for k := range all {
		all[k] = plain{int64(k) * 7919, 1, int64(k) * 7919}
	}
	var to bytes.Buffer
	gobEncode := func() {
		to.Reset()
		must(0, gob.NewEncoder(&to).Encode(all))
	}
	gobEncode()
	gobLoad := func() {
		var back []plain
		must(0, gob.NewDecoder(bytes.NewReader(to.Bytes())).Decode(&back))
	}
	return []line{
		{part: "state", what: "encode a group", by: "millstream", items: n, bytes: len(blob), run: encode},
		{part: "state", what: "encode a group", by: "encoding/gob", items: n, bytes: to.Len(), run: gobEncode},
		{part: "state", what: "load a group into a table", by: "millstream", items: n, bytes: len(blob), run: load},
		{part: "state", what: "load a group into a slice", by: "encoding/gob", items: n, bytes: to.Len(), run: gobLoad},
	}
}
