package datum

import (
	"bytes"
	"cmp"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
)

// Compare orders value i of a and value j of b, which have the same kind and
// are not null, by the type's btree order. Text compares as COLLATE "C"; NaN
// equals itself and is greater than all numbers.
func Compare(a *column.Vector, i int, b *column.Vector, j int) int {
	switch a.Type.Kind {
	case column.Float4, column.Float8:
		return compareFloat(a.Float[i], b.Float[j])
	case column.Numeric:
		return compareNumeric(a.Bytes(i), b.Bytes(j))
	case column.Interval:
		h, l := intervalSpan(a.Interval[i])
		k, m := intervalSpan(b.Interval[j])
		return cmp.Or(cmp.Compare(h, k), cmp.Compare(l, m))
	case column.JSONB:
		return CompareJSONB(a.Bytes(i), b.Bytes(j))
	case column.Text, column.Varchar, column.Unknown, column.UUID, column.Bytea:
		return bytes.Compare(a.Bytes(i), b.Bytes(j))
	}
	if k := a.Type.Kind; k == column.Inet || k == column.Cidr {
		return compareNetworks(a.Bytes(i), b.Bytes(j))
	}
	if a.Type.Kind.IsArray() {
		return compareArrays(a, i, b, j)
	}
	return cmp.Compare(a.Int[i], b.Int[j])
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	// At least one is NaN.
	switch {
	case a == a:
		return -1
	case b == b:
		return 1
	}
	return 0
}

func compareNumeric(a, b []byte) int {
	c, s, ok := decimal.DecodeInt64(a)
	d, t, also := decimal.DecodeInt64(b)
	if ok && also && s == t {
		return cmp.Compare(c, d)
	}
	return decimal.Decode(a).Cmp(decimal.Decode(b))
}
