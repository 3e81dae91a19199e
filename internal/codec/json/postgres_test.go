package json_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// outcome is what became of one record.
type outcome struct {
	Values        []string // text output, "NULL" for NULL
	Code, Message string   // of the error, if there was one
}

func (o outcome) String() string {
	if o.Code != "" {
		return o.Code + " " + o.Message
	}
	return strings.Join(o.Values, " | ")
}

// server decodes records by PostgreSQL's own functions.
type server struct {
	conn *pgx.Conn
}

func newServer(t testing.TB) *server {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	_, err = conn.Exec(ctx, "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET extra_float_digits = 1")
	if err != nil {
		t.Fatal(err)
	}
	return &server{conn}
}

// install makes a table with the columns, and a function that puts a payload
// into it as the design says: json_to_record for plain columns, a chain of ->
// for paths, plain arithmetic for epochs.
func (s *server) install(t testing.TB, columns []codec.Column) {
	t.Helper()
	var table, definitions, members, casts, texts []string
	for _, c := range columns {
		name := pgx.Identifier{c.Name}.Sanitize()
		null := ""
		if c.NotNull {
			null = " NOT NULL"
		}
		table = append(table, name+" "+c.Type.String()+null)
		definition, cast := c.Type.String(), "x."+name
		if c.Epoch != codec.NoEpoch {
			definition, cast = "text", epochSQL(cast, c.Epoch)
		}
		definitions = append(definitions, name+" "+definition)
		members = append(members, fmt.Sprintf("'%s', %s", strings.ReplaceAll(c.Name, "'", "''"), pathSQL(c.Path)))
		casts = append(casts, cast)
		texts = append(texts, fmt.Sprintf("CASE WHEN r.%[1]s IS NULL THEN 'NULL' ELSE format('%%s', r.%[1]s) END", name))
	}
	sql := fmt.Sprintf(`
DROP FUNCTION IF EXISTS decode_record;
DROP TABLE IF EXISTS decoded;
CREATE TABLE decoded (%s);
CREATE FUNCTION decode_record(payload bytea, OUT vals text[], OUT code text, OUT message text) LANGUAGE plpgsql AS $$
DECLARE doc json; r decoded;
BEGIN
	doc := convert_from(payload, 'UTF8')::json;
	PERFORM * FROM json_to_record(doc) AS x(unknown text);
	INSERT INTO decoded SELECT %s FROM json_to_record(json_build_object(%s)) AS x(%s) RETURNING * INTO r;
	vals := ARRAY[%s];
EXCEPTION WHEN OTHERS THEN
	code := SQLSTATE;
	message := SQLERRM;
END $$`, strings.Join(table, ", "), strings.Join(casts, ", "), strings.Join(members, ", "),
		strings.Join(definitions, ", "), strings.Join(texts, ", "))
	if _, err := s.conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
}

func pathSQL(path []codec.PathStep) string {
	sql := "doc"
	for _, step := range path {
		if step.Member {
			sql += "->'" + strings.ReplaceAll(step.Name, "'", "''") + "'"
		} else {
			sql += fmt.Sprintf("->(%d)", step.Index)
		}
	}
	return sql
}

// epochSQL adds whole days, seconds and microseconds, since an interval times
// a larger number is inexact.
func epochSQL(text string, unit codec.Epoch) string {
	factor := map[codec.Epoch]string{codec.EpochSeconds: "1000000", codec.EpochMillis: "1000",
		codec.EpochMicros: "1", codec.EpochNanos: "0.001"}[unit]
	return fmt.Sprintf(`(SELECT timestamptz 'epoch' + (m / 86400000000)::int * interval '1 day'
		+ (m %% 86400000000 / 1000000)::int * interval '1 second' + (m %% 1000000)::int * interval '1 microsecond'
		FROM (SELECT round(%s::numeric * %s)::bigint) AS e(m))`, text, factor)
}

// decode gives PostgreSQL's outcome of each payload.
func (s *server) decode(t testing.TB, payloads [][]byte) []outcome {
	t.Helper()
	rows, err := s.conn.Query(context.Background(), `SELECT d.vals, coalesce(d.code, ''), coalesce(d.message, '')
		FROM unnest($1::bytea[]) WITH ORDINALITY AS p(payload, n), LATERAL decode_record(payload) AS d ORDER BY n`, payloads)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o outcome, err error) {
		err = row.Scan(&o.Values, &o.Code, &o.Message)
		o.Message = strings.Replace(o.Message, ` of relation "decoded"`, "", 1)
		return o, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sameFloats writes the floats of an outcome in one way: how they are printed
// is not what is tested here.
func sameFloats(columns []codec.Column, o outcome) outcome {
	for j, text := range o.Values {
		if bits := map[column.Kind]int{column.Float4: 32, column.Float8: 64}[columns[j].Type.Kind]; bits > 0 && text != "NULL" {
			f, err := strconv.ParseFloat(text, bits)
			if err != nil {
				continue // the comparison shows it
			}
			o.Values[j] = strconv.FormatFloat(f, 'g', -1, 64)
		}
	}
	return o
}

// vectors makes room for the needed columns.
func vectors(columns []codec.Column) []*column.Vector {
	cols := make([]*column.Vector, len(columns))
	for j, c := range columns {
		if c.Needed {
			cols[j] = &column.Vector{}
		}
	}
	return cols
}

func withNeeded(columns []codec.Column, needed func(j int) bool) []codec.Column {
	columns = append([]codec.Column(nil), columns...)
	for j := range columns {
		columns[j].Needed = needed(j)
	}
	return columns
}

func all(int) bool  { return true }
func none(int) bool { return false }

// ours gives the decoder's outcome of each payload, and its faults by row.
func ours(d *json.Decoder, columns []codec.Column, payloads [][]byte) ([]outcome, map[int]codec.Fault) {
	cols := vectors(columns)
	outcomes := make([]outcome, len(payloads))
	faults := map[int]codec.Fault{}
	for _, f := range d.Decode(payloads, cols, nil) {
		faults[f.Row] = f
		outcomes[f.Row] = outcome{Code: f.Err.Code, Message: f.Err.Message}
	}
	for i := range outcomes {
		if _, failed := faults[i]; failed {
			continue
		}
		for _, v := range cols {
			text := "NULL"
			if v != nil && !v.Null[i] {
				text = string(datum.Append(nil, v, i))
			}
			outcomes[i].Values = append(outcomes[i].Values, text)
		}
	}
	return outcomes, faults
}

// clip shortens a payload for a message.
func clip(b []byte) string {
	if len(b) > 400 {
		return fmt.Sprintf("%q… (%d bytes)", b[:400], len(b))
	}
	return fmt.Sprintf("%q", b)
}
