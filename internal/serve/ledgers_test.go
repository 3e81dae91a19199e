package serve

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// refusals are rows of the ledgers: of builds 1 and 2, of which 2 is shown.
const refusals = `
INSERT INTO millstream.quarantine (pipeline, build, seq, generation, foreign_table, server, topic, partition, "offset", record_timestamp, cause, statement, column_name, json_path, byte_position, sqlstate, message, key, payload, payload_size)
SELECT 'shop', CASE WHEN i = 0 THEN 1 ELSE 2 END, 5, 1, 'raw', 'kafka', 'raw', 0, i, '2026-01-01 00:00Z', 'decode', 'CREATE FOREIGN TABLE raw', 'value', '$.value', 10, '22P02', 'invalid input ' || i, 'k', '{"value": "x"}', 14
FROM generate_series(0, 3) AS i;
INSERT INTO millstream.quarantine (pipeline, build, seq, generation, foreign_table, server, topic, partition, "offset", record_timestamp, cause, statement, message, payload)
VALUES ('shop', 2, 5, 1, 'raw', 'kafka', 'raw', 0, 9, '2026-01-01 00:00Z', 'future', 'CREATE FOREIGN TABLE raw', 'too far ahead', '\xff');
INSERT INTO millstream.late_rows (pipeline, build, seq, generation, foreign_table, server, topic, partition, "offset", record_timestamp, view_name, source, event_time, window_start, window_end, watermark, floor, late_by, cause, payload)
SELECT 'shop', 2, 6, 1, 'raw', 'kafka', 'raw', 0, i, '2026-01-01 00:00Z', 'pairs', 0, '2026-01-01 00:01Z', '2026-01-01 00:00Z', '2026-01-01 00:05Z', '2026-01-01 00:05Z', '-infinity', make_interval(secs => i), 'watermark', '{}'
FROM generate_series(1, 5) AS i;`

func TestLedgers(t *testing.T) {
	f := start(t, database(t, windows, refusals), nil)
	read := func(path string, into any) {
		t.Helper()
		status, body, _ := f.get(path)
		if err := json.Unmarshal([]byte(body), into); err != nil || status != 200 {
			t.Fatalf("%s: %d %s (%v)", path, status, body, err)
		}
	}
	// Bytes are written in a form of their own, which these read back.
	type row struct {
		ID       int64
		Offset   int64
		Cause    string
		Message  string
		Position *int32
		Payload  any
		Floor    *string
		Late     float64 `json:"late_seconds"`
	}
	var all, one, next struct {
		Causes []Cause
		Rows   []row
	}
	read("/v1/quarantine", &all)
	if len(all.Causes) != 2 || all.Causes[0].Rows != 3 || all.Causes[0].Field != "value" || all.Causes[0].Message != "invalid input 3" || all.Causes[1].Cause != "future" {
		t.Errorf("causes %+v", all.Causes)
	}
	if len(all.Rows) != 4 || all.Rows[0].Cause != "future" || all.Rows[1].Offset != 3 || *all.Rows[1].Position != 10 || all.Rows[1].Payload != `{"value": "x"}` {
		t.Errorf("rows %+v", all.Rows)
	}
	if p, ok := all.Rows[0].Payload.(map[string]any); !ok || p["base64"] != "/w==" {
		t.Errorf("a payload that is no text: %v", all.Rows[0].Payload)
	}
	read("/v1/quarantine?cause=decode&of=raw&limit=2", &one)
	if len(one.Rows) != 2 || one.Rows[1].Offset != 2 || len(one.Causes) != 2 {
		t.Errorf("of one cause: %+v", one)
	}
	read("/v1/quarantine?cause=decode&limit=2&before="+jsonText(one.Rows[1].ID), &next)
	if len(next.Rows) != 1 || next.Rows[0].Offset != 1 {
		t.Errorf("the next page: %+v", next.Rows)
	}
	var late struct {
		Causes []Cause
		Rows   []row
	}
	read("/v1/late?of=pairs", &late)
	if len(late.Causes) != 1 || late.Causes[0].Rows != 5 || late.Causes[0].MedianSeconds != 3 || late.Causes[0].MostSeconds != 5 || len(late.Rows) != 5 || late.Rows[0].Late != 5 || late.Rows[0].Floor != nil {
		t.Errorf("late: %+v", late)
	}
	if status, _, _ := f.get("/v1/late?limit=0"); status != 422 {
		t.Errorf("limit=0: %d", status)
	}
}

// What is asked of rows is one request each, and stands with them.
func TestLedgersAreAsked(t *testing.T) {
	f := start(t, database(t, windows, refusals), nil)
	post := func(path, body string, want int) string {
		t.Helper()
		resp := f.do("POST", path, strings.NewReader(body), "Content-Type", "application/json")
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("POST %s %s: %d %s, not %d", path, body, resp.StatusCode, text, want)
		}
		return string(text)
	}
	var rows struct {
		Rows []struct {
			ID, Offset int64
			State      string
			Request    *LedgerRequest
		}
	}
	look := func(path string) {
		t.Helper()
		_, body, _ := f.get(path)
		if err := json.Unmarshal([]byte(body), &rows); err != nil || len(rows.Rows) == 0 {
			t.Fatalf("%s: %s", path, body)
		}
	}
	look("/v1/quarantine?cause=decode")
	id := jsonText(rows.Rows[0].ID)
	if got := post("/v1/quarantine/replay", `{"rows": [{"id": `+id+`, "payload": {"value": 1}}, {"id": 99999}]}`, 202); !strings.Contains(got, `"answer":"requested"`) || !strings.Contains(got, "the ledger has no such row") {
		t.Errorf("asked: %s", got)
	}
	if got := post("/v1/quarantine/replay", `{"rows": [{"id": `+id+`}]}`, 202); !strings.Contains(got, `"answer":"already"`) {
		t.Errorf("asked again: %s", got)
	}
	if got := post("/v1/quarantine/drop", `{"ids": [`+id+`], "reason": "x"}`, 200); !strings.Contains(got, `"answer":"not possible"`) {
		t.Errorf("dropped while it waits: %s", got)
	}
	look("/v1/quarantine?cause=decode")
	if r := rows.Rows[0]; r.State != "requested" || r.Request == nil || r.Request.State != "requested" {
		t.Errorf("the row: %+v", r)
	}
	look("/v1/late")
	id = jsonText(rows.Rows[0].ID)
	if got := post("/v1/late/drop", `{"ids": [`+id+`], "reason": "too old"}`, 200); !strings.Contains(got, `"answer":"dropped"`) {
		t.Errorf("dropped: %s", got)
	}
	look("/v1/late")
	if r := rows.Rows[0]; r.State != "dropped" || r.Request.Reason != "too old" {
		t.Errorf("the row: %+v", r)
	}
	post("/v1/quarantine/replay", `{"rows": []}`, 422)
	post("/v1/quarantine/replay", `{"rows": [{"id": 1, "payload": {"base64": "?"}}]}`, 422)
	post("/v1/late/drop", `{"ids": [1], "reason": ""}`, 422)
}

// A request bears the name of the key that asked; Spark's pipelines, and a
// database that takes no writes, are told apart from what is wrong with a row.
func TestWhoAsksOfLedgers(t *testing.T) {
	pool := database(t, windows, refusals)
	key := newKey(t, pool, "mender", apikey.Admin, nil)
	f := start(t, pool, nil)
	ask := func(want int) string {
		t.Helper()
		resp := f.do("POST", "/v1/quarantine/replay", strings.NewReader(`{"rows": [{"id": 2}]}`), "Content-Type", "application/json", "X-API-Key", key)
		body := readAll(t, resp)
		if resp.StatusCode != want {
			t.Errorf("%d %s, want %d", resp.StatusCode, body, want)
		}
		return body
	}
	exec(t, pool, `INSERT INTO millstream.spark_commits (pipeline, build, query, batch, generation, spark_query, offsets, rows) VALUES ('shop', 2, 'view pairs', 0, 1, 'q', '[]', 1)`)
	if body := ask(409); !strings.Contains(body, codeSparkReplays) {
		t.Error(body)
	}
	exec(t, pool, `DELETE FROM millstream.spark_commits`)
	ask(202)
	var by string
	if err := pool.QueryRow(t.Context(), "SELECT requested_by FROM millstream.replays WHERE ledger_id = 2").Scan(&by); err != nil || by != "key mender" {
		t.Errorf("asked by %q (%v)", by, err)
	}
	config := pool.Config().Copy()
	config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	standby, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Close()
	f = start(t, standby, nil)
	exec(t, pool, "DELETE FROM millstream.replays")
	if body := ask(503); !strings.Contains(body, "takes no writes") {
		t.Error(body)
	}
}

func jsonText(v any) string {
	b, _ := json.Marshal(v) // numbers only
	return string(b)
}
