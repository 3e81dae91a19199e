package crash

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/postgres/ledger"
	"github.com/millstream-dev/millstream/test/line"
)

const (
	// portions is over how many requests the rows of the ledgers are spread.
	portions = 2
	// fewer records than elsewhere: what counts is how many are refused.
	replayedPerPartition = 60
)

// replayPoints are passed by a run that finds replays and nothing else to do.
var replayPoints = []string{
	"replay.judged", "commit.fence_held", "commit.merged", "commit.replays_written", "commit.state_written", "commit.row_written",
	"commit.sent", "commit.answered",
}

// order is a payload that every view of orders takes.
const order = `{"at": "2024-01-01T10:00:00Z", "customer": {"id": 7}, "category": "mended", "price": 31.50, "weight": 0.1, "quantity": 3, "paid": true}`

// askForReplays asks for every open row of the ledgers whose offset is of the
// portion: late rows as they are, and what is in quarantine mended. Asked a
// second time, nothing is asked for.
func askForReplays(t *testing.T, url string, portion int64) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	asked := 0
	for _, n := range []ledger.Name{ledger.Late, ledger.Quarantine} {
		rows, err := n.List(ctx, conn, name, ledger.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		f, edited := ledger.Filter{IDs: []int64{}}, map[int64][]byte{}
		for _, r := range rows {
			if r.Offset%portions != portion || r.ReplayOf != 0 {
				continue
			}
			f.IDs = append(f.IDs, r.ID)
			if n == ledger.Quarantine && r.Table == "orders" {
				edited[r.ID] = []byte(order)
			}
		}
		for again := range 2 {
			answers, err := n.Replay(ctx, conn, name, f, edited)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range answers {
				if want := [2]string{ledger.Asked, ledger.Already}[again]; a.Answer != want {
					t.Fatalf("row %d of %s: %s %s, not %s", a.ID, n, a.Answer, a.Detail, want)
				}
				asked++
			}
		}
	}
	if asked < 10 {
		t.Fatalf("only %d replays are asked for", asked)
	}
}

// TestKilledWhileReplaying kills the program at each step of the commit that
// applies replays, and again where it is started: each row counts once, and what
// comes out is what comes out undisturbed.
func TestKilledWhileReplaying(t *testing.T) {
	s := open(t, line.ShopSQL, line.Shop(1, replayedPerPartition), epochRows)
	before := s.want
	replayed := pgtest.Database(t)
	s.finish(t, replayed)
	for portion := range int64(portions) {
		askForReplays(t, replayed, portion)
		s.finish(t, replayed)
	}
	s.judge(t, replayed)
	if s.want = line.Dump(t, replayed, name); s.want == before {
		t.Fatal("the replays have changed nothing")
	}
	t.Run("points", func(t *testing.T) {
		for _, point := range replayPoints {
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				url := pgtest.Database(t)
				s.finish(t, url)
				for portion := range int64(portions) {
					askForReplays(t, url, portion)
					if r := s.run(t, url, fmt.Sprintf("%s:1", point)); !r.Killed {
						t.Fatalf("%s is never passed", point)
					}
					invariants(t, url)
					s.run(t, url, fmt.Sprintf("%s:1", point)) // killed again, or done by then
					invariants(t, url)
				}
				s.finish(t, url)
				s.check(t, url)
			})
		}
	})
	t.Logf("%d kills", s.kills.Load())
}
