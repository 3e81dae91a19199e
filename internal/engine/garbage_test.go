// The race detector allocates, too.

//go:build !race

package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// skeletonSQL is a grouped view with a window, a filter, and the latest row
// of each key, over events of the usual shape.
const skeletonSQL = `
CREATE FOREIGN TABLE raw_data (
    "timestamp" timestamptz NOT NULL, type text NOT NULL, value double precision, amount numeric(12,2), attributes jsonb
) SERVER kafka OPTIONS (event_time 'timestamp', watermark '5 minutes');
CREATE MATERIALIZED VIEW processed_data AS
SELECT window_start AS "timestamp", type, avg(value) AS value, count(*) AS events
FROM tumble(raw_data, "timestamp", INTERVAL '5 minutes') GROUP BY window_start, type;
`

// furtherSQL are views that take the other ways through a worker.
const furtherSQL = skeletonSQL + `
CREATE MATERIALIZED VIEW amounts AS
SELECT date_trunc('hour', "timestamp") AS hour, attributes ->> 'region' AS region, sum(amount) AS amount, min(type) AS first, max(value) AS most,
    count(*) FILTER (WHERE value > 50) AS dear
FROM raw_data GROUP BY 1, 2;
CREATE MATERIALIZED VIEW filtered AS
SELECT "timestamp", upper(type) AS type, value * 2 AS twice FROM raw_data WHERE value > 50 AND type LIKE 'type%';
CREATE MATERIALIZED VIEW last_of_type WITH (key = 'type') AS SELECT type, value, amount FROM raw_data;
`

// bench is a worker and a partition with chunks for it.
type bench struct {
	worker *worker
	part   *partition
	floors []int64
	chunk  Chunk
	bytes  int64
}

func newBench(t testing.TB, sql string, records int) *bench {
	t.Helper()
	file, problems := sqlfile.Parse("bench.sql", sql)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	p, problems := plan.Build(file, plan.Options{})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	b := &bench{worker: newWorker(p, WallClock{}), part: &partition{greatest: none, delay: 300 * second}}
	for range p.Views {
		b.floors = append(b.floors, none)
	}
	start := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	for i := range records {
		at := start.Add(time.Duration(i%600) * time.Second) // two windows and a bit
		value := fmt.Sprintf(`{"timestamp": "%s", "type": "type_%c", "value": %d.%02d, "amount": "%d.%02d", "attributes": {"region": "r%d"}}`,
			at.Format("2006-01-02T15:04:05.000000"), 'A'+i%3, i%100, i%97, i%1000, i%100, i%7)
		b.chunk.Records = append(b.chunk.Records, Record{Offset: int64(i), Timestamp: at.UnixMicro(), Key: []byte("type"), Value: []byte(value)})
		b.bytes += int64(len(value))
	}
	b.chunk.End = -1
	return b
}

// epoch has the worker take the chunk, and empties what it made as the
// committer does after the commit.
func (b *bench) epoch() {
	for i := range b.chunk.Records {
		b.chunk.Records[i].Offset = b.part.next + int64(i)
	}
	b.chunk.Next = b.part.next + int64(len(b.chunk.Records))
	b.worker.process(b.part, &b.chunk, b.floors, nil)
	b.worker.part.reset()
}

// TestNoGarbagePerRecord holds that a worker allocates for an epoch, never
// for a record: four times the records take no more allocations.
func TestNoGarbagePerRecord(t *testing.T) {
	const (
		few, many = 1000, 4000
		// perEpoch is for what a chunk takes however long it is: counts of each
		// view, and lists of vectors.
		perEpoch = 20
		runs     = 20
	)
	for name, sql := range map[string]string{"the skeleton's view": skeletonSQL, "each way": furtherSQL} {
		t.Run(name, func(t *testing.T) {
			var allocations [2]float64
			for i, n := range []int{few, many} {
				b := newBench(t, sql, n)
				b.epoch()
				allocations[i] = testing.AllocsPerRun(runs, b.epoch)
			}
			t.Logf("%.0f allocations for %d records, %.0f for %d", allocations[0], few, allocations[1], many)
			if allocations[0] > perEpoch || allocations[1] > allocations[0] {
				t.Errorf("%.0f allocations for %d records, %.0f for %d; want at most %d, and no more for more records",
					allocations[0], few, allocations[1], many, perEpoch)
			}
		})
	}
}

// TestBenchRecordsArrive guards the test above: all records reach the views.
func TestBenchRecordsArrive(t *testing.T) {
	b := newBench(t, furtherSQL, 1000)
	b.chunk.Next = 1000
	b.worker.process(b.part, &b.chunk, b.floors, nil)
	if n := len(b.worker.part.refused) + len(b.worker.part.late); n > 0 {
		t.Fatalf("%d records are refused or late: %v", n, b.worker.part.refused)
	}
	for i, v := range b.worker.part.views {
		c := v.input(0, b.part)
		if c.Read != 1000 || c.Accepted+c.Filtered != 1000 || c.Accepted == 0 {
			t.Errorf("view %d: %+v", i, *c)
		}
	}
	if groups := b.worker.part.views[0].groups.Len(); groups != 6 {
		t.Errorf("%d groups, want 3 types in 2 windows", groups)
	}
}

// BenchmarkWorker tells how many events a second one worker takes.
func BenchmarkWorker(b *testing.B) {
	for name, sql := range map[string]string{"skeleton": skeletonSQL, "each_way": furtherSQL} {
		b.Run(name, func(b *testing.B) {
			const records = 4000
			w := newBench(b, sql, records)
			w.epoch()
			b.SetBytes(w.bytes)
			b.ReportAllocs()
			for b.Loop() {
				w.epoch()
			}
			b.ReportMetric(float64(b.N)*records/b.Elapsed().Seconds(), "events/s")
		})
	}
}
