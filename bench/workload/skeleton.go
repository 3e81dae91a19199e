package workload

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// SkeletonStep is the event time of one of the skeleton's events in catch-up
// mode: some forty thousand fall into a window.
const SkeletonStep = 7 * time.Millisecond

const (
	skeletonWindow = 5 * time.Minute
	// closeEnough bounds the relative error of an average of floats: programs
	// add them in different orders.
	closeEnough = 1e-9
)

var skeletonTypes = [...]string{"type_A", "type_B", "type_C"}

// Skeleton is the job that everybody writes first: the average of a value per
// type and five minutes.
type Skeleton struct {
	Seed  uint64
	Clock Clock
}

// Name is the workload's.
func (s *Skeleton) Name() string { return "S" }

// Kind is the query.
func (s *Skeleton) Kind() string { return "S" }

// Table is the result's.
func (s *Skeleton) Table() string { return "processed_data" }

// event gives the type and the value, in hundredths, of event i.
func (s *Skeleton) event(i int64) (kind, hundredths int64) {
	return below(draw(s.Seed, i, 1), int64(len(skeletonTypes))), below(draw(s.Seed, i, 2), 10000)
}

// Append appends event i.
func (s *Skeleton) Append(dst []byte, i int64) []byte {
	kind, value := s.event(i)
	dst = append(dst, `{"timestamp":"`...)
	dst = appendTime(dst, s.Clock.At(i))
	dst = append(dst, `","type":"`...)
	dst = append(dst, skeletonTypes[kind]...)
	dst = append(dst, `","value":`...)
	dst = strconv.AppendInt(dst, value/100, 10)
	dst = append(dst, '.', byte('0'+value/10%10), byte('0'+value%10))
	return append(dst, '}')
}

// Setup needs nothing.
func (s *Skeleton) Setup(context.Context, *pgx.Conn) error { return nil }

// Pipeline is the product's.
func (s *Skeleton) Pipeline(topic string) string {
	return fmt.Sprintf(`CREATE FOREIGN TABLE raw_data (
    "timestamp" timestamptz      NOT NULL,
    type        text             NOT NULL,
    value       double precision
) SERVER kafka OPTIONS (topic '%s', format 'json', event_time 'timestamp', watermark '5 minutes');

CREATE MATERIALIZED VIEW processed_data AS
SELECT window_start AS "timestamp", type, avg(value) AS value, count(*) AS events
FROM tumble(raw_data, "timestamp", INTERVAL '5 minutes')
GROUP BY window_start, type;
`, topic)
}

// Check compares the table.
func (s *Skeleton) Check(ctx context.Context, db *pgx.Conn, n int64) error {
	type key struct {
		window int64
		kind   string
	}
	type row struct{ n, sum int64 }
	want := map[key]row{}
	window := skeletonWindow.Milliseconds()
	for i := range n {
		kind, value := s.event(i)
		k := key{s.Clock.At(i) / window, skeletonTypes[kind]}
		r := want[k]
		want[k] = row{r.n + 1, r.sum + value}
	}
	rows, err := db.Query(ctx, `SELECT (extract(epoch FROM "timestamp") * 1000)::int8, type, value, events FROM processed_data`)
	if err != nil {
		return err
	}
	var d differences
	var seen, start, events int64
	var kind string
	var average float64
	_, err = pgx.ForEachRow(rows, []any{&start, &kind, &average, &events}, func() error {
		seen++
		w := want[key{start / window, kind}]
		exact := float64(w.sum) / 100 / float64(w.n)
		if w.n != events || math.Abs(average-exact) > closeEnough*math.Abs(exact) {
			d.add("%s at %d: has %v of %d, must have %v of %d", kind, start, average, events, exact, w.n)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the table: %w", err)
	}
	if seen != int64(len(want)) {
		d.add("%d rows, must be %d", seen, len(want))
	}
	return d.err(s.Table())
}
