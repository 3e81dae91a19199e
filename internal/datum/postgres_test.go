package datum

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// inputFunctions are PostgreSQL's functions for each kind.
var inputFunctions = map[column.Kind]struct{ in, send string }{
	column.Bool:                    {"boolin(textout(i))", "boolsend"},
	column.Int2:                    {"int2in(textout(i))", "int2send"},
	column.Int4:                    {"int4in(textout(i))", "int4send"},
	column.Int8:                    {"int8in(textout(i))", "int8send"},
	column.Float4:                  {"float4in(textout(i))", "float4send"},
	column.Float8:                  {"float8in(textout(i))", "float8send"},
	column.Numeric:                 {"numeric_in(textout(i), 0, %d)", "numeric_send"},
	column.Text:                    {"textin(textout(i))", "textsend"},
	column.Varchar:                 {"varcharin(textout(i), 0, %d)", "varcharsend"},
	column.UUID:                    {"uuid_in(textout(i))", "uuid_send"},
	column.Date:                    {"date_in(textout(i))", "date_send"},
	column.Timestamp:               {"timestamp_in(textout(i), 0, -1)", "timestamp_send"},
	column.Timestamptz:             {"timestamptz_in(textout(i), 0, -1)", "timestamptz_send"},
	column.Interval:                {"interval_in(textout(i), 0, -1)", "interval_send"},
	column.Bytea:                   {"byteain(textout(i))", "byteasend"},
	column.ArrayOf(column.Int4):    {"array_in(textout(i), 23, -1)::text::integer[]", "array_send"},
	column.ArrayOf(column.Text):    {"array_in(textout(i), 25, -1)::text::text[]", "array_send"},
	column.ArrayOf(column.Numeric): {"array_in(textout(i), 1700, -1)::text::numeric[]", "array_send"},
	column.Time:                    {"time_in(textout(i), 0, -1)", "time_send"},
	column.Inet:                    {"inet_in(textout(i))", "inet_send"},
	column.Cidr:                    {"cidr_in(textout(i))", "cidr_send"},
	column.JSONB:                   {"jsonb_in(textout(i))", "jsonb_send"},
}

// modifier is the type's typmod.
func modifier(t column.Type) int32 {
	switch {
	case t.Kind == column.Varchar && t.Length > 0:
		return t.Length + 4
	case t.Kind == column.Numeric && t.Precision > 0:
		return (t.Precision<<16 | t.Scale&0x7ff) + 4
	}
	return -1
}

// answer is what PostgreSQL makes of an input: text, binary and JSON, or an
// error.
type answer struct {
	text, json, state, message string
	binary                     []byte
}

// connect opens a session with the settings that the package assumes.
func connect(t testing.TB) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	if _, err := conn.Exec(ctx, `SET timezone = 'UTC'; SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1`); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask puts all inputs to PostgreSQL's functions for a type.
func ask(t testing.TB, conn *pgx.Conn, typ column.Type, inputs []string) []answer {
	t.Helper()
	f := inputFunctions[typ.Kind]
	in := f.in
	if bytes.Contains([]byte(in), []byte("%d")) {
		in = fmt.Sprintf(in, modifier(typ))
	}
	ctx := context.Background()
	_, err := conn.Exec(ctx, fmt.Sprintf(`CREATE OR REPLACE FUNCTION pg_temp.ask(i text, OUT text text, OUT bin bytea, OUT js text, OUT state text, OUT message text)
		LANGUAGE plpgsql AS $$
		DECLARE v %s;
		BEGIN
			v := %s;
			text := format('%%s', v); bin := %s(v); js := to_json(v)::text;
		EXCEPTION WHEN OTHERS THEN state := SQLSTATE; message := SQLERRM; text := ''; bin := ''; js := '';
		END $$`, typ.Kind.Name(), in, f.send))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(ctx, `SELECT a.text, a.bin, a.js, coalesce(a.state, ''), coalesce(a.message, '')
		FROM unnest($1::text[]) WITH ORDINALITY AS u(i, n), LATERAL pg_temp.ask(u.i) a ORDER BY n`, inputs)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (a answer, err error) {
		err = r.Scan(&a.text, &a.binary, &a.json, &a.state, &a.message)
		return a, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

// refusedForm tells inputs of which PostgreSQL takes more than this program:
// odd zones and the present as a time of day, and addresses of version 6 that
// end in a part of one of version 4, or in a colon, and networks in hexadecimal digits.
func refusedForm(k column.Kind, in string) bool {
	return k == column.Time && strings.ContainsFunc(in, unicode.IsLetter) ||
		(k == column.Inet || k == column.Cidr) && strings.Contains(in, ":") && (strings.Contains(in, ".") || strings.Contains(in, ":/")) ||
		k == column.Cidr && strings.ContainsAny(in, "xX")
}

// maxReported is how many differences of a type are shown.
const maxReported = 25

// sameAsPostgres compares Input, Append, AppendBinary and AppendJSON with
// PostgreSQL over all inputs. It gives those that were accepted.
func sameAsPostgres(t *testing.T, conn *pgx.Conn, typ column.Type, inputs []string) (accepted []string) {
	t.Helper()
	answers := ask(t, conn, typ, inputs)
	bad, refused := 0, 0
	for n, in := range inputs {
		want := answers[n]
		var got answer
		v := column.NewVector(typ, 1)
		if err := Input(v, 0, []byte(in)); err != nil {
			got.state, got.message = err.Code, err.Message
			refused++
			if typ.Kind == column.Time && want.state != "" {
				continue // both refuse: which of two codes says so depends on what stands first
			}
			if typ.Kind.IsArray() && err.Code == want.state && strings.HasPrefix(want.message, "malformed array literal") {
				continue // how much of the text the message holds depends on the fault
			}
			if refusedForm(typ.Kind, in) {
				continue
			}
			if err == ErrDimensions {
				if want.state != "" && want.state != "22P02" && want.state != "2202E" && want.state != "54000" {
					t.Errorf("%s %q: dimensions, but PostgreSQL says %s %s", typ, in, want.state, want.message)
				}
				continue
			}
			if Reserved([]byte(in), typ.Kind) {
				if want.state != "" || err.Code != "22007" {
					t.Errorf("%s %q: reserved, but PostgreSQL says %s %s", typ, in, want.state, want.message)
				}
				continue
			}
		} else {
			got.text = string(Append(nil, v, 0))
			got.binary = AppendBinary(nil, v, 0)
			if got.text == "NaN" && strings.ContainsAny(in, "-(") {
				// PostgreSQL keeps the sign and the payload of a NaN; nothing
				// else ever shows them.
				got.binary = want.binary
			}
			got.json = string(AppendJSON(nil, v, 0))
			accepted = append(accepted, in)
		}
		if got.text != want.text || got.json != want.json || got.state != want.state || got.message != want.message || !bytes.Equal(got.binary, want.binary) {
			if bad++; bad <= maxReported {
				t.Errorf("%s %q:\n got %q %s %s %q %x\nwant %q %s %s %q %x", typ, in, got.text, got.state, got.message, got.json, got.binary,
					want.text, want.state, want.message, want.json, want.binary)
			}
		}
	}
	t.Logf("%s: %d inputs, %d refused, %d differ", typ, len(inputs), refused, bad)
	return accepted
}
