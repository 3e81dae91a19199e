package testbed

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
)

// requests sends records of requests that come again and again, in no order,
// over two days of the key clock.
func requests(t *testing.T, s *subject, random *rand.Rand, from, n int) {
	t.Helper()
	for p := range int32(2) {
		var records []pipetest.Record
		for i := range n {
			at := noon.Add(time.Duration(from+i) * 5 * time.Minute)
			request, index := random.IntN(40), random.IntN(4)
			records = append(records, pipetest.Record{
				Timestamp: at.Add(-time.Duration(random.IntN(600)) * time.Second),
				Headers:   []pipetest.Header{{Key: engine.IdempotencyHeader, Value: fmt.Appendf(nil, "r%d/%d", request, index)}},
				Value:     fmt.Appendf(nil, `{"at": %q, "kind": "k%d", "value": 1}`, noon.Add(time.Duration(from+i)*time.Second).Format(time.RFC3339), request%3),
			})
		}
		if err := s.Send(t.Context(), "events", p, records); err != nil {
			t.Fatal(err)
		}
	}
}

// Records that repeat are counted once through restarts, and a rebuild counts
// the same ones; the oracle, which knows the rule and none of the code, agrees.
func TestRepeatsAreCountedOnce(t *testing.T) {
	s := begin(t, 2, func(setup *pipetest.Setup) { setup.Clock = noon.Add(72 * time.Hour) })
	random := rand.New(rand.NewPCG(7, 8))
	from := 0
	for range 12 {
		for range 6 { // many commits, so that what they keep is merged
			requests(t, s, random, from, 8)
			settle(t, s)
			from += 8
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	filtered := one[int64](t, s, `SELECT sum(filtered)::bigint FROM millstream.commit_inputs WHERE view_name = 'counts'`)
	read := one[int64](t, s, `SELECT sum(read)::bigint FROM millstream.commit_inputs WHERE view_name = 'counts'`)
	if read != int64(2*from) || filtered < read/3 || filtered > read*9/10 {
		t.Errorf("%d of %d records are repeats: the test shows too little", filtered, read)
	}
	before := lines(t, s)
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	s.setup.SQL = sql + "CREATE MATERIALIZED VIEW more AS SELECT window_start, max(value) AS greatest FROM tumble(events, at, INTERVAL '1 hour') GROUP BY window_start;"
	def, err := pipeline.Parse("events.sql", s.setup.SQL, "events", "")
	if err != nil {
		t.Fatal(err)
	}
	s.def, s.rebuild = def, true
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if a, b := fmt.Sprint(lines(t, s)), fmt.Sprint(before); a != b {
		t.Errorf("after the rebuild\n%s\nbefore it\n%s", a, b)
	}
	judge(t, s)
}

// A restart refuses keys that are damaged in the database.
func TestDamagedKeysAreTold(t *testing.T) {
	s := begin(t, 2, func(setup *pipetest.Setup) { setup.Clock = noon.Add(72 * time.Hour) })
	requests(t, s, rand.New(rand.NewPCG(1, 1)), 0, 5)
	settle(t, s)
	judge(t, s)
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `UPDATE millstream.idempotency_keys SET data = data || '\x00'`); err != nil {
		t.Fatal(err)
	}
	if err := s.start(t.Context()); err == nil {
		t.Error("the engine starts on damaged keys")
	} else {
		t.Log(err)
	}
	if _, err := conn.Exec(t.Context(), `UPDATE millstream.idempotency_keys SET data = substring(data FROM 1 FOR octet_length(data) - 1)`); err != nil {
		t.Fatal(err)
	}
	if err := s.abandon(); err != nil {
		t.Log(err)
	}
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}
