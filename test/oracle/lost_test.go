package oracle

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Where Kafka no longer holds the start, what lies wholly after it is
// compared, and the rest is named.
func TestLostStart(t *testing.T) {
	f := newFixture(t, `
		CREATE FOREIGN TABLE a (at timestamptz NOT NULL, n integer) SERVER kafka OPTIONS (event_time 'at');
		CREATE MATERIALIZED VIEW v AS SELECT window_start, sum(n) AS n FROM tumble(a, at, '1 hour') GROUP BY window_start;
		CREATE MATERIALIZED VIEW seen AS SELECT n FROM a;`, map[string]int32{"a": 1})
	f.send("a", 0,
		`{"at": "2024-01-01T00:10:00Z", "n": 1}`, `{"at": "2024-01-01T01:10:00Z", "n": 2}`,
		`{"at": "2024-01-01T01:20:00Z", "n": 4}`, `{"at": "2024-01-01T02:10:00Z", "n": 8}`)
	f.exec(`CREATE TABLE v (window_start timestamptz, n bigint); INSERT INTO v VALUES ('2024-01-01 00:00Z', 1), ('2024-01-01 01:00Z', 6), ('2024-01-01 02:00Z', 8);
		CREATE TABLE seen (_source integer, _partition integer, _offset bigint, n integer); INSERT INTO seen VALUES (0, 0, 0, 1), (0, 0, 1, 2), (0, 0, 2, 4), (0, 0, 3, 8)`)
	f.key("v", "grouped", "window_start")
	f.key("seen", "append")
	for i, mark := range []string{"2024-01-01T01:10:00Z", "2024-01-01T02:10:00Z"} {
		f.commit(i+1, "2030-01-01", []string{part("a", 0, int64(2*i), int64(2*i+2), mark)},
			viewProgress("v", mark, "-infinity", counts(0, "a", 0, 2, 2, 0, 0, 0, 0)), viewProgress("seen", mark, "-infinity", counts(0, "a", 0, 2, 2, 0, 0, 0, 0)))
	}
	if err := f.verify().Err(); err != nil {
		t.Fatal(err)
	}
	var cut kadm.Offsets
	cut.AddOffset("a", 0, 2, -1)
	if _, err := kadm.NewClient(f.client).DeleteRecords(f.ctx, cut); err != nil {
		t.Fatal(err)
	}
	r := f.verify()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if len(r.Unchecked) != 1 || !strings.Contains(r.Unchecked[0], "offsets 0 to 1") || !strings.Contains(r.Verdict(), "not checked") {
		t.Errorf("unchecked %q, verdict %q", r.Unchecked, r.Verdict())
	}
	f.exec(`UPDATE v SET n = 7 WHERE n = 6`) // can't be checked
	if err := f.verify().Err(); err != nil {
		t.Error(err)
	}
	f.exec(`UPDATE v SET n = 9 WHERE n = 8; DELETE FROM seen WHERE n = 8`)
	if r := f.verify(); r.Total != 2 {
		t.Errorf("%v", r.Differences)
	}
}
