package postgres

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
)

const benchSQL = `
CREATE FOREIGN TABLE updates (key bigint NOT NULL, value bigint) SERVER kafka;
CREATE MATERIALIZED VIEW totals WITH (max_groups = 100000000) AS
SELECT key, count(*) AS n, sum(value)::bigint AS total, max(value) AS greatest FROM updates GROUP BY key;
`

// benchRows are rows of the view by key.
func benchRows(keys []int64, round int64) *column.Batch {
	b := &column.Batch{N: len(keys)}
	for range 4 {
		b.Cols = append(b.Cols, column.NewVector(column.Of(column.Int8), len(keys)))
	}
	for i, k := range keys {
		b.Cols[0].Int[i], b.Cols[1].Int[i], b.Cols[2].Int[i], b.Cols[3].Int[i] = k, round, round*k, round
	}
	return b
}

// BenchmarkCommit tells what a commit costs for each of its rows, and each of
// its steps, beside the same rows by the two statements that do nothing else.
// rows: new ones; changed ones of 100,000; ones with their state.
func BenchmarkCommit(b *testing.B) {
	const keys, rows, stateBytes = 100_000, 45_000, 30
	r := rand.New(rand.NewPCG(1, 2))
	some := func() []int64 {
		all := make([]int64, keys)
		for i, k := range r.Perm(keys) {
			all[i] = int64(k)
		}
		slices.Sort(all[:rows])
		return all[:rows]
	}
	change := func(keys []int64, round int64, fresh bool) engine.Commit {
		t := engine.TableChange{Upserts: benchRows(keys, round), New: make([]bool, len(keys)), ExpireBefore: column.NegativeInfinity}
		for i := range t.New {
			t.New[i] = fresh
		}
		return engine.Commit{Tables: []engine.TableChange{t}}
	}
	for _, test := range []struct {
		name string
		make func(round int64) engine.Commit
	}{
		{"new", func(round int64) engine.Commit {
			fresh := make([]int64, rows)
			for i := range fresh {
				fresh[i] = keys + round*rows + int64(i)
			}
			return change(fresh, round, true)
		}},
		{"changed", func(round int64) engine.Commit { return change(some(), round, false) }},
		{"changed_with_state", func(round int64) engine.Commit {
			c := change(some(), round, false)
			c.State = []engine.StateBlob{{Shard: -1, Seq: round + 1, Data: make([]byte, rows*stateBytes)}}
			for i := range c.State[0].Data {
				c.State[0].Data[i] = byte(r.Uint32())
			}
			return c
		}},
	} {
		b.Run(test.name, func(b *testing.B) {
			d := newDatabase(b, build(b, benchSQL))
			s := d.Database.Store(d.plan)
			defer s.Close()
			snapshot, err := s.Open(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			seq := snapshot.Seq
			steps := map[string]time.Duration{}
			commit := func(c engine.Commit) {
				seq++
				c.Seq, c.At = seq, time.Unix(seq, 0)
				stats, err := s.Commit(b.Context(), &c)
				if err != nil {
					b.Fatal(err)
				}
				for _, step := range stats.Steps {
					steps[step.Step] += step.Duration
				}
			}
			all := make([]int64, keys)
			for i := range all {
				all[i] = int64(i)
			}
			commit(change(all, 1, true))
			clear(steps)
			var n int64
			for b.Loop() {
				b.StopTimer()
				c := test.make(seq)
				b.StartTimer()
				commit(c)
				n += rows
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
			for name, took := range steps {
				if share := float64(took.Nanoseconds()) / float64(n); share > 50 {
					b.ReportMetric(share, fmt.Sprintf("ns/row-%s", name))
				}
			}
		})
	}
	b.Run("alone", func(b *testing.B) {
		d := newDatabase(b, build(b, benchSQL))
		conn := d.conn
		for _, sql := range []string{"CREATE TABLE alone (key int8 PRIMARY KEY, n int8, total int8, greatest int8) WITH (fillfactor = 70)",
			"INSERT INTO alone SELECT i, 1, i, 1 FROM generate_series(0, 99999) i", "CREATE TEMPORARY TABLE stage (key int8, n int8, total int8, greatest int8) ON COMMIT DELETE ROWS"} {
			if _, err := conn.Exec(b.Context(), sql); err != nil {
				b.Fatal(err)
			}
		}
		round, n := int64(1), int64(0)
		for b.Loop() {
			b.StopTimer()
			round++
			batch := benchRows(some(), round)
			b.StartTimer()
			tx, err := conn.Begin(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := copyIn(b.Context(), conn, "stage", []string{"key", "n", "total", "greatest"}, batch.N, func(w *rowWriter, i int) {
				w.row(4)
				for _, v := range batch.Cols {
					w.value(v, i)
				}
			}); err != nil {
				b.Fatal(err)
			}
			if _, err := conn.Exec(b.Context(), "INSERT INTO alone SELECT * FROM stage ON CONFLICT (key) DO UPDATE SET n = excluded.n, total = excluded.total, greatest = excluded.greatest"); err != nil {
				b.Fatal(err)
			}
			if err := tx.Commit(b.Context()); err != nil {
				b.Fatal(err)
			}
			n += rows
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
	})
}
