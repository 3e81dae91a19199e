package crash

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

const ticksSQL = `
CREATE FOREIGN TABLE ticks (at timestamptz NOT NULL, n integer) SERVER kafka OPTIONS (event_time 'at');
CREATE MATERIALIZED VIEW minutes AS
SELECT window_start, count(*) AS ticks, sum(n) AS n FROM tumble(ticks, at, INTERVAL '1 minute') GROUP BY window_start;
`

// Old commits are merged once there are keepCommits and a block of 256 before
// them (internal/postgres/upkeep.go).
const (
	ticks       = 1320
	beforeMerge = 1262
)

// TestKilledWhileMergingCommits kills in the transaction that merges old rows
// of millstream.commits.
func TestKilledWhileMergingCommits(t *testing.T) {
	records := make([]*kgo.Record, ticks)
	for i := range records {
		records[i] = &kgo.Record{Value: fmt.Appendf(nil, `{"at": "2024-01-01T%02d:%02d:%02dZ", "n": %d}`, i/3600, i/60%60, i%60, i)}
	}
	s := open(t, ticksSQL, line.Log{"ticks": {records}}, "100000")

	url := pgtest.Database(t)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	// A killed client loses no commit by it: the server lives on.
	if _, err := conn.Exec(ctx, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`); err != nil {
		t.Fatal(err)
	}
	s.epochRows = "1"
	for _, armed := range []string{fmt.Sprintf("commit.answered:%d", beforeMerge), "upkeep.apply:1", "upkeep.apply:1"} {
		if r := s.run(t, url, armed); !r.Killed {
			t.Fatalf("not killed at %s: %s", armed, r)
		}
		invariants(t, url)
	}
	s.finish(t, url)
	s.check(t, url)
	var merged, rows, last int64
	if err := conn.QueryRow(ctx, `SELECT count(*) FILTER (WHERE level > 0), count(*), max(seq) FROM millstream.commits`).Scan(&merged, &rows, &last); err != nil {
		t.Fatal(err)
	}
	if merged == 0 || rows >= last {
		t.Errorf("%d rows for %d commits, %d of them merged: nothing was merged", rows, last, merged)
	}
}
