package datum

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
)

// hotInputs are the forms that must be read without garbage.
var hotInputs = []struct {
	kind column.Kind
	in   string
}{
	{column.Bool, "true"},
	{column.Int4, "-123456"},
	{column.Int8, "9223372036854775807"},
	{column.Float4, "12.5"},
	{column.Float8, "-12345.678e-3"},
	{column.Numeric, "12345.67"},
	{column.Text, "some text"},
	{column.UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	{column.Date, "2024-01-02"},
	{column.Timestamp, "2024-01-02 03:04:05.678901"},
	{column.Timestamptz, "2024-01-02T03:04:05.678Z"},
	{column.Timestamptz, "2024-01-02T03:04:05.123456789+05:30"},
	{column.JSONB, `{"b": [1, 2.50, "x"], "a": null}`},
}

// TestHotPathsMakeNoGarbage holds reading, printing and keys of the common
// forms to no allocation.
func TestHotPathsMakeNoGarbage(t *testing.T) {
	for _, c := range hotInputs {
		v := column.NewVector(column.Of(c.kind), 1)
		in, buf := []byte(c.in), make([]byte, 0, 256)
		n := testing.AllocsPerRun(200, func() {
			v.Buf = v.Buf[:0]
			if err := Input(v, 0, in); err != nil {
				t.Fatal(err)
			}
			buf = Append(buf[:0], v, 0)
			buf = AppendJSON(buf[:0], v, 0)
			buf = AppendBinary(buf[:0], v, 0)
			buf = AppendKey(buf[:0], v, 0)
		})
		if n != 0 && c.kind != column.JSONB {
			t.Errorf("%s %q: %v allocations", c.kind, c.in, n)
		}
	}
}

func BenchmarkInput(b *testing.B) {
	for _, c := range hotInputs {
		b.Run(c.kind.String()+"/"+c.in, func(b *testing.B) {
			v := column.NewVector(column.Of(c.kind), 1)
			in := []byte(c.in)
			b.ReportAllocs()
			for b.Loop() {
				v.Buf = v.Buf[:0]
				_ = Input(v, 0, in)
			}
		})
	}
}

// TestInvalidTextIsPostgres compares the refusal of bytes that are no text.
func TestInvalidTextIsPostgres(t *testing.T) {
	conn := connect(t)
	ctx := context.Background()
	if _, err := conn.Exec(ctx, `CREATE FUNCTION pg_temp.decode(i bytea) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN RETURN 'ok ' || convert_from(i, 'UTF8'); EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$`); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(4, 15))
	pieces := []string{"a", "é", "日", "😀", "\x00", "\xff", "\x80", "\xc0\x80", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe0\x80\x80"}
	var inputs [][]byte
	for range 1000 {
		var b []byte
		for range 1 + r.IntN(4) {
			b = append(b, pieces[r.IntN(len(pieces))]...)
		}
		inputs = append(inputs, b)
	}
	rows, err := conn.Query(ctx, `SELECT pg_temp.decode(i) FROM unnest($1::bytea[]) WITH ORDINALITY AS u(i, n) ORDER BY n`, inputs)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	v := column.NewVector(column.Of(column.Text), 1)
	for _, in := range inputs {
		var want string
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
		if err := rows.Scan(&want); err != nil {
			t.Fatal(err)
		}
		got := "ok " + string(in)
		if err := Input(v, 0, in); err != nil {
			got = err.Code + " " + err.Message
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestDeepJSON(t *testing.T) {
	nested := func(n int) []byte {
		return []byte(strings.Repeat(`[`, n) + strings.Repeat(`]`, n))
	}
	if out, err := JSONBFromText(nil, nested(MaxJSONDepth)); err != nil || !bytes.Equal(out, nested(MaxJSONDepth)) {
		t.Errorf("depth %d: %v", MaxJSONDepth, err)
	}
	_, err := JSONBFromText(nil, nested(MaxJSONDepth+1))
	if err == nil || err.Code != "54001" || err.Message != "stack depth limit exceeded" {
		t.Errorf("depth %d: %v", MaxJSONDepth+1, err)
	}
}

func TestReserved(t *testing.T) {
	for _, c := range []struct {
		in   string
		kind column.Kind
		want bool
	}{
		{"now", column.Timestamptz, true}, {" NOW ", column.Timestamp, true}, {"today", column.Date, true},
		{"tomorrow 12:00", column.Timestamptz, true}, {"12:00 yesterday", column.Timestamp, true},
		{"allballs today", column.Timestamptz, true}, {"today UTC", column.Timestamptz, true},
		{"now", column.Text, false}, {"nowhere", column.Timestamptz, false}, {"now or never", column.Timestamptz, false},
		{"2024-01-02", column.Date, false}, {"epoch", column.Timestamptz, false}, {"infinity", column.Date, false}, {"", column.Date, false},
	} {
		if got := Reserved([]byte(c.in), c.kind); got != c.want {
			t.Errorf("%s %q: got %v", c.kind, c.in, got)
		}
	}
}

func FuzzInput(f *testing.F) {
	for kind, list := range seeds {
		for i, s := range list {
			if i%5 == 0 {
				f.Add(byte(kind), []byte(s))
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, in []byte) {
		k := column.Kind(kind)
		if k == column.Invalid || k >= column.Unknown || len(in) > 1000 {
			return
		}
		v := column.NewVector(column.Of(k), 2)
		if err := Input(v, 0, in); err != nil {
			if len(err.Code) != 5 || err.Message == "" {
				t.Fatalf("%s %q: %v", k, in, err)
			}
			return
		}
		// What is printed reads back as the same value.
		text := Append(nil, v, 0)
		if !utf8.Valid(text) {
			t.Fatalf("%s %q prints invalid UTF-8", k, in)
		}
		if err := Input(v, 1, text); err != nil {
			t.Fatalf("%s %q printed %q, which is refused: %v", k, in, text, err)
		}
		if Compare(v, 0, v, 1) != 0 || !bytes.Equal(AppendKey(nil, v, 0), AppendKey(nil, v, 1)) {
			t.Fatalf("%s %q printed %q, which is another value", k, in, text)
		}
		AppendJSON(nil, v, 0)
		AppendBinary(nil, v, 0)
	})
}

func FuzzJSONBFromText(f *testing.F) {
	for _, s := range seeds[column.JSONB] {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if !utf8.Valid(in) || len(in) > 2000 {
			return
		}
		out, err := JSONBFromText(nil, in)
		if err != nil {
			return
		}
		again, err := JSONBFromText(nil, out)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%q gives %q, and that %q, %v", in, out, again, err)
		}
		if CompareJSONB(out, again) != 0 {
			t.Fatalf("%q is not equal to itself", out)
		}
	})
}
