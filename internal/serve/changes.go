package serve

import (
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

// keySet are the keys of rows that were changed, as JSON objects, by which of
// their columns are null (bit i: key column i): each pattern takes a statement
// of its own, since an index finds nulls by IS NULL only.
type keySet struct {
	patterns map[uint64]map[string]struct{}
	n        int
	bytes    int
	// lost tells that there were more than are kept, or rows that went by a
	// rule instead of by key.
	lost bool
}

func (k *keySet) add(nulls uint64, key []byte) {
	if k.n >= maxKeys || k.bytes >= maxKeyBytes {
		k.lost = true
	}
	if k.lost {
		k.patterns, k.n, k.bytes = nil, 0, 0
		return
	}
	if k.patterns == nil {
		k.patterns = map[uint64]map[string]struct{}{}
	}
	if k.patterns[nulls] == nil {
		k.patterns[nulls] = map[string]struct{}{}
	}
	if _, ok := k.patterns[nulls][string(key)]; !ok {
		k.patterns[nulls][string(key)] = struct{}{}
		k.n++
		k.bytes += len(key)
	}
}

// merge adds the keys of a later commit.
func (k *keySet) merge(later *keySet) {
	k.lost = k.lost || later.lost
	for nulls, keys := range later.patterns {
		for key := range keys {
			k.add(nulls, []byte(key))
		}
	}
	if k.lost {
		k.patterns, k.n, k.bytes = nil, 0, 0
	}
}

// keyTexts writes keys as a JSON array.
func keyTexts(keys map[string]struct{}) []byte {
	var b strings.Builder
	b.WriteByte('[')
	for key := range keys {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(key)
	}
	b.WriteByte(']')
	return []byte(b.String())
}

// viewColumns gives the columns of a view's key: their names, and where they stand
// in the rows of a commit.
func viewColumns(v *plan.View) (names []string, at []int) {
	if v.Mode == plan.Append {
		return []string{"_source", "_partition", "_offset"}, []int{0, 1, 2}
	}
	for _, i := range v.Key {
		names, at = append(names, v.Columns[i].Name), append(at, i)
	}
	return names, at
}

// changed gives the keys that a commit changes in a view's table; expired tells
// that rows have gone by age, whose keys nobody knows. The commit's batches are
// used again after it, so nothing of them is kept.
func changed(v *plan.View, c *engine.TableChange, expired bool) *keySet {
	out := &keySet{lost: expired}
	names, at := viewColumns(v)
	if b := c.Upserts; b != nil {
		cols := make([]*column.Vector, len(at))
		for i, j := range at {
			cols[i] = b.Cols[j]
		}
		out.collect(names, cols, b.N)
	}
	if b := c.Deletes; b != nil {
		out.collect(names, b.Cols, b.N)
	}
	return out
}

func (k *keySet) collect(names []string, cols []*column.Vector, n int) {
	var key []byte
	for i := range n {
		if k.lost {
			return
		}
		key = append(key[:0], '{')
		var nulls uint64
		for j, v := range cols {
			if j > 0 {
				key = append(key, ',')
			}
			key = append(datum.AppendJSONString(key, []byte(names[j])), ':')
			key = datum.AppendJSON(key, v, i)
			if v.Null[i] {
				nulls |= 1 << j
			}
		}
		k.add(nulls, append(key, '}'))
	}
}
