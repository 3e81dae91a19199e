package oracle

import (
	"strings"
	"testing"
)

const skeleton = `
CREATE FOREIGN TABLE raw_data (
    "timestamp" timestamptz      NOT NULL,
    type        text             NOT NULL,
    value       double precision
) SERVER kafka OPTIONS (topic 'raw_data', format 'json', event_time 'timestamp', watermark '5 minutes');

CREATE MATERIALIZED VIEW processed_data AS
SELECT window_start AS "timestamp", type, avg(value) AS value, count(*) AS events
FROM tumble(raw_data, "timestamp", INTERVAL '5 minutes')
WHERE type <> 'noise'
GROUP BY window_start, type;

CREATE VIEW stats AS SELECT type, sum(events) FROM processed_data GROUP BY type;
`

// skeletonFixture is a small log with every fate, and the tables that a
// right engine leaves.
func skeletonFixture(t *testing.T) *fixture {
	f := newFixture(t, skeleton, map[string]int32{"raw_data": 2})
	f.send("raw_data", 0,
		`{"timestamp": "2024-01-01T00:00:01Z", "type": "a", "value": 1}`,
		`{"timestamp": "2024-01-01T00:04:00Z", "type": "a", "value": "2.5"}`,
		`not json`,
		``,
		`{"timestamp": "2024-01-01T00:20:00Z", "type": "b", "value": null}`,
		`{"timestamp": "2024-01-01T00:01:00Z", "type": "a", "value": 100}`, // late
		`{"timestamp": "2024-01-01T00:21:00Z", "type": "noise", "value": 3}`,
		`{"timestamp": "2024-01-01T00:21:00Z", "type": "b", "value": "x"}`,
	)
	f.send("raw_data", 1,
		`{"timestamp": "2024-01-01T00:01:00Z", "type": "a", "value": 0.1}`,
		`{"timestamp": null, "type": "a", "value": 1}`,
		`{"timestamp": "2099-01-01T00:21:00Z", "type": "b", "value": 4}`,
	)
	f.exec(`CREATE TABLE processed_data ("timestamp" timestamptz, type text COLLATE "C", value double precision, events bigint);
		INSERT INTO processed_data VALUES ('2024-01-01 00:00Z', 'a', 3.6/3, 3), ('2024-01-01 00:20Z', 'b', NULL, 1)`)
	f.key("processed_data", "grouped", "timestamp", "type")
	f.commit(1, "2024-01-01 01:00Z",
		[]string{part("raw_data", 0, 0, 8, "2024-01-01T00:16:00Z"), part("raw_data", 1, 0, 3, "2023-12-31T23:56:00Z")},
		viewProgress("processed_data", "2023-12-31T23:56:00Z", "-infinity",
			counts(0, "raw_data", 0, 8, 3, 2, 1, 2, 0), counts(0, "raw_data", 1, 3, 1, 0, 0, 2, 0)))
	f.quarantine("raw_data", 0, 2, "", "decode", "22P02")
	f.quarantine("raw_data", 0, 7, "", "decode", "22P02")
	f.quarantine("raw_data", 1, 1, "", "decode", "23502")
	f.quarantine("raw_data", 1, 2, "", "future", "")
	f.late("raw_data", 0, 5, "processed_data", "2024-01-01 00:01Z", "2024-01-01 00:00Z", "2024-01-01 00:05Z", "2024-01-01 00:15Z", "-infinity", "watermark")
	return f
}

func TestRightTablesAreEqual(t *testing.T) {
	f := skeletonFixture(t)
	r := f.verify()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if r.Records != 11 || len(r.Views) != 1 || r.Views[0].Rows != 2 {
		t.Errorf("report %+v", r)
	}
	if broken, err := Invariants(f.ctx, f.url, "p"); err != nil || len(broken) > 0 {
		t.Errorf("invariants: %v %v", broken, err)
	}
	Check(t, f.options())
}

// Each wrong is planted into right tables and must be told.
func TestWrongTablesDiffer(t *testing.T) {
	for _, c := range []struct{ name, plant, kind string }{
		{"a wrong count", `UPDATE processed_data SET events = 4 WHERE type = 'a'`, "columns differ"},
		{"a wrong float", `UPDATE processed_data SET value = value * (1 + 1e-8) WHERE type = 'a'`, "columns differ"},
		{"null for a value", `UPDATE processed_data SET value = NULL WHERE type = 'a'`, "columns differ"},
		{"a missing row", `DELETE FROM processed_data WHERE type = 'b'`, "missing row"},
		{"a row too many", `INSERT INTO processed_data VALUES ('2024-01-01 00:20Z', 'c', 1, 1)`, "extra row"},
		{"a row twice", `INSERT INTO processed_data SELECT * FROM processed_data WHERE type = 'b'`, "extra row"},
		{"a good record refused", `UPDATE millstream.quarantine SET "offset" = 0 WHERE "offset" = 7`, "wrongly in quarantine with cause decode"},
		{"a bad record not refused", `DELETE FROM millstream.quarantine WHERE "offset" = 2 AND partition = 0`, "record was not refused"},
		{"another SQLSTATE", `UPDATE millstream.quarantine SET sqlstate = '22003' WHERE "offset" = 7`, "wrongly in quarantine with cause decode"},
		{"not future", `INSERT INTO millstream.quarantine (pipeline, build, seq, generation, foreign_table, server, topic, partition, "offset", record_timestamp, cause, statement, message)
			VALUES ('p', 1, 1, 1, 'raw_data', 'kafka', 'raw_data', 0, 0, now(), 'event_time', '', '')`, "wrongly in quarantine with cause event_time"},
		{"the future not refused", `DELETE FROM millstream.quarantine WHERE cause = 'future'`, "record ahead of the clock was not refused"},
		{"late not told", `DELETE FROM millstream.late_rows`, "late record is not in late_rows"},
		{"late by the wrong cause", `UPDATE millstream.late_rows SET cause = 'floor'`, "wrong cause in late_rows"},
		{"late with a wrong watermark", `UPDATE millstream.late_rows SET watermark = watermark + interval '1 second'`, "late_rows is wrong"},
		{"in time but called late", `UPDATE millstream.late_rows SET "offset" = 0`, "record in late_rows is not late"},
		{"filtered but called late", `UPDATE millstream.late_rows SET "offset" = 6`, "late_rows has a record that the view does not read"},
		{"a wrong own watermark", `UPDATE millstream.commits SET partitions = replace(partitions::text, '00:16:00', '00:16:01')::jsonb`, "own watermark differs"},
		{"wrong counts", `UPDATE millstream.commits SET views = replace(replace(views::text, '"filtered": 2', '"filtered": 1'), '"accepted": 3', '"accepted": 4')::jsonb`, "counts differ"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := skeletonFixture(t)
			f.exec(c.plant)
			r := f.verify()
			for _, d := range r.Differences {
				if d.Kind == c.kind {
					return
				}
			}
			var b strings.Builder
			r.Print(&b)
			t.Errorf("no difference of kind %q:\n%s", c.kind, b.String())
		})
	}
}

func TestBrokenInvariantsAreTold(t *testing.T) {
	for _, c := range []struct{ name, plant, kind string }{
		{"a gap", `UPDATE millstream.commits SET partitions = replace(partitions::text, '"from": 8', '"from": 9')::jsonb WHERE seq = 2`, "1: offset ranges"},
		{"an overlap", `UPDATE millstream.commits SET partitions = replace(partitions::text, '"from": 8', '"from": 7')::jsonb WHERE seq = 2`, "1: offset ranges"},
		{"counts that do not add up", `UPDATE millstream.commits SET views = replace(views::text, '"accepted": 3', '"accepted": 4')::jsonb WHERE seq = 1`, "2: read = accepted"},
		{"reads that do not cover the range", `UPDATE millstream.commits SET views = replace(views::text, '"skipped": 0', '"skipped": 1')::jsonb WHERE seq = 1`, "2: offset distance"},
		{"an own watermark going back", `UPDATE millstream.commits SET partitions = replace(partitions::text, '00:16:00', '00:15:00')::jsonb WHERE seq = 2`, "3: own watermarks"},
		{"a view's watermark going back", `UPDATE millstream.commits SET views = replace(views::text, '23:56:00', '23:55:00')::jsonb WHERE seq = 2`, "3: watermarks and floors"},
		{"a missing commit", `UPDATE millstream.commits SET seq = 3, seq_from = 3 WHERE seq = 2`, "3: seq is dense"},
		{"a generation of the future", `UPDATE millstream.commits SET generation = 7 WHERE seq = 2`, "3: no commit is of a later"},
		{"a ledger row lost", `DELETE FROM millstream.late_rows`, "2: the ledgers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := skeletonFixture(t)
			f.commit(2, "2024-01-01 01:01Z", []string{part("raw_data", 0, 8, 8, "2024-01-01T00:16:00Z")}, viewProgress("processed_data", "2023-12-31T23:56:00Z", "-infinity"))
			if broken, err := Invariants(f.ctx, f.url, "p"); err != nil || len(broken) > 0 {
				t.Fatalf("before: %v %v", broken, err)
			}
			f.exec(c.plant)
			broken, err := Invariants(f.ctx, f.url, "p")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(describe(broken), c.kind) {
				t.Errorf("want %q in:\n%s", c.kind, describe(broken))
			}
		})
	}
}

func TestFinalRowsNeverChange(t *testing.T) {
	f := skeletonFixture(t)
	f.exec(`UPDATE millstream.commits SET views = replace(views::text, '2023-12-31T23:56:00Z', '2024-01-01T00:05:00Z')::jsonb`)
	var finals Finals
	look := func(want string) {
		t.Helper()
		got, err := finals.Observe(f.ctx, f.options())
		if err != nil {
			t.Fatal(err)
		}
		if text := describe(got); want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("want %q, got %q", want, text)
		}
	}
	look("")
	f.exec(`UPDATE processed_data SET events = 9 WHERE type = 'b'`) // still open
	look("")
	f.exec(`UPDATE processed_data SET events = 9 WHERE type = 'a'`)
	look("a final row has changed")
	f.exec(`DELETE FROM processed_data WHERE type = 'a'`)
	look("a final row is gone")
}
