package pipetest

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

func row(values ...string) []*string {
	out := make([]*string, len(values))
	for i := range values {
		if values[i] != "null" {
			out[i] = &values[i]
		}
	}
	return out
}

func TestDiff(t *testing.T) {
	fields := []pgconn.FieldDescription{{Name: "type", DataTypeOID: pgtype.TextOID}, {Name: "value", DataTypeOID: pgtype.Float8OID}}
	want := &data{fields: fields, rows: [][]*string{row("a", "1.5"), row("b", "null"), row("ü", "2"), row("d", "0.30000000000000004")}}
	got := &data{fields: fields, rows: [][]*string{row("d", "0.3"), row("a", "1.5"), row("b", "0"), row("", "NaN")}}
	missing, extra, same := match(want, got)
	if len(missing) != 2 || len(extra) != 2 || len(same) != 2 {
		t.Fatalf("missing %d, extra %d, same %d", len(missing), len(extra), len(same))
	}
	const text = `    type | value
  + ""   | NaN
    a    | 1.5
  + b    | 0
  - b    | NULL
    d    | 0.3
  - ü    | 2`
	if d := diff(want.names(), missing, extra, same); d != text {
		t.Errorf("is\n%s\nwant\n%s", d, text)
	}
}

func TestMatchCountsRowsThatAreTheSame(t *testing.T) {
	fields := []pgconn.FieldDescription{{Name: "n", DataTypeOID: pgtype.Int4OID}}
	one := &data{fields: fields, rows: [][]*string{row("1")}}
	two := &data{fields: fields, rows: [][]*string{row("1"), row("1")}}
	if missing, extra, _ := match(one, two); len(missing) != 0 || len(extra) != 1 {
		t.Errorf("missing %d, extra %d", len(missing), len(extra))
	}
	if missing, extra, _ := match(two, one); len(missing) != 1 || len(extra) != 0 {
		t.Errorf("missing %d, extra %d", len(missing), len(extra))
	}
}

func TestNumbersThatAreNoFloatsMustBeWrittenTheSame(t *testing.T) {
	fields := []pgconn.FieldDescription{{Name: "n", DataTypeOID: pgtype.NumericOID}}
	if equalRows(fields, row("1.0"), row("1.00")) {
		t.Error("1.0 and 1.00 are equal")
	}
}
