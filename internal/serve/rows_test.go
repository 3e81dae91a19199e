package serve

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// everything has a column of each type, with nulls, NaN, infinities, unicode
// and what needs quoting.
const everything = `
CREATE DOMAIN code AS text CHECK (length(VALUE) < 10);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE everything (
	id bigint PRIMARY KEY, b boolean, i2 smallint, i4 integer, f4 real, f8 double precision,
	n numeric, n2 numeric(10,2), t text COLLATE "C", v varchar(5), c char(4), u uuid, d date, ts timestamp, tz timestamptz,
	iv interval, j jsonb, js json, by bytea, ai integer[], at text[], dom code, m mood,
	"select" integer, "limit" text, "weird ""name"", x.y" text, "Ünï" text);
INSERT INTO everything
SELECT i,
	CASE i % 3 WHEN 0 THEN NULL ELSE i % 3 = 1 END,
	CASE WHEN i % 7 > 0 THEN i % 100 - 50 END,
	CASE WHEN i % 5 > 0 THEN i * 1000 - 90000 END,
	CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-Infinity' ELSE i / 7.0::real END,
	CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-Infinity' WHEN 4 THEN -0.0 WHEN 5 THEN 1e300 ELSE i / 7.0::float8 END,
	CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN 12345678901234567890.123456789 ELSE i / 8.0 END,
	CASE WHEN i % 4 > 0 THEN i / 4.0 END,
	CASE i % 12 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'a,b' WHEN 3 THEN 'say "hi"' WHEN 4 THEN E'line\nbreak\r\n' WHEN 5 THEN 'Zürich 世界 🌊'
		WHEN 6 THEN E'tab\tand\\back' WHEN 7 THEN '\.' WHEN 8 THEN E'\u2028\u0001\u007f' WHEN 9 THEN 'null' WHEN 10 THEN '100%_*' ELSE 'type_' || i % 4 END,
	CASE WHEN i % 6 > 0 THEN 'v' || i % 6 END,
	CASE WHEN i % 6 > 0 THEN 'c' || i % 3 END,
	CASE WHEN i % 9 > 0 THEN md5(i::text)::uuid END,
	CASE i % 11 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' ELSE date '2024-02-20' + i::int END,
	CASE i % 11 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' ELSE timestamp '2024-02-29 23:59:59.123456' + i * interval '1 hour' END,
	CASE i % 11 WHEN 0 THEN NULL WHEN 2 THEN '-infinity' ELSE timestamptz '2024-03-31 00:59:59.5+00' + i * interval '17 minutes' END,
	CASE WHEN i % 4 > 0 THEN make_interval(months => i::int, days => 3, secs => i / 3.0) END,
	CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN 'null' WHEN 2 THEN '[1, "two", {"x": null}]' ELSE jsonb_build_object('i', i, 'q', '"' || i) END,
	CASE i % 5 WHEN 0 THEN NULL ELSE ('{"a":' || i || ', "a": [1,  2]}')::json END,
	CASE WHEN i % 5 > 0 THEN int8send(i) END,
	CASE WHEN i % 5 > 0 THEN ARRAY[i, NULL, -i]::int[] END,
	CASE WHEN i % 5 > 0 THEN ARRAY['a,b', NULL, '"', 't' || i] END,
	CASE WHEN i % 5 > 0 THEN 'code' || i % 9 END,
	(enum_range(NULL::mood))[i % 4],
	i % 10, 'l' || i % 10, 'w' || i % 3, 'ü' || i % 3
FROM generate_series(1, 240) AS i;
CREATE TABLE twins (a integer, b integer, UNIQUE NULLS NOT DISTINCT (a, b));
INSERT INTO twins SELECT nullif(i % 5, 0), i FROM generate_series(1, 50) AS i;
CREATE TABLE plain (x integer, y text);
INSERT INTO plain VALUES (1, 'a'), (1, NULL), (NULL, 'b'), (NULL, NULL);
CREATE TABLE one (v text);
INSERT INTO one VALUES ('\.'), (''), (NULL), ('x');
CREATE TABLE empty (x integer NOT NULL, y float8);
CREATE TABLE "odd ""name.csv" (x integer);
INSERT INTO "odd ""name.csv" VALUES (7);
CREATE VIEW sums AS SELECT t, count(*) AS n, sum(i4) AS s FROM everything GROUP BY t;
CREATE MATERIALIZED VIEW stored AS SELECT id, f8 FROM everything WHERE id < 20;`

// esc escapes a query string's value.
func esc(s string) string { return url.QueryEscape(s) }

// TestRowsAgainstSQL asks each question over HTTP and of PostgreSQL itself.
func TestRowsAgainstSQL(t *testing.T) {
	all := "SELECT * FROM everything"
	tests := []struct{ path, sql string }{
		{"everything", all},
		{"everything?", all},
		{"everything?select=*", all},
		{"everything.json", all},
		{"plain", "SELECT * FROM plain"},
		{"empty", "SELECT * FROM empty"},
		{"sums?order=t", "SELECT * FROM sums ORDER BY t"},
		{"stored?order=id", "SELECT * FROM stored ORDER BY id"},
		{url.PathEscape(`odd "name.csv`), `SELECT * FROM "odd ""name.csv"`},
		// Comparison, each type.
		{"everything?id=eq.7", all + " WHERE id = 7"},
		{"everything?id=neq.7", all + " WHERE id <> 7"},
		{"everything?id=gt.200", all + " WHERE id > 200"},
		{"everything?id=gte.200", all + " WHERE id >= 200"},
		{"everything?id=lt.20", all + " WHERE id < 20"},
		{"everything?id=lte.20", all + " WHERE id <= 20"},
		{"everything?id=gte.20&id=lt.30", all + " WHERE id >= 20 AND id < 30"},
		{"everything?b=eq.true", all + " WHERE b"},
		{"everything?b=eq.f", all + " WHERE NOT b"},
		{"everything?i2=lt.0", all + " WHERE i2 < 0"},
		{"everything?i4=gt.-5000", all + " WHERE i4 > -5000"},
		{"everything?f4=eq.NaN", all + " WHERE f4 = 'NaN'"},
		{"everything?f8=eq.NaN", all + " WHERE f8 = 'NaN'"},
		{"everything?f8=gt.1e299", all + " WHERE f8 > 1e299"},
		{"everything?f8=eq.0", all + " WHERE f8 = 0"},
		{"everything?f8=lte.-Infinity", all + " WHERE f8 <= '-Infinity'"},
		{"everything?n=eq.12345678901234567890.123456789", all + " WHERE n = 12345678901234567890.123456789"},
		{"everything?n=gte.Infinity", all + " WHERE n >= 'Infinity'"},
		{"everything?n2=eq.1.5", all + " WHERE n2 = 1.5"},
		{"everything?n2=eq.1.505", all + " WHERE n2 = 1.505"}, // not rounded to the column's scale
		{"everything?t=eq.", all + " WHERE t = ''"},
		{"everything?t=eq." + esc("a,b"), all + " WHERE t = 'a,b'"},
		{"everything?t=eq." + esc(`say "hi"`), all + ` WHERE t = 'say "hi"'`},
		{"everything?t=eq." + esc("line\nbreak\r\n"), all + ` WHERE t = E'line\nbreak\r\n'`},
		{"everything?t=eq." + esc("Zürich 世界 🌊"), all + ` WHERE t = 'Zürich 世界 🌊'`},
		{"everything?t=gt.type_1", all + ` WHERE t > 'type_1'`},
		{"everything?t=eq.null", all + ` WHERE t = 'null'`},
		{"everything?v=eq.v3", all + " WHERE v = 'v3'"},
		{"everything?v=eq.v3-and-longer", all + " WHERE v = 'v3-and-longer'"}, // not cut to the column's length
		{"everything?c=eq.c1", all + " WHERE c = 'c1'"},
		{"everything?c=eq." + esc("c1  "), all + " WHERE c = 'c1  '::bpchar"},
		{"everything?u=eq.c4ca4238-a0b9-2382-0dcc-509a6f75849b", all + " WHERE u = 'c4ca4238a0b923820dcc509a6f75849b'"},
		{"everything?d=gte.2024-05-01", all + " WHERE d >= '2024-05-01'"},
		{"everything?d=eq.infinity", all + " WHERE d = 'infinity'"},
		{"everything?ts=lt.2024-03-02T10:00:00", all + " WHERE ts < '2024-03-02T10:00:00'"},
		{"everything?tz=gte." + esc("2024-04-01T00:00:00+02:00"), all + " WHERE tz >= '2024-03-31T22:00:00Z'"},
		{"everything?tz=eq.-infinity", all + " WHERE tz = '-infinity'"},
		{"everything?iv=gt." + esc("5 years"), all + " WHERE iv > '5 years'"},
		{"everything?j=eq." + esc(`[1,"two",{"x":null}]`), all + ` WHERE j = '[1,"two",{"x":null}]'`},
		{"everything?j=eq.null", all + ` WHERE j = 'null'`},
		{"everything?by=eq." + esc(`\x0000000000000007`), all + ` WHERE by = '\x0000000000000007'`},
		{"everything?ai=eq." + esc("{7,NULL,-7}"), all + ` WHERE ai = '{7,NULL,-7}'`},
		{"everything?dom=eq.code7", all + ` WHERE dom = 'code7'`},
		{"everything?dom=eq.longer-than-the-domain-allows", all + ` WHERE false`},
		{"everything?m=gt.sad", all + ` WHERE m > 'sad'`},
		// Patterns.
		{"everything?t=like.type*", all + ` WHERE t LIKE 'type%'`},
		{"everything?t=like.type%25", all + ` WHERE t LIKE 'type%'`},
		{"everything?t=like.*b", all + ` WHERE t LIKE '%b'`},
		{"everything?t=ilike.TYPE__", all + ` WHERE t ILIKE 'TYPE__'`},
		{"everything?t=not.like.*e*", all + ` WHERE NOT t LIKE '%e%'`},
		{"everything?t=like." + esc(`100\%\_*`), all + ` WHERE t LIKE '100\%\_%'`},
		{"everything?v=like.v*", all + ` WHERE v LIKE 'v%'`},
		{"everything?c=like.c1*", all + ` WHERE c LIKE 'c1%'`},
		{"everything?dom=ilike.CODE1*", all + ` WHERE dom ILIKE 'CODE1%'`},
		// Nulls and booleans.
		{"everything?t=is.null", all + ` WHERE t IS NULL`},
		{"everything?t=is.NULL", all + ` WHERE t IS NULL`},
		{"everything?t=not.is.null", all + ` WHERE t IS NOT NULL`},
		{"everything?t=is.not_null", all + ` WHERE t IS NOT NULL`},
		{"everything?j=is.null", all + ` WHERE j IS NULL`},
		{"everything?b=is.true", all + ` WHERE b IS TRUE`},
		{"everything?b=is.false", all + ` WHERE b IS FALSE`},
		{"everything?b=is.unknown", all + ` WHERE b IS UNKNOWN`},
		{"everything?b=not.is.true", all + ` WHERE b IS NOT TRUE`},
		{"everything?b=isdistinct.true", all + ` WHERE b IS DISTINCT FROM true`},
		{"everything?i4=isdistinct.10000", all + ` WHERE i4 IS DISTINCT FROM 10000`},
		{"everything?i4=not.isdistinct.10000", all + ` WHERE i4 IS NOT DISTINCT FROM 10000`},
		{"everything?i4=neq.10000", all + ` WHERE i4 <> 10000`},
		{"everything?i4=not.eq.10000", all + ` WHERE NOT i4 = 10000`},
		{"everything?f8=isdistinct.NaN", all + ` WHERE f8 IS DISTINCT FROM 'NaN'`},
		// Lists.
		{"everything?id=in.(1,2,3)", all + ` WHERE id IN (1,2,3)`},
		{"everything?id=in.()", all + ` WHERE false`},
		{"everything?t=not.in.()", all + ` WHERE true`},
		{"everything?t=in.(" + esc(`"a,b","say \"hi\"",null`) + ")", all + ` WHERE t IN ('a,b', 'say "hi"', 'null')`},
		{"everything?t=in.(,x)", all + ` WHERE t IN ('', 'x')`},
		{"everything?t=not.in.(null)", all + ` WHERE t NOT IN ('null')`},
		{"everything?f8=in.(NaN,Infinity)", all + ` WHERE f8 IN ('NaN', 'Infinity')`},
		{"everything?d=in.(2024-03-01,2024-03-10)", all + ` WHERE d IN ('2024-03-01', '2024-03-10')`},
		// Trees.
		{"everything?or=(id.lt.5,id.gt.235)", all + ` WHERE id < 5 OR id > 235`},
		{"everything?and=(id.gt.5,id.lt.9)", all + ` WHERE id > 5 AND id < 9`},
		{"everything?not.or=(id.lt.200,b.is.true)", all + ` WHERE NOT (id < 200 OR b IS TRUE)`},
		{"everything?not.and=(id.gt.3,b.is.true)", all + ` WHERE NOT (id > 3 AND b IS TRUE)`},
		{"everything?or=(and(id.gt.5,id.lt.9),not.and(b.is.true,i2.gt.0),t.in.(" + esc(`"a,b"`) + "))", all + ` WHERE (id > 5 AND id < 9) OR NOT (b IS TRUE AND i2 > 0) OR t IN ('a,b')`},
		{"everything?or=(i4.eq.1000,t.is.null)&or=(b.is.true,b.is.false)", all + ` WHERE (i4 = 1000 OR t IS NULL) AND (b IS TRUE OR b IS FALSE)`},
		{"everything?and=(select.eq.3,limit.eq.l3)", all + ` WHERE "select" = 3 AND "limit" = 'l3'`},
		{"everything?or=(" + esc(`"weird \"name\", x.y".eq.w1`) + ")", all + ` WHERE "weird ""name"", x.y" = 'w1'`},
		{"everything?" + esc(`weird "name", x.y`) + "=eq.w1", all + ` WHERE "weird ""name"", x.y" = 'w1'`},
		{"everything?" + esc(`Ünï`) + "=eq." + esc("ü1"), all + ` WHERE "Ünï" = 'ü1'`},
		{"everything?or=(ai.eq.{7,NULL,-7},at.eq." + esc(`"{\"a,b\",NULL,\"\\\"\",t8}"`) + ")", all + ` WHERE ai = '{7,NULL,-7}' OR at = ARRAY['a,b', NULL, '"', 't8']`},
		// Columns.
		{"everything?select=id", "SELECT id FROM everything"},
		{"everything?select=t,id", "SELECT t, id FROM everything"},
		{"everything?select=key:id,text:t", "SELECT id AS key, t AS text FROM everything"},
		{"everything?select=id::text,f8::text,b::text", "SELECT id::text, f8::text, b::text FROM everything"},
		{"everything?select=f8::numeric&f8=lt.100&f8=gt.-100", "SELECT f8::numeric FROM everything WHERE f8 < 100 AND f8 > -100"},
		{"everything?select=x:n2::int4,y:ts::date", "SELECT n2::int4 AS x, ts::date AS y FROM everything"},
		{"everything?select=*,copy:id", "SELECT *, id AS copy FROM everything"},
		{"everything?select=" + esc(`"select",limit,"weird \"name\", x.y","a:b":"Ünï"`), `SELECT "select", "limit", "weird ""name"", x.y", "Ünï" AS "a:b" FROM everything`},
		{"everything?select=id,i4::text::text", "error"},
		// Order and pages.
		{"everything?order=t,id", all + " ORDER BY t, id"},
		{"everything?order=t.desc,id.asc", all + " ORDER BY t DESC, id"},
		{"everything?order=t.nullsfirst,id", all + " ORDER BY t NULLS FIRST, id"},
		{"everything?order=i4.desc.nullslast,id.desc", all + " ORDER BY i4 DESC NULLS LAST, id DESC"},
		{"everything?order=f8", all + " ORDER BY f8, id"}, // the key settles ties
		{"everything?order=b.desc&limit=10", all + " ORDER BY b DESC, id LIMIT 10"},
		{"everything?limit=3", all + " ORDER BY id LIMIT 3"},
		{"everything?limit=0", all + " LIMIT 0"},
		{"everything?limit=5&offset=100", all + " ORDER BY id LIMIT 5 OFFSET 100"},
		{"everything?offset=235", all + " ORDER BY id OFFSET 235"},
		{"everything?offset=1000", all + " ORDER BY id OFFSET 1000"},
		{"twins?limit=20", "SELECT * FROM twins ORDER BY a, b LIMIT 20"},
		{"twins?order=b.desc&limit=5", "SELECT * FROM twins ORDER BY b DESC LIMIT 5"},
		{"plain?order=x.nullsfirst,y.desc", "SELECT * FROM plain ORDER BY x NULLS FIRST, y DESC"},
		{"everything?t=like.type*&b=is.true&select=id,t&order=id.desc&limit=4&offset=1", "SELECT id, t FROM everything WHERE t LIKE 'type%' AND b ORDER BY id DESC LIMIT 4 OFFSET 1"},
		{"sums?n=gte.20&order=s.desc.nullslast,t", "SELECT * FROM sums WHERE n >= 20 ORDER BY s DESC NULLS LAST, t"},
	}
	pool := database(t, everything)
	f := start(t, pool, nil)
	checked := 0
	for _, tt := range tests {
		if tt.sql == "error" {
			if status, body, _ := f.get("/v1/tables/" + tt.path); status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", tt.path, status, body)
			}
			continue
		}
		checked++
		status, body, _ := f.get("/v1/tables/" + tt.path)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", tt.path, status, body)
			continue
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: not valid JSON: %.500s", tt.path, body)
		}
		if diff := cmp.Diff(asJSON(t, pool, tt.sql), body); diff != "" {
			t.Errorf("%s: JSON: %.2000s", tt.path, diff)
		}
		if strings.Contains(tt.path, ".json") {
			continue
		}
		_, body, _ = f.get("/v1/tables/"+tt.path, "Accept", "text/csv")
		if diff := cmp.Diff(asCSV(t, pool, tt.sql), body); diff != "" {
			t.Errorf("%s: CSV: %.2000s", tt.path, diff)
		}
		if _, err := csv.NewReader(strings.NewReader(body)).ReadAll(); err != nil {
			t.Errorf("%s: not valid CSV: %v", tt.path, err)
		}
	}
	if checked < 100 {
		t.Errorf("%d requests compared, want at least 100", checked)
	}
}

// asJSON is the answer to a question as PostgreSQL writes it.
func asJSON(t *testing.T, pool *pgxpool.Pool, sql string) string {
	t.Helper()
	rows, err := pool.Query(context.Background(), "SELECT row_to_json(r.*)::text FROM ("+sql+") AS r")
	if err != nil {
		t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return "[" + strings.Join(texts, ",\n") + "]\n"
}

// asCSV is what COPY writes, but for booleans, which are true and false.
func asCSV(t *testing.T, pool *pgxpool.Pool, sql string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	probe, err := conn.Query(ctx, sql, pgx.QueryExecModeExec)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, d := range probe.FieldDescriptions() {
		name := pgx.Identifier{d.Name}.Sanitize()
		if d.DataTypeOID == 16 {
			name += "::text"
		}
		list = append(list, name)
	}
	probe.Close()
	var b bytes.Buffer
	if _, err := conn.Conn().PgConn().CopyTo(ctx, &b, "COPY (SELECT "+strings.Join(list, ", ")+" FROM ("+sql+") AS r) TO STDOUT (FORMAT csv, HEADER)"); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return b.String()
}
