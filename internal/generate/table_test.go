package generate

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/codec"
	codecjson "github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
)

func member(names ...string) []codec.PathStep {
	var p []codec.PathStep
	for _, n := range names {
		p = append(p, codec.PathStep{Member: true, Name: n})
	}
	return p
}

func one(name string, t column.Type) codec.Column {
	return codec.Column{Name: name, Type: t, NotNull: true, Path: member(name), Needed: true}
}

// TestTable decodes what is made by the project's own decoder: each column
// must be what its foreign table takes.
func TestTable(t *testing.T) {
	columns := []codec.Column{
		one("at", column.Of(column.Timestamptz)),
		one("id", column.Of(column.Int8)),
		one("small", column.Of(column.Int2)),
		one("quantity", column.Of(column.Int4)),
		one("ok", column.Of(column.Bool)),
		one("temperature", column.Of(column.Float8)),
		one("r", column.Of(column.Float4)),
		one("price", column.Type{Kind: column.Numeric, Precision: 4, Scale: 2}),
		one("tiny", column.Type{Kind: column.Numeric, Precision: 1, Scale: 0}),
		one("free", column.Of(column.Numeric)),
		one("customer_name", column.Of(column.Text)),
		one("country", column.Type{Kind: column.Varchar, Length: 2}),
		one("something", column.Type{Kind: column.Varchar, Length: 3}),
		one("ref", column.Of(column.UUID)),
		one("day", column.Of(column.Date)),
		one("local", column.Of(column.Timestamp)),
		one("extra", column.Of(column.JSONB)),
		{Name: "user_id", Type: column.Of(column.Int4), NotNull: true, Needed: true, Path: member("user", "id")},
		{Name: "mail", Type: column.Of(column.Text), NotNull: true, Needed: true, Path: member("user", "contact", "mail")},
		{Name: "first", Type: column.Of(column.Text), NotNull: true, Needed: true, Path: append(member("tags"), codec.PathStep{Index: 1})},
		{Name: "ms", Type: column.Of(column.Timestamptz), NotNull: true, Needed: true, Path: member("ms"), Epoch: codec.EpochMillis},
		{Name: "perhaps", Type: column.Of(column.Text), Needed: true, Path: member("perhaps")},
	}
	const count, disorder = 2000, 2 * time.Second
	in := NewTable(Columns{Columns: columns, EventTime: 0, Disorder: disorder}, 3, Times{From: noon, Step: time.Second})
	payloads := make([][]byte, count)
	for i := range payloads {
		r, err := in.Next()
		if err != nil {
			t.Fatal(err)
		}
		payloads[i] = r.Value
	}
	vectors := make([]*column.Vector, len(columns))
	for i, c := range columns {
		vectors[i] = column.NewVector(c.Type, 0)
	}
	for _, f := range codecjson.New(columns).Decode(payloads, vectors, nil) {
		t.Fatalf("record %d, column %d: %v in %s", f.Row, f.Column, f.Err, payloads[f.Row])
	}
	outOfOrder := false
	for i, payload := range payloads {
		var v struct{ At time.Time }
		if err := json.Unmarshal(payload, &v); err != nil {
			t.Fatal(err)
		}
		due := noon.Add(time.Duration(i) * time.Second)
		if back := due.Sub(v.At); back < 0 || back >= disorder {
			t.Fatalf("record %d is of %v, want up to %v before %v", i, v.At, disorder, due)
		}
		outOfOrder = outOfOrder || !v.At.Equal(due)
	}
	if !outOfOrder {
		t.Error("all records are in order")
	}
}
