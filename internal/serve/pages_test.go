package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var nextPage = regexp.MustCompile(`^<(.*)>; rel="next"$`)

// follow reads page after page, and gives all rows and the number of pages.
func (f *fixture) follow(path string) ([]json.RawMessage, int) {
	f.t.Helper()
	rows, pages := []json.RawMessage{}, 0
	for path != "" {
		status, body, h := f.get(path)
		var page []json.RawMessage
		if err := json.Unmarshal([]byte(body), &page); status != http.StatusOK || err != nil {
			f.t.Fatalf("%s: %d %.300s %v", path, status, body, err)
		}
		rows = append(rows, page...)
		pages++
		path = ""
		if link := h.Get("Link"); link != "" {
			m := nextPage.FindStringSubmatch(link)
			if m == nil {
				f.t.Fatalf("Link: %s", link)
			}
			path = m[1]
		}
	}
	return rows, pages
}

// TestCursor reads tables page by page, in every order that makes a cursor
// hard: nulls, both directions, ties, NaN, infinities, paths, finality.
func TestCursor(t *testing.T) {
	pool := database(t, everything, spans, windows, commits, `CREATE TABLE odd (a text COLLATE "C", b integer, UNIQUE NULLS NOT DISTINCT (a, b));
		INSERT INTO odd SELECT CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'a"&>,b' ELSE E'\u2028 ü' END, nullif(i, 7) FROM generate_series(1, 40) AS i;`)
	f := start(t, pool, nil)
	for _, tt := range []struct{ table, query, sql string }{
		{"everything", "select=id", "SELECT id FROM everything ORDER BY id"},
		{"everything", "select=id&order=id.desc", "SELECT id FROM everything ORDER BY id DESC"},
		{"everything", "select=id,t&order=t", "SELECT id, t FROM everything ORDER BY t, id"},
		{"everything", "select=id&order=t.desc", "SELECT id FROM everything ORDER BY t DESC, id"},
		{"everything", "select=id&order=t.nullsfirst,b.desc.nullslast", "SELECT id FROM everything ORDER BY t NULLS FIRST, b DESC NULLS LAST, id"},
		{"everything", "select=id&order=f8", "SELECT id FROM everything ORDER BY f8, id"},
		{"everything", "select=id&order=f4.desc", "SELECT id FROM everything ORDER BY f4 DESC, id"},
		{"everything", "select=id&order=n.nullsfirst", "SELECT id FROM everything ORDER BY n NULLS FIRST, id"},
		{"everything", "select=id&order=tz.desc.nullslast,id.desc", "SELECT id FROM everything ORDER BY tz DESC NULLS LAST, id DESC"},
		{"everything", "select=id&order=ts,d.desc", "SELECT id FROM everything ORDER BY ts, d DESC, id"},
		{"everything", "select=id&order=iv", "SELECT id FROM everything ORDER BY iv, id"},
		{"everything", "select=id&order=c,v", "SELECT id FROM everything ORDER BY c, v, id"},
		{"everything", "select=id&order=u.desc", "SELECT id FROM everything ORDER BY u DESC, id"},
		{"everything", "select=id&order=by,m", "SELECT id FROM everything ORDER BY by, m, id"},
		{"everything", "select=id&order=j.desc,at", "SELECT id FROM everything ORDER BY j DESC, at, id"},
		{"everything", "select=id&b=is.true&order=i4.desc", "SELECT id FROM everything WHERE b ORDER BY i4 DESC, id"},
		{"everything", "select=id&order=id&offset=5", "SELECT id FROM everything ORDER BY id OFFSET 5"},
		{"spans", "select=id&order=doc->>s.desc,doc->n&id=gt.10", "SELECT id FROM spans WHERE id > 10 ORDER BY doc ->> 's' DESC, doc -> 'n', id"},
		{"spans", "order=raw->n.nullsfirst", "SELECT * FROM spans ORDER BY raw::jsonb -> 'n' NULLS FIRST, id"},
		{"twins", "", "SELECT * FROM twins ORDER BY a, b"},
		{"twins", "order=a.desc", "SELECT * FROM twins ORDER BY a DESC, b"},
		{"odd", "", "SELECT * FROM odd ORDER BY a, b"},
		{"odd", "order=b.desc.nullslast&a=eq." + esc(`a"&>,b`), `SELECT * FROM odd WHERE a = 'a"&>,b' ORDER BY b DESC NULLS LAST, a`},
		{"pairs", "order=_final.desc,window_start.desc&select=*,_final", "SELECT *, window_end <= '2026-01-01 00:30Z' AS _final FROM pairs ORDER BY 5 DESC, window_start DESC, window_end, k"},
	} {
		for _, limit := range []int{1, 7, 1000} {
			if limit == 1 && len(tt.query)%3 > 0 { // a sample: one request for each row
				continue
			}
			got, pages := f.follow(fmt.Sprintf("/v1/tables/%s?%s&limit=%d", tt.table, tt.query, limit))
			var want []json.RawMessage
			if err := json.Unmarshal([]byte(asJSON(t, pool, tt.sql)), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s?%s by %d: %.1000s", tt.table, tt.query, limit, diff)
			}
			if least := max(1, (len(want)+limit-1)/limit); pages != least {
				t.Errorf("%s?%s by %d: %d pages for %d rows", tt.table, tt.query, limit, pages, len(want))
			}
		}
	}
}

// TestCursorOverChanges deletes and inserts rows between two pages: no row
// that stays is left out or given twice.
func TestCursorOverChanges(t *testing.T) {
	pool := database(t, "CREATE TABLE a (id integer PRIMARY KEY, x integer)", "INSERT INTO a SELECT i * 10, i % 3 FROM generate_series(1, 30) AS i")
	f := start(t, pool, nil)
	_, first, h := f.get("/v1/tables/a?order=x,id&limit=12")
	exec(t, pool, "DELETE FROM a WHERE id IN (30, 60, 10)", "INSERT INTO a VALUES (5, 0), (299, 2)")
	rest, _ := f.follow(nextPage.FindStringSubmatch(h.Get("Link"))[1])
	if want := asJSON(t, pool, "SELECT * FROM a WHERE (x, id) > (1, 40) ORDER BY x, id"); fmt.Sprintf("%s", rest) != "["+strings.ReplaceAll(strings.Trim(want, "[]\n"), ",\n", " ")+"]" {
		t.Errorf("after %s: %s, want %s", first, rest, want)
	}
}

// TestLargePage has pages of more than is held back: their link is in the
// header all the same.
func TestLargePage(t *testing.T) {
	pool := database(t, "CREATE TABLE big (id integer PRIMARY KEY, s text)", "INSERT INTO big SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) AS i")
	f := start(t, pool, nil)
	rows, pages := f.follow("/v1/tables/big?limit=2000&order=id.desc")
	if len(rows) != 5000 || pages != 3 {
		t.Errorf("%d rows in %d pages", len(rows), pages)
	}
	rows, pages = f.follow("/v1/tables/big?limit=2500")
	if len(rows) != 5000 || pages != 2 {
		t.Errorf("%d rows in %d pages", len(rows), pages)
	}
	_, _, h := f.get("/v1/tables/big?limit=3000&offset=1000", "Prefer", "count=exact")
	if got := h.Get("Content-Range"); got != "1000-3999/5000" {
		t.Errorf("Content-Range of a streamed page: %s", got)
	}
}

func TestCursorErrors(t *testing.T) {
	pool := database(t, "CREATE TABLE a (id integer PRIMARY KEY, x integer)", "INSERT INTO a SELECT i, i FROM generate_series(1, 9) AS i", "CREATE VIEW v AS SELECT * FROM a")
	f := start(t, pool, nil)
	_, _, h := f.get("/v1/tables/a?limit=2")
	link, err := url.Parse(nextPage.FindStringSubmatch(h.Get("Link"))[1])
	if err != nil {
		t.Fatal(err)
	}
	cursor := link.Query().Get("cursor")
	for path, want := range map[string]int{
		"/v1/tables/a?cursor=" + cursor:                       200,
		"/v1/tables/a?order=id&cursor=" + cursor:              200, // the same order, in words
		"/v1/tables/a?order=x&cursor=" + cursor:               400,
		"/v1/tables/v?cursor=" + cursor:                       400,
		"/v1/tables/a?select=count()&cursor=" + cursor:        400,
		"/v1/tables/a?cursor=" + cursor[1:]:                   400,
		"/v1/tables/a?cursor=" + cursor + "x":                 400,
		"/v1/tables/a?cursor=bnVsbA":                          400, // null
		"/v1/tables/a?cursor=eyJvIjoiIiwiayI6WyJcdTAwMDAiXX0": 400, // a NUL in a key
	} {
		status, body, _ := f.get(path)
		if status != want || want == 400 && !strings.Contains(body, codeCursor) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestRange(t *testing.T) {
	pool := database(t, "CREATE TABLE a (id integer PRIMARY KEY)", "INSERT INTO a SELECT generate_series(1, 50)", "CREATE TABLE none (id integer PRIMARY KEY)", "ANALYZE a")
	f := start(t, pool, nil)
	for _, tt := range []struct {
		path, header string
		status       int
		rows         string // first-last id
		want         string // Content-Range
	}{
		{"a", "", 200, "1-50", "0-49/*"},
		{"none", "", 200, "", "*/*"},
		{"a?limit=10", "", 200, "1-10", "0-9/*"},
		{"a", "Range: 0-9", 200, "1-10", "0-9/*"},
		{"a", "Range: items=0-9", 200, "1-10", "0-9/*"},
		{"a", "Range: 45-", 200, "46-50", "45-49/*"},
		{"a", "Range: 45-100", 200, "46-50", "45-49/*"},
		{"a?limit=10&offset=5", "Range: 8-30", 200, "9-15", "8-14/*"},
		{"a", "Range: bytes=0-9", 200, "1-50", "0-49/*"},
		{"a", "Range: 0-9; Range-Unit: bytes", 200, "1-50", "0-49/*"},
		{"a", "Range: x-9", 200, "1-50", "0-49/*"},
		{"a", "Range: 9-2", 416, "", ""},
		{"a?limit=5", "Range: 20-30", 416, "", ""},
		{"a?limit=10", "Prefer: count=exact", 206, "1-10", "0-9/50"},
		{"a", "Prefer: count=exact", 200, "1-50", "0-49/50"},
		{"a?id=gt.40", "Prefer: count=exact; Range: 0-4", 206, "41-45", "0-4/10"},
		{"a?limit=0", "Prefer: count=exact", 206, "", "*/50"},
		{"a?offset=50", "Prefer: count=exact", 206, "", "*/50"},
		{"a?offset=51", "Prefer: count=exact", 416, "", "*/50"},
		{"none", "Prefer: count=exact", 200, "", "*/0"},
		{"a?select=count()", "Prefer: count=exact", 200, "", "0-0/1"},
		{"a?limit=10", "Prefer: count=planned", 206, "1-10", "0-9/50"},
		{"a?limit=10", "Prefer: count=estimated", 206, "1-10", "0-9/50"},
		{"a?limit=10&id=lt.21", "Prefer: count=estimated", 206, "1-10", "0-9/20"},
	} {
		var header []string
		for part := range strings.SplitSeq(tt.header, "; ") {
			if name, value, ok := strings.Cut(part, ": "); ok {
				header = append(header, name, value)
			}
		}
		status, body, h := f.get("/v1/tables/"+tt.path, header...)
		if got := h.Get("Content-Range"); status != tt.status || got != tt.want {
			t.Errorf("%s %s: %d %s, want %d %s: %.200s", tt.path, tt.header, status, got, tt.status, tt.want, body)
		}
		if tt.rows != "" {
			var ids []struct{ ID int }
			if err := json.Unmarshal([]byte(body), &ids); err != nil || len(ids) == 0 || fmt.Sprintf("%d-%d", ids[0].ID, ids[len(ids)-1].ID) != tt.rows {
				t.Errorf("%s %s: %.200s, want rows %s", tt.path, tt.header, body, tt.rows)
			}
		}
	}
	// Over the number that count=estimated counts, the planner's word counts.
	exec(t, pool, "INSERT INTO a SELECT generate_series(51, 4000)", "ANALYZE a", "DELETE FROM a WHERE id > 3000")
	if _, _, h := f.get("/v1/tables/a?limit=1", "Prefer", "count=estimated"); h.Get("Content-Range") != "0-0/4000" {
		t.Errorf("estimated: %s", h.Get("Content-Range"))
	}
}

func TestPreferences(t *testing.T) {
	pool := database(t, "CREATE TABLE a (tz timestamptz, ts timestamp)", "INSERT INTO a VALUES ('2024-07-01 12:00Z', '2024-07-01 12:00')")
	f := start(t, pool, nil)
	for _, tt := range []struct{ prefer, status, applied, body string }{
		{"timezone=America/Los_Angeles", "200", "timezone=America/Los_Angeles", `[{"tz":"2024-07-01T05:00:00-07:00","ts":"2024-07-01T12:00:00"}]`},
		{"timezone=europe/zurich", "200", "timezone=europe/zurich", `[{"tz":"2024-07-01T14:00:00+02:00","ts":"2024-07-01T12:00:00"}]`},
		{"timezone=Jupiter/Red_Spot", "200", "", `[{"tz":"2024-07-01T12:00:00+00:00","ts":"2024-07-01T12:00:00"}]`},
		{`timezone='; DROP TABLE a; --`, "200", "", `[{"tz":"2024-07-01T12:00:00+00:00","ts":"2024-07-01T12:00:00"}]`},
		{"handling=strict, timezone=Jupiter/Red_Spot", "400", "", codePrefer},
		{"handling=strict, foo, bar=1", "400", "", "foo, bar=1"},
		{"handling=lenient, foo", "200", "handling=lenient", ""},
		{"handling=strict, count=exact, timezone=UTC", "200", "handling=strict, count=exact, timezone=UTC", ""},
		{"count=most", "200", "", ""},
		{"handling=strict, count=most", "400", "", "count=most"},
		{"count=exact, count=planned", "200", "count=exact", ""},
		{`count="exact"; x=y`, "200", "count=exact", ""},
	} {
		status, body, h := f.get("/v1/tables/a", "Prefer", tt.prefer)
		if fmt.Sprint(status) != tt.status || h.Get(headerApplied) != tt.applied || !strings.Contains(body, tt.body) {
			t.Errorf("%s: %d %q %s", tt.prefer, status, h.Get(headerApplied), body)
		}
	}
	// Filters read times in the zone that is asked for.
	if _, body, _ := f.get("/v1/tables/a?tz=eq.2024-07-01T05:00:00", "Prefer", "timezone=America/Los_Angeles"); !strings.Contains(body, "05:00:00") {
		t.Errorf("a filter in a zone: %s", body)
	}
}

func TestSingle(t *testing.T) {
	pool := database(t, "CREATE TABLE a (id integer PRIMARY KEY, x text)", "INSERT INTO a VALUES (1, NULL), (2, 'b')")
	f := start(t, pool, nil)
	const object, stripped = "application/vnd.pgrst.object+json", "application/vnd.pgrst.object+json;nulls=stripped"
	for _, tt := range []struct{ path, accept, want string }{
		{"a?id=eq.2", object, "200 {\"id\":2,\"x\":\"b\"}\n"},
		{"a?id=eq.1", object, "200 {\"id\":1,\"x\":null}\n"},
		{"a?id=eq.1", stripped, "200 {\"id\":1}\n"},
		{"a?limit=1&order=id.desc", object, "200 {\"id\":2,\"x\":\"b\"}\n"},
		{"a", "application/vnd.pgrst.array+json;nulls=stripped", "200 [{\"id\":1},\n{\"id\":2,\"x\":\"b\"}]\n"},
		{"a", "application/x-ndjson", "200 {\"id\":1,\"x\":null}\n{\"id\":2,\"x\":\"b\"}\n"},
		{"a.ndjson?id=eq.3", "", "200 "},
	} {
		status, body, _ := f.get("/v1/tables/"+tt.path, "Accept", tt.accept)
		if got := fmt.Sprintf("%d %s", status, body); got != tt.want {
			t.Errorf("%s as %s: %q, want %q", tt.path, tt.accept, got, tt.want)
		}
	}
	for _, path := range []string{"a", "a?id=eq.3"} {
		if status, body, _ := f.get("/v1/tables/"+path, "Accept", object); status != http.StatusNotAcceptable || !strings.Contains(body, codeSingle) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
