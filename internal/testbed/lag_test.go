package testbed

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestLagGrowsWhileACommitWaits holds that the status tells of records that
// come while a commit waits for a lock: an alert on lag is for just then.
func TestLagGrowsWhileACommitWaits(t *testing.T) {
	s := begin(t, 1, nil)
	send(t, s, 0, 0, 3)
	settle(t, s)
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT FROM millstream.pipelines FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	lag := func() int64 {
		p := s.running.Engine.Status().Partitions[0]
		return p.End - p.Next
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for from := range 3 {
		send(t, s, 0, 3+from, 1)
		for want := int64(from + 1); lag() != want; s.clock.Advance(300 * time.Millisecond) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("lag %d, want %d", lag(), want)
			}
		}
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	judge(t, s)
}
