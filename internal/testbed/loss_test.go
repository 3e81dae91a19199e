package testbed

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

// expire deletes the records of partition 0 that are before an offset, as
// retention does.
func expire(t *testing.T, s *subject, before int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var offsets kadm.Offsets
	offsets.AddOffset("events", 0, before, -1)
	if _, err := kadm.NewClient(client).DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
}

// startLost starts the pipeline, which must say that records are lost, and
// gives the word that would accept it.
func startLost(t *testing.T, s *subject) string {
	t.Helper()
	err := s.start(t.Context())
	var lost *engine.LostError
	if !errors.As(err, &lost) {
		t.Fatalf("got %v, want a LostError", err)
	}
	s.running.Close()
	s.running = nil
	loss, ok := lost.Acceptable()
	if !ok {
		t.Fatalf("%v can't be accepted", err)
	}
	return loss.String()
}

// Records that retention has deleted before they were read are told by range.
func TestRetentionPassedIsTold(t *testing.T) {
	s := begin(t, 1, nil)
	send(t, s, 0, 0, 5)
	settle(t, s)
	judge(t, s)
	before := line.Dump(t, s.url, s.setup.Name)
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	send(t, s, 0, 5, 10)
	expire(t, s, 9)
	for _, accepted := range []string{"", "events/0:5-7", "events/0:6-8", "events/1:5-8", "other/0:5-8"} {
		s.config.Engine.AcceptLoss = nil
		if accepted != "" {
			s.config.Engine.AcceptLoss = []string{accepted}
		}
		if loss := startLost(t, s); loss != "events/0:5-8" {
			t.Errorf("with %q accepted it asks for %q", accepted, loss)
		}
	}
	judgeLost(t, s, before, "no longer holds offsets 0 to 4;")
}

// TestAcceptedLoss goes on without records that Kafka has deleted once somebody
// has accepted that, counts them as skipped, and tells of them in the commit:
// where more follows, where nothing does, and when the pipeline is built anew.
func TestAcceptedLoss(t *testing.T) {
	s := begin(t, 1, nil)
	send(t, s, 0, 0, 5)
	settle(t, s)
	judge(t, s)
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	send(t, s, 0, 5, 10)
	expire(t, s, 9)
	s.config.Engine.AcceptLoss = []string{"events/0:5-8"}
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	s.config.Engine.AcceptLoss = nil
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, s, 0, 15, 2)
	settle(t, s)
	wantLost(t, s, "[5,9)", 13, 4)

	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	send(t, s, 0, 17, 3)
	expire(t, s, 20) // all that there is
	s.config.Engine.AcceptLoss = []string{"events/0:0-100", "events/0:17-19"}
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	wantLost(t, s, "[5,9) [17,20)", 13, 7)
	send(t, s, 0, 20, 2)
	settle(t, s)
	wantLost(t, s, "[5,9) [17,20)", 15, 7)

	s.config.Engine.AcceptLoss = nil
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	s.setup.SQL = strings.Replace(sql, "CREATE MATERIALIZED VIEW", "CREATE MATERIALIZED VIEW more WITH (max_groups = 100) AS SELECT kind, count(*) AS n FROM events GROUP BY kind;\nCREATE MATERIALIZED VIEW", 1)
	def, err := pipeline.Parse("events.sql", s.setup.SQL, "events", "")
	if err != nil {
		t.Fatal(err)
	}
	s.def, s.rebuild = def, true
	if loss := startLost(t, s); loss != "events/0:0-19" {
		t.Errorf("a rebuild asks for %q", loss)
	}
	s.config.Engine.AcceptLoss = []string{"events/0:0-19"}
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	wantLost(t, s, "[0,20)", 2, 20)
}

// wantLost holds the recorded losses, and how many records were read and
// skipped, to what they must be; and the tables to what was read.
func wantLost(t *testing.T, s *subject, ranges string, read, skipped int64) {
	t.Helper()
	const current = " WHERE build = (SELECT max(build) FROM millstream.commits)"
	if got := one[string](t, s, `SELECT coalesce(string_agg(format('[%s,%s)', l."from", l."to"), ' ' ORDER BY l."from"), '')
		FROM millstream.commit_partitions, jsonb_to_recordset(lost) AS l ("from" bigint, "to" bigint)`+current); got != ranges {
		t.Errorf("lost are %s, want %s", got, ranges)
	}
	if got := one[int64](t, s, "SELECT sum(read)::bigint FROM millstream.commit_inputs"+current+" AND view_name = 'counts'"); got != read {
		t.Errorf("%d records read, want %d", got, read)
	}
	if got := one[int64](t, s, "SELECT sum(skipped)::bigint FROM millstream.commit_inputs"+current+" AND view_name = 'counts'"); got != skipped {
		t.Errorf("%d records skipped, want %d", got, skipped)
	}
	if got := one[int64](t, s, "SELECT sum(n)::bigint FROM counts"); got != read {
		t.Errorf("the table counts %d records, want %d", got, read)
	}
	broken, err := oracle.Invariants(t.Context(), s.url, s.setup.Name)
	if err != nil || len(broken) > 0 {
		t.Errorf("invariants: %v %v", err, broken)
	}
}
