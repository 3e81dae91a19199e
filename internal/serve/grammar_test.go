package serve

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spans has what the operators of lists, ranges and paths are about.
const spans = `
CREATE TABLE spans (id integer PRIMARY KEY, k text, v numeric, tags text[], nums integer[], r int4range, tr tstzrange, mr int4multirange, doc jsonb, raw json, ip inet);
INSERT INTO spans
SELECT i, CASE i % 4 WHEN 0 THEN NULL ELSE 'k' || i % 4 END, CASE WHEN i % 7 > 0 THEN i / 4.0 END,
	CASE WHEN i % 5 > 0 THEN ARRAY['t' || i % 3, 'a,b', NULL, 'x'] END,
	ARRAY[i, i % 10],
	CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN 'empty' ELSE int4range(i, i + 10) END,
	tstzrange(timestamptz '2024-01-01 00:00Z' + i * interval '1 day', timestamptz '2024-01-10 00:00Z' + i * interval '1 day'),
	int4multirange(int4range(i, i + 2), int4range(i + 10, i + 12)),
	CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '[1, {"x": "deep"}]' ELSE jsonb_build_object('n', i, 's', 'v' || i % 3, 'on', i % 2 = 0, 'a b', jsonb_build_array(i, jsonb_build_object('x', i % 2)), '0', 'zero', 'nil', NULL) END,
	CASE WHEN i % 3 > 0 THEN ('{"n": ' || i || ', "list": [1, 2, ' || i || ']}')::json END,
	('10.0.' || i % 4 || '.' || i)::inet
FROM generate_series(1, 120) AS i;`

// TestGrammarAgainstSQL asks what PostgREST's grammar has beyond comparison.
func TestGrammarAgainstSQL(t *testing.T) {
	all := "SELECT * FROM spans WHERE "
	tests := []struct{ path, sql string }{
		// Patterns.
		{"k=match.^k[12]$", all + "k ~ '^k[12]$'"},
		{"k=imatch.^K1", all + "k ~* '^K1'"},
		{"k=not.match.1", all + "NOT k ~ '1'"},
		{"or=(k.match.2$,k.imatch." + esc(`"^K(1|3)"`) + ")", all + "k ~ '2$' OR k ~* '^K(1|3)'"},
		// Any and all.
		{"id=eq(any).{3,5,7}", all + "id = ANY ('{3,5,7}')"},
		{"id=gt(all).{3,100,7}", all + "id > ALL ('{3,100,7}')"},
		{"id=gte(any).{118,119}", all + "id >= ANY ('{118,119}')"},
		{"id=lt(any).{3,5}", all + "id < ANY ('{3,5}')"},
		{"id=lte(all).{30,5}", all + "id <= ALL ('{30,5}')"},
		{"id=not.eq(any).{1,2,3}", all + "NOT id = ANY ('{1,2,3}')"},
		{"id=eq(any).{}", all + "false"},
		{"id=gt(all).{}", all + "true"},
		{"k=like(any).{*1,*2}", all + "k LIKE ANY ('{%1,%2}')"},
		{"k=like(all).{k*,*2}", all + "k LIKE ALL ('{k%,%2}')"},
		{"k=ilike(any).{K1,K3*}", all + "k ILIKE ANY ('{K1,K3%}')"},
		{"k=ilike(all).{K*,*3}", all + "k ILIKE ALL ('{K%,%3}')"},
		{"k=match(any).{1$,2$}", all + "k ~ ANY ('{1$,2$}')"},
		{"k=imatch(all).{K,2}", all + "k ~* ALL ('{K,2}')"},
		{"k=eq(any)." + esc(`{"k1","a,b",NULL}`), all + `k = ANY ('{"k1","a,b",NULL}')`},
		{"or=(id.eq(any).{1,2},k.like(all).{*3})", all + "id IN (1, 2) OR k LIKE '%3'"},
		{"v=eq(any).{1.5,2}", all + "v IN (1.5, 2)"},
		// Lists.
		{"tags=cs.{t1,x}", all + "tags @> '{t1,x}'"},
		{"tags=cs." + esc(`{"a,b"}`), all + `tags @> '{"a,b"}'`},
		{"tags=not.cs.{t1}", all + "NOT tags @> '{t1}'"},
		{"nums=cd.{1,2,3,4,5,6,7,8}", all + "nums <@ '{1,2,3,4,5,6,7,8}'"},
		{"nums=ov.{7,100}", all + "nums && '{7,100}'"},
		{"nums=eq.{7,7}", all + "nums = '{7,7}'"},
		{"or=(nums.cs.{5},tags.ov.{t2,none})", all + "nums @> '{5}' OR tags && '{t2,none}'"},
		{"nums=in.(" + esc(`"{1,1}","{2,2}"`) + ")", all + "nums IN ('{1,1}', '{2,2}')"},
		// Ranges.
		{"r=cs.[20,25)", all + "r @> '[20,25)'::int4range"},
		{"r=cd.[10,30]", all + "r <@ '[10,30]'::int4range"},
		{"r=ov.[20,25)", all + "r && '[20,25)'"},
		{"r=sl.(50,60)", all + "r << '(50,60)'"},
		{"r=sr.(50,60)", all + "r >> '(50,60)'"},
		{"r=nxr.(50,60)", all + "r &< '(50,60)'"},
		{"r=nxl.(50,60)", all + "r &> '(50,60)'"},
		{"r=adj.[50,60)", all + "r -|- '[50,60)'"},
		{"r=eq.empty", all + "r = 'empty'"},
		{"r=not.ov.[20,25)", all + "NOT r && '[20,25)'"},
		{"or=(r.ov." + esc(`"[20,25)"`) + ",id.eq.1)", all + "r && '[20,25)' OR id = 1"},
		{"tr=ov.[2024-02-01,2024-02-03)", all + "tr && '[2024-02-01,2024-02-03)'"},
		{"tr=cs." + esc("[2024-02-01T00:00:00+01:00,2024-02-03T00:00:00Z)"), all + "tr @> '[2024-01-31 23:00Z,2024-02-03 00:00Z)'::tstzrange"},
		{"mr=ov.{[20,25)}", all + "mr && '{[20,25)}'::int4multirange"},
		{"mr=cs.{[20,22)}", all + "mr @> '{[20,22)}'::int4multirange"},
		{"ip=cd.10.0.1.0/24", "error"}, // <@ is not inet's
		{"ip=ov.10.0.1.0/24", all + "ip && '10.0.1.0/24'"},
		// JSON.
		{"doc=cs." + esc(`{"s":"v1"}`), all + `doc @> '{"s":"v1"}'`},
		{"doc=cd." + esc(`[1,2,{"x":"deep","y":1}]`), all + `doc <@ '[1,2,{"x":"deep","y":1}]'`},
		{"doc->>s=eq.v1", all + `doc ->> 's' = 'v1'`},
		{"doc->n=gt.50", all + `doc -> 'n' > '50'`},
		{"doc->on=eq.true", all + `doc -> 'on' = 'true'`},
		{"doc->>n=in.(2,3,4)", all + `doc ->> 'n' IN ('2', '3', '4')`},
		{"doc->>s=like.*2", all + `doc ->> 's' LIKE '%2'`},
		{"doc->>s=like(any).{*1,*2}", all + `doc ->> 's' LIKE ANY ('{%1,%2}')`},
		{"doc->0=eq.1", all + `doc -> 0 = '1'`},
		{"doc->1->>x=eq.deep", all + `doc -> 1 ->> 'x' = 'deep'`},
		{"doc->-1->>x=eq.deep", all + `doc -> -1 ->> 'x' = 'deep'`},
		{esc(`doc->>"0"`) + "=eq.zero", all + `doc ->> '0' = 'zero'`},
		{"doc->" + esc("a b") + "->0=eq.7", all + `doc -> 'a b' -> 0 = '7'`},
		{"doc->>absent=is.null", all + `doc ->> 'absent' IS NULL`},
		{"doc->nil=is.null", all + `doc -> 'nil' IS NULL`},
		{"doc->>nil=not.is.null", all + `doc ->> 'nil' IS NOT NULL`},
		{"doc->>s=isdistinct.v1", all + `doc ->> 's' IS DISTINCT FROM 'v1'`},
		{"raw->n=gte.100", all + `raw::jsonb -> 'n' >= '100'`},
		{"raw->list->>2=eq.7", all + `raw -> 'list' ->> 2 = '7'`},
		{"tags->>0=eq.t2", all + `tags[1] = 't2'`},
		{"or=(doc->>s.eq.v0,doc->a%20b->1->>x.eq.1)", all + `doc ->> 's' = 'v0' OR doc -> 'a b' -> 1 ->> 'x' = '1'`},
		{"select=id,doc->>s,doc->n&id=lt.20", "SELECT id, doc ->> 's' AS s, doc -> 'n' AS n FROM spans WHERE id < 20"},
		{"select=id,first:tags->0,last:nums->>-1&id=lt.20", "SELECT id, to_jsonb(tags) -> 0 AS first, to_jsonb(nums) ->> -1 AS last FROM spans WHERE id < 20"},
		{"select=doc->0,id&id=lt.20", "SELECT doc -> 0 AS doc, id FROM spans WHERE id < 20"},
		{"select=raw->list&id=lt.20", "SELECT raw -> 'list' AS list FROM spans WHERE id < 20"},
		{"select=n:doc->>n::int,whole:doc->on::text&id=lt.20", "SELECT (doc ->> 'n')::int AS n, (doc -> 'on')::text AS whole FROM spans WHERE id < 20"},
		{"order=doc->n.desc.nullslast,id", "SELECT * FROM spans ORDER BY doc -> 'n' DESC NULLS LAST, id"},
		{"order=doc->>s.nullsfirst,raw->n.desc&limit=30", "SELECT * FROM spans ORDER BY doc ->> 's' NULLS FIRST, raw::jsonb -> 'n' DESC, id LIMIT 30"},
		// Aggregates.
		{"select=v.sum()", "SELECT sum(v) FROM spans"},
		{"select=v.sum(),v.avg(),v.min(),v.max(),v.count()", "SELECT sum(v), avg(v), min(v), max(v), count(v) FROM spans"},
		{"select=count()", "SELECT count(*) FROM spans"},
		{"select=n:count(),id.max()&k=eq.k1", "SELECT count(*) AS n, max(id) FROM spans WHERE k = 'k1'"},
		{"select=k,v.sum()&order=k", "SELECT k, sum(v) FROM spans GROUP BY k ORDER BY k"},
		{"select=v.avg()::int,k&order=k.desc.nullslast", "SELECT avg(v)::int, k FROM spans GROUP BY k ORDER BY k DESC NULLS LAST"},
		{"select=kind:k,total:v.sum()&order=total.desc,kind", "SELECT k AS kind, sum(v) AS total FROM spans GROUP BY k ORDER BY 2 DESC, 1"},
		{"select=k,count()&order=count.desc,k&limit=2&offset=1", "SELECT k, count(*) FROM spans GROUP BY k ORDER BY 2 DESC, 1 LIMIT 2 OFFSET 1"},
		{"select=doc->>s,doc->n::int.sum()&order=s.nullsfirst", "SELECT doc ->> 's' AS s, sum((doc -> 'n')::int) FROM spans GROUP BY 1 ORDER BY 1 NULLS FIRST"},
		{"select=s:doc->>s,count()&order=doc->>s", "SELECT doc ->> 's' AS s, count(*) FROM spans GROUP BY 1 ORDER BY 1"},
		{"select=k,doc->>s,tags.count(),id.min()::text&order=k,s&id=gt.10", "SELECT k, doc ->> 's' AS s, count(tags), min(id)::text FROM spans WHERE id > 10 GROUP BY 1, 2 ORDER BY 1, 2"},
		{"select=id,count()&order=id&limit=3", "SELECT id, count(*) FROM spans GROUP BY id ORDER BY id LIMIT 3"},
		{"select=v::int.sum()&id=lt.0", "SELECT sum(v::int) FROM spans WHERE false"},
		// Names that want care.
		{"select=" + esc(`"a""`) + "&id=eq.1", "error"},
		{"select=id,id", "error"},
		{"select=v.sum(),id.sum()", "error"},
	}
	pool := database(t, spans)
	f := start(t, pool, nil)
	for _, tt := range tests {
		status, body, _ := f.get("/v1/tables/spans?" + tt.path)
		if tt.sql == "error" {
			if status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", tt.path, status, body)
			}
			continue
		}
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
		_, body, _ = f.get("/v1/tables/spans?"+tt.path, "Accept", "text/csv")
		if diff := cmp.Diff(asCSV(t, pool, tt.sql), body); diff != "" {
			t.Errorf("%s: CSV: %.2000s", tt.path, diff)
		}
	}
}
