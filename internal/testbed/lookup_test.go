package testbed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
)

const lookupSQL = `
CREATE TABLE kinds (kind text PRIMARY KEY, label text, "group" integer);
CREATE FOREIGN TABLE events (at timestamptz NOT NULL, kind text, value bigint)
    SERVER kafka OPTIONS (event_time 'at', watermark '10 seconds');
CREATE MATERIALIZED VIEW labelled AS SELECT value, label FROM events LEFT JOIN kinds USING (kind);
CREATE MATERIALIZED VIEW per_label AS
SELECT window_start, label, count(*) AS n, sum(value) AS total
FROM tumble(events, at, INTERVAL '1 minute') e JOIN kinds k ON k.kind = e.kind GROUP BY window_start, label;
`

// withLookup begins a subject whose views join a table.
func withLookup(t *testing.T, workers int) *subject {
	return begin(t, 2, func(setup *pipetest.Setup) {
		setup.SQL, setup.Workers = lookupSQL, workers
	})
}

func execute(t *testing.T, s *subject, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func texts(t *testing.T, s *subject, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, "\n")
}

// look lets the clock go on until the engine looks at the table.
func look(t *testing.T, s *subject) {
	t.Helper()
	s.clock.Advance(engine.DefaultLookupRefresh)
	settle(t, s)
}

const labelledRows = `SELECT concat_ws(' ', _partition, _offset, value, label) FROM labelled
UNION ALL SELECT concat_ws(' ', window_start, label, n, total) FROM per_label ORDER BY 1`

// A rebuild, and a restart in its middle, meet the version of the table that
// each record met before, though the table has changed since; what comes
// after meets the table as it stands.
func TestRebuildMeetsTheSameVersions(t *testing.T) {
	for _, workers := range []int{1, 2} {
		s := withLookup(t, workers)
		settle(t, s)
		for i, change := range []string{
			"INSERT INTO kinds VALUES ('k0', 'one'), ('k1', 'two')",
			"UPDATE kinds SET label = 'three' WHERE kind = 'k0'",
			"DELETE FROM kinds WHERE kind = 'k1'; INSERT INTO kinds VALUES ('k2', 'four')",
		} {
			execute(t, s, change)
			look(t, s)
			send(t, s, int32(i%2), 20*i, 9)
			settle(t, s)
		}
		want := texts(t, s, labelledRows)
		for _, label := range []string{"one", "two", "three", "four"} {
			if !strings.Contains(want, label) {
				t.Fatalf("no record met %q:\n%s", label, want)
			}
		}
		if err := s.abandon(); err != nil {
			t.Fatal(err)
		}
		execute(t, s, "UPDATE kinds SET label = 'changed'")
		def, err := pipeline.Parse("events.sql", lookupSQL+"CREATE MATERIALIZED VIEW more AS SELECT value FROM events;", "events", "")
		if err != nil {
			t.Fatal(err)
		}
		s.def, s.setup.SQL, s.rebuild = def, lookupSQL+"CREATE MATERIALIZED VIEW more AS SELECT value FROM events;", true
		if err := s.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if workers == 2 { // twice: what the first rebuild had not come to is not lost
			if err := s.abandon(); err != nil {
				t.Fatal(err)
			}
			s.rebuild = false
			if err := s.start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		settle(t, s)
		if got := texts(t, s, labelledRows); got != want {
			t.Errorf("%d workers: after the rebuild\n%s\nbefore it\n%s", workers, got, want)
		}
		look(t, s)
		send(t, s, 0, 70, 3)
		settle(t, s)
		if got := texts(t, s, labelledRows); !strings.Contains(got, "changed") {
			t.Errorf("%d workers: after the rebuild the table is not looked at any more:\n%s", workers, got)
		}
		judge(t, s)
	}
}

// A new engine goes on with the version of the last commit, and has the same
// rows as the one before it.
func TestRestartGoesOnWithTheVersion(t *testing.T) {
	s := withLookup(t, 1)
	execute(t, s, "INSERT INTO kinds SELECT 'k' || g, 'label ' || g FROM generate_series(0, 3) g")
	look(t, s)
	send(t, s, 0, 0, 8)
	settle(t, s)
	for i := range 4 {
		execute(t, s, fmt.Sprintf("UPDATE kinds SET label = 'round %d' WHERE kind = 'k0'; DELETE FROM kinds WHERE kind = 'k1'; INSERT INTO kinds VALUES ('k1', 'new %[1]d')", i))
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle(t, s) // a new engine looks at once
		send(t, s, 1, 10*i, 8)
		settle(t, s)
	}
	got := texts(t, s, "SELECT DISTINCT label FROM labelled WHERE label LIKE 'round%' OR label LIKE 'new%' ORDER BY 1")
	if want := "new 0\nnew 1\nnew 2\nnew 3\nround 0\nround 1\nround 2\nround 3"; got != want {
		t.Errorf("labels met: %s", got)
	}
	if got := texts(t, s, "SELECT count(DISTINCT version)::text FROM millstream.lookup_versions"); got != "6" {
		t.Errorf("%s versions are kept, not 6", got)
	}
	judge(t, s)
}

// What becomes of a table while the pipeline runs stops it, and says what
// differs; what heals by itself does not.
func TestTableChangedWhileRunning(t *testing.T) {
	for _, c := range []struct{ name, sql, says string }{
		{"dropped", "DROP TABLE kinds", "it does not exist"},
		{"no key", "ALTER TABLE kinds DROP CONSTRAINT kinds_pkey", "it has no unique key over (kind)"},
		{"other type", "ALTER TABLE kinds ALTER label TYPE varchar(5)", "column \"label\" is character varying(5), not text"},
		{"column gone", "ALTER TABLE kinds DROP label", "it has no column \"label\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := withLookup(t, 1)
			execute(t, s, "INSERT INTO kinds VALUES ('k0', 'one')")
			look(t, s)
			send(t, s, 0, 0, 4)
			settle(t, s)
			execute(t, s, "ALTER TABLE kinds DROP \"group\"") // nobody reads it
			look(t, s)
			execute(t, s, c.sql)
			s.clock.Advance(engine.DefaultLookupRefresh)
			select {
			case err := <-s.ended:
				s.ended <- nil
				if err == nil || !strings.Contains(err.Error(), "table public.kinds") || !strings.Contains(err.Error(), c.says) {
					t.Errorf("the engine ended with %v", err)
				}
			case <-time.After(time.Minute):
				t.Fatal(errors.New("the engine goes on"))
			}
		})
	}
}
