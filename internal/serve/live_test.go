package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// windows is a pipeline's schema as its engine leaves it: an updating view
// with pairs window columns and one with the start only (without zone), a view
// that emits final rows, one row per event, and a build beside the live one.
const windows = `
INSERT INTO millstream.pipelines (name, cluster_id, target_schema, definition, definition_hash, state_format, build)
VALUES ('shop', 'c', 'public', '', '', 1, 2), ('other', 'c', 'public', '', '', 1, 1);
CREATE TABLE pairs (window_start timestamptz, window_end timestamptz, k text, n bigint, UNIQUE NULLS NOT DISTINCT (window_start, window_end, k));
CREATE TABLE starts (at timestamp, n bigint, UNIQUE NULLS NOT DISTINCT (at));
CREATE TABLE finals (w timestamptz, n bigint, UNIQUE NULLS NOT DISTINCT (w));
CREATE TABLE rows (_source integer, _partition integer, _offset bigint, v text, PRIMARY KEY (_source, _partition, _offset));
CREATE TABLE pairs_b3 (LIKE pairs);
CREATE TABLE elsewhere (n bigint);
INSERT INTO pairs SELECT t, t + interval '5 min', 'k', 1 FROM generate_series(timestamptz '2026-01-01 00:00Z', '2026-01-01 00:55Z', '5 min') AS t;
INSERT INTO starts SELECT t, 1 FROM generate_series(timestamp '2026-01-01 00:00', '2026-01-01 00:55', '5 min') AS t;
INSERT INTO finals VALUES ('2026-01-01 00:00Z', 1);
CREATE VIEW joined AS SELECT b.n, s.n AS m FROM pairs AS b JOIN starts AS s ON s.at = b.window_start AT TIME ZONE 'UTC';
CREATE VIEW over_joined AS SELECT n FROM joined;
CREATE VIEW unrelated AS SELECT 1 AS one;
INSERT INTO millstream.objects (schema_name, table_name, pipeline, build, view_name, mode, emit, key_columns, window_start_column, window_end_column, relation) VALUES
	('public', 'pairs', 'shop', 2, 'pairs', 'grouped', 'update', '{window_start,window_end,k}', 'window_start', 'window_end', 'pairs'::regclass),
	('public', 'pairs_b3', 'shop', 3, 'pairs', 'grouped', 'update', '{window_start,window_end,k}', 'window_start', 'window_end', 'pairs_b3'::regclass),
	('public', 'starts', 'shop', 2, 'starts', 'grouped', 'update', '{at}', 'at', NULL, 'starts'::regclass),
	('public', 'finals', 'shop', 2, 'finals', 'grouped', 'final', '{w}', 'w', NULL, 'finals'::regclass),
	('public', 'rows', 'shop', 2, 'rows', 'append', 'update', '{_source,_partition,_offset}', NULL, NULL, 'rows'::regclass),
	('public', 'elsewhere', 'other', 1, 'elsewhere', 'append', 'update', '{n}', NULL, NULL, 'elsewhere'::regclass);`

const commits = `
INSERT INTO millstream.commits (pipeline, build, seq_from, seq, generation, partitions, views, engine_version, sealed_at, committed_at) VALUES
	('shop', 1, 1, 900, 1, '[]', '[]', 'v', now(), now()),
	('shop', 2, 1, 41, 1, '[]', '[]', 'v', now(), now()),
	('shop', 2, 42, 42, 1, '[]', '[
		{"view": "pairs", "watermark": "2026-01-01 00:31:00+00", "final_before": "2026-01-01 00:30:00+00", "final_start": "2026-01-01 00:30:00+00"},
		{"view": "starts", "watermark": "2026-01-01 00:22:30.5+00", "final_before": "2026-01-01 00:20:00+00", "final_start": "2026-01-01 00:20:00+00"},
		{"view": "finals", "watermark": "2026-01-01 00:09:00+00", "final_before": "2026-01-01 00:05:00+00", "final_start": "2026-01-01 00:05:00+00"},
		{"view": "rows", "watermark": "-infinity", "final_before": "-infinity", "final_start": "-infinity"}]', 'v', now(), '2026-01-01 01:00:00+00'),
	('other', 1, 7, 7, 1, '[]', '[{"view": "elsewhere", "watermark": "2026-02-01 00:00:00+00"}]', 'v', now(), now());`

func TestFinality(t *testing.T) {
	pool := database(t, windows)
	f := start(t, pool, nil)
	if _, body, h := f.get("/v1/tables/pairs?select=_final&_final=is.true"); body != "[]\n" || h.Get(headerCommit) != "" {
		t.Errorf("before the first commit: %s, %v", body, h)
	}
	exec(t, pool, commits)
	tests := []struct{ path, sql string }{
		{"pairs?final=true", "SELECT * FROM pairs WHERE window_end <= '2026-01-01 00:30Z'"},
		{"pairs?final=false", "SELECT * FROM pairs WHERE window_end > '2026-01-01 00:30Z'"},
		{"pairs?select=*,_final", "SELECT *, window_end <= '2026-01-01 00:30Z' AS _final FROM pairs"},
		{"pairs?select=n,done:_final&order=_final.desc,window_start", "SELECT n, window_end <= '2026-01-01 00:30Z' AS done FROM pairs ORDER BY 2 DESC, window_start"},
		{"pairs?_final=eq.true&limit=2", "SELECT * FROM pairs WHERE window_end <= '2026-01-01 00:30Z' ORDER BY window_start, window_end, k LIMIT 2"},
		{"pairs?or=(_final.is.true,window_start.gte.2026-01-01T00:50:00Z)", "SELECT * FROM pairs WHERE window_end <= '2026-01-01 00:30Z' OR window_start >= '2026-01-01 00:50Z'"},
		{"starts?final=true", "SELECT * FROM starts WHERE at < '2026-01-01 00:20'"},
		{"starts?select=at,_final::text", "SELECT at, (at < '2026-01-01 00:20')::text AS _final FROM starts"},
		{"finals?final=true&select=*,_final&order=_final", "SELECT *, true AS _final FROM finals"},
		{"finals?final=false", "SELECT * FROM finals WHERE false"},
	}
	for _, tt := range tests {
		status, body, _ := f.get("/v1/tables/" + tt.path)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", tt.path, status, body)
			continue
		}
		if diff := cmp.Diff(asJSON(t, pool, tt.sql), body); diff != "" {
			t.Errorf("%s: %s", tt.path, diff)
		}
	}
	for path, place := range map[string]string{"rows?final=true": "final", "joined?select=_final": "select", "unrelated?_final=is.true": "_final"} {
		status, body, _ := f.get("/v1/tables/" + path)
		if status != http.StatusBadRequest || !strings.Contains(body, codeFinal) || !strings.Contains(body, `"parameter":"`+place+`"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestPositionHeaders(t *testing.T) {
	pool := database(t, windows, commits)
	f := start(t, pool, nil)
	for _, tt := range []struct{ table, commit, watermark string }{
		{"pairs", "42", "2026-01-01T00:31:00+00:00"},
		{"starts", "42", "2026-01-01T00:22:30.5+00:00"},
		{"joined", "42", "2026-01-01T00:22:30.5+00:00"}, // the least of what it reads
		{"over_joined", "42", "2026-01-01T00:22:30.5+00:00"},
		{"rows", "42", ""},
		{"unrelated", "42", ""},
		{"elsewhere", "7", "2026-02-01T00:00:00+00:00"},
	} {
		_, _, h := f.get("/v1/tables/" + tt.table)
		if got := h.Get(headerCommit); got != tt.commit {
			t.Errorf("%s: commit %q, want %q", tt.table, got, tt.commit)
		}
		if got := h.Get(headerWatermark); got != tt.watermark {
			t.Errorf("%s: watermark %q, want %q", tt.table, got, tt.watermark)
		}
	}
	if status, body, _ := f.get("/v1/tables/pairs_b3"); status != http.StatusNotFound {
		t.Errorf("a build that is not shown: %d %s", status, body)
	}
}

func TestTablesList(t *testing.T) {
	pool := database(t, windows, commits, `COMMENT ON TABLE pairs IS 'Events per five minutes'; COMMENT ON COLUMN pairs.n IS 'how many'`)
	f := start(t, pool, nil)
	_, body, _ := f.get("/v1/tables")
	var got tablesAnswer
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	byName := map[string]Table{}
	for _, table := range got.Tables {
		byName[table.Name] = table
	}
	pairs := byName["pairs"]
	if pairs.Kind != "materialized view" || !pairs.Windowed || pairs.Emit != "update" || pairs.Comment != "Events per five minutes" || pairs.URL != "/v1/tables/pairs" {
		t.Errorf("pairs: %+v", pairs)
	}
	if diff := cmp.Diff([]string{"window_start", "window_end", "k"}, pairs.Key); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]TableCol{
		{"window_start", "timestamp with time zone", true, ""}, {"window_end", "timestamp with time zone", true, ""},
		{"k", "text", true, ""}, {"n", "bigint", true, "how many"}}, pairs.Columns); diff != "" {
		t.Error(diff)
	}
	if w := pairs.Freshness; w == nil || w.Commit != 42 || w.Watermark.Format("15:04:05") != "00:31:00" || w.CommittedAt.Format("15:04") != "01:00" {
		t.Errorf("pairs's freshness: %+v", w)
	}
	if w := byName["over_joined"].Freshness; w == nil || w.Watermark.Format("15:04:05.0") != "00:22:30.5" {
		t.Errorf("over_joined's freshness: %+v", w)
	}
	if w := byName["rows"].Freshness; w == nil || w.Watermark != nil {
		t.Errorf("rows' freshness: %+v", w)
	}
	if w := byName["unrelated"]; w.Freshness != nil || w.Kind != "view" {
		t.Errorf("unrelated: %+v", w)
	}
	if _, ok := byName["pairs_b3"]; ok {
		t.Error("a build that is not shown is listed")
	}
}

// TestCatalogChanges makes, changes and drops a table between requests.
func TestCatalogChanges(t *testing.T) {
	pool := database(t)
	f := start(t, pool, nil)
	want := func(path string, status int, body string) {
		t.Helper()
		// A name that is not found is looked up anew at most every MinAge:
		// the request after that must find it.
		got, text, _ := f.get(path)
		for got != status && got == http.StatusNotFound {
			got, text, _ = f.get(path)
		}
		if got != status || body != "" && text != body {
			t.Errorf("%s: %d %s", path, got, text)
		}
	}
	want("/v1/tables/late_comer", http.StatusNotFound, "")
	exec(t, pool, "CREATE TABLE late_comer (a integer)", "INSERT INTO late_comer VALUES (1)")
	want("/v1/tables/late_comer", http.StatusOK, "[{\"a\":1}]\n")
	exec(t, pool, "ALTER TABLE late_comer RENAME a TO b")
	// The last reading still says a: the statement fails, and is made anew.
	for {
		status, text, _ := f.get("/v1/tables/late_comer")
		if status == http.StatusOK && text == "[{\"b\":1}]\n" {
			break
		}
		if status != http.StatusBadRequest {
			t.Fatalf("after the change: %d %s", status, text)
		}
	}
	exec(t, pool, "DROP TABLE late_comer")
	want("/v1/tables/late_comer", http.StatusNotFound, "")
}

// TestOneSnapshot reads while commits change every row: each answer holds the
// rows of one commit, and names it.
func TestOneSnapshot(t *testing.T) {
	const rows, changes, readers = 2000, 60, 3
	pool := database(t, windows, commits, fmt.Sprintf("INSERT INTO rows SELECT 0, 0, i, '42' FROM generate_series(1, %d) AS i", rows))
	f := start(t, pool, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	seen := make([]map[string]bool, readers)
	for i := range readers {
		seen[i] = map[string]bool{}
		wg.Go(func() {
			format := []string{"application/json", "text/csv"}[i%2]
			for ctx.Err() == nil {
				_, body, h := f.get("/v1/tables/rows?select=v", "Accept", format)
				commit := h.Get(headerCommit)
				seen[i][commit] = true
				value := `{"v":"` + commit + `"}`
				if format == "text/csv" {
					value = "\n" + commit + "\n"
					body = strings.ReplaceAll(body, "\n", "\n\n")
				}
				if n := strings.Count(body, value); n != rows {
					t.Errorf("%d of %d rows are of commit %s: %.300s", n, rows, commit, body)
					return
				}
			}
		})
	}
	for i := range changes {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE rows SET v = $1", fmt.Sprint(43+i)); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO millstream.commits (pipeline, build, seq_from, seq, generation, partitions, views, engine_version, sealed_at)
				VALUES ('shop', 2, $1, $1, 1, '[]', '[]', 'v', now())`, 43+i)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	wg.Wait()
	total := 0
	for _, s := range seen {
		total += len(s)
	}
	if total < 2*readers {
		t.Errorf("readers saw %d commits in all: the test shows nothing", total)
	}
}
