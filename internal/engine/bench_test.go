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

// wideSQL are windows that overlap, and the aggregates that keep more than a
// number.
const wideSQL = skeletonSQL + `
CREATE MATERIALIZED VIEW moving AS
SELECT window_start, type, stddev(value) AS sd, var_pop(amount) AS v, first_value(type) AS first, last_value(attributes) AS last, bit_xor(length(type)) AS bits,
    count(DISTINCT value) AS values, sum(DISTINCT amount) AS amounts,
    string_agg(type, ',' ORDER BY value DESC) AS list, jsonb_agg(attributes) AS docs, percentile_cont(0.9) WITHIN GROUP (ORDER BY value) AS p90, mode() WITHIN GROUP (ORDER BY amount) AS usual,
    approx_count_distinct(value) AS about, approx_percentile(value, 0.9) AS near
FROM hop(raw_data, "timestamp", INTERVAL '10 seconds', INTERVAL '1 minute') GROUP BY window_start, type;
CREATE MATERIALIZED VIEW types WITH (max_groups = 10) AS SELECT DISTINCT type FROM raw_data;
`

// bench is a worker and a partition with chunks for it.
type bench struct {
	plan   *plan.Pipeline
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
	b := &bench{plan: p, worker: newWorker(p, WallClock{}), part: &partition{greatest: none, delay: 300 * second}}
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
