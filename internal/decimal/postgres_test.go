package decimal

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// operation is one calculation: ours, and PostgreSQL's over the texts a and b.
type operation struct {
	name string
	sql  string
	ours func(a, b Decimal) (string, *sqlerr.Error)
}

func text(d Decimal, err *sqlerr.Error) (string, *sqlerr.Error) { return d.String(), err }

var operations = []operation{
	{"add", "(a::numeric + b::numeric)::text", func(a, b Decimal) (string, *sqlerr.Error) { return text(a.Add(b)) }},
	{"sub", "(a::numeric - b::numeric)::text", func(a, b Decimal) (string, *sqlerr.Error) { return text(a.Sub(b)) }},
	{"mul", "(a::numeric * b::numeric)::text", func(a, b Decimal) (string, *sqlerr.Error) { return text(a.Mul(b)) }},
	{"div", "(a::numeric / b::numeric)::text", func(a, b Decimal) (string, *sqlerr.Error) { return text(a.Div(b)) }},
	{"mod", "(a::numeric % b::numeric)::text", func(a, b Decimal) (string, *sqlerr.Error) { return text(a.Mod(b)) }},
	{"cmp", "(CASE WHEN a::numeric < b::numeric THEN -1 WHEN a::numeric > b::numeric THEN 1 ELSE 0 END)::text", func(a, b Decimal) (string, *sqlerr.Error) {
		return strconv.Itoa(a.Cmp(b)), nil
	}},
	{"neg", "(- a::numeric)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return a.Neg().String(), nil }},
	{"abs", "abs(a::numeric)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return a.Abs().String(), nil }},
	{"sign", "sign(a::numeric)::text", func(a, _ Decimal) (string, *sqlerr.Error) {
		if a.IsNaN() {
			return "NaN", nil
		}
		return strconv.Itoa(a.Sign()), nil
	}},
	{"floor", "floor(a::numeric)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Floor()) }},
	{"ceil", "ceil(a::numeric)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Ceil()) }},
	{"round2", "round(a::numeric, 2)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Round(2)) }},
	{"round-2", "round(a::numeric, -2)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Round(-2)) }},
	{"round0", "round(a::numeric)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Round(0)) }},
	{"round19", "round(a::numeric, -19)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Round(-19)) }},
	{"round5000", "round(a::numeric, 5000)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Round(5000)) }},
	{"trunc3", "trunc(a::numeric, 3)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Trunc(3)) }},
	{"trunc-3", "trunc(a::numeric, -3)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Trunc(-3)) }},
	{"fit(10,3)", "pg_catalog.\"numeric\"(a::numeric, ((10 << 16) | 3) + 4)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Fit(10, 3)) }},
	{"fit(2,-4)", "pg_catalog.\"numeric\"(a::numeric, ((2 << 16) | 2044) + 4)::text", func(a, _ Decimal) (string, *sqlerr.Error) { return text(a.Fit(2, -4)) }},
	{"int8", "(a::numeric)::int8::text", func(a, _ Decimal) (string, *sqlerr.Error) {
		n, err := a.Int64()
		return strconv.FormatInt(n, 10), err
	}},
	{"int4", "(a::numeric)::int4::text", func(a, _ Decimal) (string, *sqlerr.Error) {
		n, err := a.Int32()
		return strconv.Itoa(int(n)), err
	}},
	{"int2", "(a::numeric)::int2::text", func(a, _ Decimal) (string, *sqlerr.Error) {
		n, err := a.Int16()
		return strconv.Itoa(int(n)), err
	}},
	{"float8", "encode(float8send((a::numeric)::float8), 'hex')", func(a, _ Decimal) (string, *sqlerr.Error) {
		f, err := a.Float64()
		return fmt.Sprintf("%016x", math.Float64bits(f)), err
	}},
	{"float4", "encode(float4send((a::numeric)::float4), 'hex')", func(a, _ Decimal) (string, *sqlerr.Error) {
		f, err := a.Float32()
		return fmt.Sprintf("%08x", math.Float32bits(f)), err
	}},
	{"send", "encode(numeric_send(a::numeric), 'hex')", func(a, _ Decimal) (string, *sqlerr.Error) {
		return fmt.Sprintf("%x", a.AppendBinary(nil)), nil
	}},
}

// operands are numbers picked by hand: limits, halves, signs, scales.
var operands = []string{
	"0", "0.0", "0.00000", "1", "-1", "1.0", "10", "100.00", "0.5", "-0.5", "1.5", "2.5", "-2.5", "49.995", "50", "-50", "0.1", "3", "7", "-7", "9999", "10000", "10001", "9999.9999", "0.0001", "0.00009999", "0.00010000", "12345.6789",
	"9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809", "9223372036854775807.4", "9223372036854775807.5", "2147483647.5", "-2147483648.5", "32767.4", "32767.5", "-32768.5", "922337203685477580.7", "-922337203685477580.8", "4999999999999999999", "5000000000000000000", "-5000000000000000000", "5000000000000000001",
	"99999999999999999999999999999999", "0.00000000000000000000000000000001", "123456789012345678901234567890.123456789", "-98765432109876543210.0123456789012345678901234567890", "NaN", "Infinity", "-Infinity",
	"1e308", "1e309", "1e-320", "1e-330", "3.5e38", "3.4e38", "1e-46", "1.7976931348623159e308", "1e500", "1e-500", "333e-300", "1e20", "1e40",
}

// giants are near the limits. Each takes long to calculate with.
var giants = []string{"1e1000", "1e-1000", "1e131071", "9e131071", "1e-16383", "-1e70000", "1e-10000", "7e-9000"}

func randomOperand(r *rand.Rand) string {
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(byte('0' + r.IntN(10)))
		}
		return b.String()
	}
	s := ""
	if r.IntN(3) == 0 {
		s = "-"
	}
	longest := []int{3, 9, 19, 60}[r.IntN(4)]
	s += digits(1 + r.IntN(longest))
	if r.IntN(3) > 0 {
		s += "." + digits(1+r.IntN(longest))
	}
	switch r.IntN(8) {
	case 0:
		s += "e" + strconv.Itoa(r.IntN(80)-40)
	case 1:
		s = strings.Repeat("0", 1) + "." + strings.Repeat("0", r.IntN(12)) + digits(1+r.IntN(6))
	}
	return s
}

func connect(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// ask calculates an expression over pairs of texts; an error is its SQLSTATE
// and message.
func ask(t testing.TB, conn *pgx.Conn, sql string, a, b []string) []string {
	t.Helper()
	ctx := context.Background()
	if _, err := conn.Exec(ctx, `CREATE OR REPLACE FUNCTION pg_temp.ask(a text, b text) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN RETURN `+sql+`; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$`); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(ctx, `SELECT pg_temp.ask(x.a, x.b) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS x(a, b, n) ORDER BY n`, a, b)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestArithmeticIsPostgres(t *testing.T) {
	conn := connect(t)
	r := rand.New(rand.NewPCG(1, 15))
	var a, b []string
	for range 1500 {
		a, b = append(a, randomOperand(r)), append(b, randomOperand(r))
	}
	for range 1000 {
		a, b = append(a, operands[r.IntN(len(operands))]), append(b, operands[r.IntN(len(operands))])
	}
	for _, s := range operands {
		a, b = append(a, s, s, s), append(b, "10", "-3.00", s)
	}
	for i, s := range giants {
		a, b = append(a, s, s, s), append(b, "-3.00", s, giants[(i+1)%len(giants)])
	}
	for _, op := range operations {
		answers := ask(t, conn, op.sql, a, b)
		bad := 0
		for i := range a {
			x, errX := Parse([]byte(a[i]))
			y, errY := Parse([]byte(b[i]))
			if errX != nil || errY != nil {
				t.Fatalf("%s, %s: %v, %v", a[i], b[i], errX, errY)
			}
			got, err := op.ours(x, y)
			if err != nil {
				got = err.Code + " " + err.Message
			}
			if got != answers[i] {
				if bad++; bad < 6 {
					t.Errorf("%s of %s and %s:\n got %.300s\nwant %.300s", op.name, a[i], b[i], got, answers[i])
				}
			}
		}
	}
	t.Logf("%d operations on %d pairs", len(operations), len(a))
}

func TestFromFloatIsPostgres(t *testing.T) {
	conn := connect(t)
	r := rand.New(rand.NewPCG(2, 15))
	var floats, none []string
	for i := range 4000 {
		f := math.Float64frombits(r.Uint64())
		switch i % 4 {
		case 1:
			f = float64(r.IntN(2_000_000)-1_000_000) / 1000
		case 2:
			f = math.Trunc(r.Float64() * 1e18)
		case 3:
			f = float64(r.Int64())
		}
		floats, none = append(floats, strconv.FormatFloat(f, 'g', -1, 64)), append(none, "")
	}
	floats, none = append(floats, "NaN", "Infinity", "-Infinity", "0", "-0", "1e15", "123456.5", "0.1"), append(none, make([]string, 8)...)
	answers := ask(t, conn, "(a::float8)::numeric::text", floats, none)
	for i, s := range floats {
		f, _ := strconv.ParseFloat(s, 64)
		if got := FromFloat64(f).String(); got != answers[i] {
			t.Errorf("double precision %s: got %s, want %s", s, got, answers[i])
		}
	}
	answers = ask(t, conn, "(a::float4)::numeric::text", floats, none)
	for i, s := range floats {
		f, _ := strconv.ParseFloat(s, 32)
		if strings.HasPrefix(answers[i], "22003") {
			continue // the text is out of real's range
		}
		if got := FromFloat32(float32(f)).String(); got != answers[i] {
			t.Errorf("real %s: got %s, want %s", s, got, answers[i])
		}
	}
}

// TestSmallAndBigAgree shows that the fast path and math/big give the same.
func TestSmallAndBigAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 15))
	for range 20000 {
		c, s := r.Int64()>>r.IntN(63), int32(r.IntN(20))
		if r.IntN(2) == 0 {
			c = -c
		}
		small := New(c, s)
		// The same number, in big.
		grown := FromBig(new(big.Int).Mul(big.NewInt(c), power(30)), s+30)
		if small.Cmp(grown) != 0 || grown.Cmp(small) != 0 {
			t.Fatalf("%s and %s are not equal", small, grown)
		}
		if !bytes.Equal(AppendKey(nil, small.Encode(nil)), AppendKey(nil, grown.Encode(nil))) {
			t.Fatalf("%s and %s have different keys", small, grown)
		}
		if back := Decode(grown.Encode(nil)); back.String() != grown.String() {
			t.Fatalf("%s came back as %s", grown, back)
		}
		places := int32(r.IntN(25) - 4)
		x, _ := small.Round(places)
		y, _ := grown.Round(places)
		if x.String() != y.String() {
			t.Fatalf("round(%s, %d): %s and %s", small, places, x, y)
		}
	}
}
