package serve

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/parquet-go/parquet-go"
)

// null is what the tests below write for it.
const null = "∅"

// asTexts gives the rows of a statement with each value as text: of the types
// that columnar formats hold as such, in a form that tells equal ones alike.
func asTexts(t *testing.T, pool *pgxpool.Pool, sql string) [][]string {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "SET TimeZone = 'UTC'"); err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out [][]string
	for rows.Next() {
		line := make([]string, len(rows.RawValues()))
		for i, v := range rows.RawValues() {
			if line[i] = string(v); v == nil {
				line[i] = null
			}
		}
		out = append(out, line)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return out
}

// micros writes a time as PostgreSQL's epoch in the tests' statements.
func micros(v int64) string { return fmt.Sprint(v) }

// arrowTexts reads an Arrow stream.
func arrowTexts(t *testing.T, body []byte) ([]string, [][]string) {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	var names []string
	for _, f := range r.Schema().Fields() {
		names = append(names, f.Name+" "+f.Type.String())
	}
	var out [][]string
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			var line []string
			for _, c := range b.Columns() {
				line = append(line, arrowText(c, i))
			}
			out = append(out, line)
		}
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return names, out
}

func arrowText(c arrow.Array, i int) string {
	if c.IsNull(i) {
		return null
	}
	switch c := c.(type) {
	case *array.Boolean:
		return map[bool]string{true: "t", false: "f"}[c.Value(i)]
	case *array.Float32:
		return floatText(float64(c.Value(i)), 32)
	case *array.Float64:
		return floatText(c.Value(i), 64)
	case *array.Date32:
		return micros(int64(c.Value(i)))
	case *array.Timestamp:
		return micros(int64(c.Value(i)))
	case *array.Binary:
		return `\x` + hex.EncodeToString(c.Value(i))
	}
	return c.ValueStr(i)
}

func floatText(v float64, bits int) string {
	if bits == 32 {
		return fmt.Sprintf("%08x", math.Float32bits(float32(v)))
	}
	return fmt.Sprintf("%016x", math.Float64bits(v))
}

// parquetTexts reads a Parquet file.
func parquetTexts(t *testing.T, body []byte) ([]string, [][]string) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var kinds []parquet.Node
	for _, field := range f.Schema().Fields() {
		names = append(names, field.Name()+" "+field.Type().String())
		kinds = append(kinds, field)
	}
	var out [][]string
	for _, g := range f.RowGroups() {
		rows := g.Rows()
		buffer := make([]parquet.Row, 100)
		for {
			n, err := rows.ReadRows(buffer)
			for _, row := range buffer[:n] {
				line := make([]string, len(names))
				for _, v := range row {
					line[v.Column()] = parquetText(v, kinds[v.Column()].Type())
				}
				out = append(out, line)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		rows.Close()
	}
	return names, out
}

func parquetText(v parquet.Value, kind parquet.Type) string {
	switch {
	case v.IsNull():
		return null
	case v.Kind() == parquet.Boolean:
		return map[bool]string{true: "t", false: "f"}[v.Boolean()]
	case v.Kind() == parquet.Float:
		return floatText(float64(v.Float()), 32)
	case v.Kind() == parquet.Double:
		return floatText(v.Double(), 64)
	case v.Kind() == parquet.ByteArray && kind.LogicalType() == nil:
		return `\x` + hex.EncodeToString(v.ByteArray())
	}
	return v.String()
}

// held are the columns of everything that columnar formats hold as such, and
// the SQL that gives the tests' text of each.
const held = `SELECT id, b, i2, i4, encode(float4send(f4), 'hex'), encode(float8send(f8), 'hex'), n, n2, t, v, c::text, u, CASE d WHEN 'infinity' THEN 2147483647 WHEN '-infinity' THEN -2147483648 ELSE d - date '1970-01-01' END,
	CASE ts WHEN 'infinity' THEN 9223372036854775807 ELSE (extract(epoch FROM ts) * 1000000)::bigint END,
	CASE tz WHEN '-infinity' THEN -9223372036854775808 ELSE (extract(epoch FROM tz) * 1000000)::bigint END,
	iv, j, js, by, ai, at, dom, m, "Ünï" FROM everything ORDER BY id`

func TestColumnarFormats(t *testing.T) {
	pool := database(t, everything)
	f := start(t, pool, nil)
	want := asTexts(t, pool, held)
	path := "/v1/tables/everything@?order=id&select=id,b,i2,i4,f4,f8,n,n2,t,v,c,u,d,ts,tz,iv,j,js,by,ai,at,dom,m," + esc("Ünï")
	for _, tt := range []struct {
		suffix, media string
		read          func(*testing.T, []byte) ([]string, [][]string)
		types         string
	}{
		{".arrow", arrowMedia, arrowTexts, "id int64, b bool, i2 int16, i4 int32, f4 float32, f8 float64, n utf8, n2 utf8, t utf8, v utf8, c utf8, u utf8, d date32, ts timestamp[us], tz timestamp[us, tz=UTC], iv utf8, j utf8, js utf8, by binary, ai utf8, at utf8, dom utf8, m utf8, Ünï utf8"},
		{".parquet", parquetMedia, parquetTexts, "id INT(64,true), b BOOLEAN, i2 INT(16,true), i4 INT(32,true), f4 FLOAT, f8 DOUBLE, n STRING, n2 STRING, t STRING, v STRING, c STRING, u STRING, d DATE, ts TIMESTAMP(isAdjustedToUTC=false,unit=MICROS), tz TIMESTAMP(isAdjustedToUTC=true,unit=MICROS), iv STRING, j STRING, js STRING, by BYTE_ARRAY, ai STRING, at STRING, dom STRING, m STRING, Ünï STRING"},
	} {
		status, body, h := f.get(strings.Replace(path, "@", tt.suffix, 1))
		if status != http.StatusOK || h.Get("Content-Type") != tt.media {
			t.Fatalf("%s: %d %s %.300s", tt.suffix, status, h.Get("Content-Type"), body)
		}
		names, got := tt.read(t, []byte(body))
		if diff := cmp.Diff(tt.types, strings.Join(names, ", ")); diff != "" {
			t.Errorf("%s: types: %s", tt.suffix, diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %.3000s", tt.suffix, diff)
		}
		if _, accepted, _ := f.get(strings.Replace(path, "@", "", 1), "Accept", tt.media); accepted != body {
			t.Errorf("%s: Accept gives another file", tt.media)
		}
		// No rows, aggregates, more than one batch.
		for query, rows := range map[string]int{"id=lt.0": 0, "select=t,count(),f8.max()&id=lt.13": 12, "select=x:id": 240} {
			status, body, _ := f.get("/v1/tables/everything"+tt.suffix+"?"+query, "Accept", "*/*")
			if _, got := tt.read(t, []byte(body)); status != http.StatusOK || len(got) != rows {
				t.Errorf("%s?%s: %d, %d rows, want %d", tt.suffix, query, status, len(got), rows)
			}
		}
	}
}

// TestLargeColumnar has several batches and row groups.
func TestLargeColumnar(t *testing.T) {
	pool := database(t, "CREATE TABLE big AS SELECT i AS id, md5(i::text) AS h, CASE WHEN i % 3 > 0 THEN timestamptz '2024-01-01Z' + i * interval '1 s' END AS at FROM generate_series(1, 300000) AS i")
	f := start(t, pool, nil)
	for suffix, read := range map[string]func(*testing.T, []byte) ([]string, [][]string){".arrow": arrowTexts, ".parquet": parquetTexts} {
		_, body, _ := f.get("/v1/tables/big" + suffix)
		_, got := read(t, []byte(body))
		if len(got) != 300_000 {
			t.Fatalf("%s: %d rows", suffix, len(got))
		}
		at := time.Date(2024, 1, 1, 0, 0, 299_999, 0, time.UTC).UnixMicro()
		if diff := cmp.Diff([]string{"299999", fmt.Sprintf("%x", md5.Sum([]byte("299999"))), micros(at)}, got[299_998]); diff != "" {
			t.Errorf("%s: %s", suffix, diff)
		}
		if got[299_999][2] != null {
			t.Errorf("%s: %v", suffix, got[299_999])
		}
	}
}
