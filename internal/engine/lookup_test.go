package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/plan"
)

// keyTable makes a table of n rows whose keys are values of the types, none
// twice, some with NULL.
func keyTable(n int, types ...column.Kind) (*plan.Lookup, *column.Batch) {
	l, b := &plan.Lookup{Schema: "public", Table: "things"}, &column.Batch{N: n}
	var index []int
	for c, k := range types {
		l.Columns = append(l.Columns, plan.LookupColumn{Name: fmt.Sprintf("k%d", c), Type: column.Of(k)})
		l.Needed = append(l.Needed, true)
		v := column.NewVector(column.Of(k), n)
		for i := range n {
			setKey(v, i, i)
			v.Null[i] = i%17 == 16 && c == len(types)-1
		}
		b.Cols = append(b.Cols, v)
		index = append(index, c)
	}
	l.Indexes = [][]int{index}
	return l, b
}

func setKey(v *column.Vector, i, key int) {
	switch v.Type.Kind.Storage() {
	case column.IntStorage:
		v.Int[i] = int64(key) * 1_000_003
	case column.FloatStorage:
		v.Float[i] = float64(key) / 3
		if key == 1 {
			v.Float[i] = math.NaN()
		}
	case column.BytesStorage:
		v.SetString(i, fmt.Sprintf("key %d", key))
	}
}

// TestLookupFindsEachKey looks up every key, others that are near, and NULL.
func TestLookupFindsEachKey(t *testing.T) {
	const n = 10_000
	for _, types := range [][]column.Kind{
		{column.Int4}, {column.Text}, {column.Float8}, {column.Text, column.Int8}, {column.Int8, column.Float8, column.Text},
	} {
		l, rows := keyTable(n, types...)
		table, err := newLookupTable(l, 1, rows)
		if err != nil {
			t.Fatal(err)
		}
		asked := rand.New(rand.NewPCG(1, 2)).Perm(2 * n)
		var keys []*column.Vector
		for _, k := range types {
			v := column.NewVector(column.Of(k), len(asked))
			for i, key := range asked {
				setKey(v, i, key)
				v.Null[i] = key%29 == 28
			}
			keys = append(keys, v)
		}
		sel := make([]int32, 0, len(asked))
		for i := range asked {
			if i%3 > 0 {
				sel = append(sel, int32(i))
			}
		}
		var p prober
		p.find(table.indexes[0], keys, sel, len(asked))
		for _, i := range sel {
			want := int32(asked[i])
			if want >= n || want%17 == 16 || want%29 == 28 {
				want = -1
			}
			if p.matches[i] != want {
				t.Fatalf("%v: key %d is found in row %d, not %d", types, asked[i], p.matches[i], want)
			}
		}
	}
}

func TestLookupRefusesEqualKeys(t *testing.T) {
	l, rows := keyTable(100, column.Float8)
	rows.Cols[0].Float[7], rows.Cols[0].Float[90] = 0, math.Copysign(0, -1)
	rows.Cols[0].Float[0] = 5000
	if _, err := newLookupTable(l, 1, rows); err == nil || !strings.Contains(err.Error(), "two rows with the same key (k0): 0, rows 7 and 90") {
		t.Errorf("0 and -0 are one key: %v", err)
	}
}

// TestLookupChange tells rows that came, went, and are not what they were.
func TestLookupChange(t *testing.T) {
	l, rows := keyTable(50, column.Int4)
	l.Columns = append(l.Columns, plan.LookupColumn{Name: "value", Type: column.Of(column.Text)})
	l.Needed = append(l.Needed, true)
	build := func(version int64, from, to int, other ...int) *lookupTable {
		b := &column.Batch{N: to - from, Cols: []*column.Vector{column.NewVector(column.Of(column.Int4), to-from), column.NewVector(column.Of(column.Text), to-from)}}
		for i := range b.N {
			b.Cols[0].Int[i] = rows.Cols[0].Int[to-1-i] // in another order
			text := "same"
			if slices.Contains(other, to-1-i) {
				text = "other"
			}
			b.Cols[1].SetString(i, text)
		}
		t, err := newLookupTable(l, version, b)
		if err != nil {
			panic(err)
		}
		return t
	}
	first := build(1, 0, 40)
	if c := changeOf(0, nil, first); len(c.Added) != 40 || c.Before != 0 || c.OldRows != nil {
		t.Errorf("a first version: %+v", c)
	}
	if c := changeOf(0, first, build(2, 0, 40)); c != nil {
		t.Errorf("nothing has changed, and it says %+v", c)
	}
	c := changeOf(0, first, build(2, 5, 45, 10, 20))
	if c == nil || len(c.Added) != 7 || len(c.Removed) != 7 || c.Before != 1 || c.Version != 2 {
		t.Errorf("5 came, 5 went, 2 are others: %+v", c)
	}
}
