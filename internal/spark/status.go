package spark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Status is what the application has told of itself, and what stands in the
// tables.
type Status struct {
	Pipeline    string        `json:"pipeline"`
	State       string        `json:"state"` // running, stopped, failed
	Message     string        `json:"message,omitempty"`
	Application string        `json:"application_id"`
	Version     string        `json:"spark_version"`
	Master      string        `json:"master"`
	UI          string        `json:"ui,omitempty"`
	Generation  int64         `json:"generation"`
	StartedAt   time.Time     `json:"started_at"`
	SeenAt      time.Time     `json:"seen_at"`
	Queries     []QueryStatus `json:"queries"`
}

// QueryStatus is one streaming query.
type QueryStatus struct {
	Query       string     `json:"query"`
	Batch       int64      `json:"batch"` // the last that stands in the tables, -1 for none
	CommittedAt *time.Time `json:"committed_at,omitempty"`
	Watermark   *time.Time `json:"watermark,omitempty"`
	// The rest is Spark's own progress of the last batch.
	InputRows  int64   `json:"input_rows"`
	RowsPerSec float64 `json:"processed_rows_per_second"`
	StateRows  int64   `json:"state_rows"`
	// Dropped counts rows that Spark dropped as late in its last batch.
	Dropped int64 `json:"rows_dropped_by_watermark"`
}

// ErrNoApplication tells that no Spark application has run for a pipeline.
var ErrNoApplication = errors.New("no Spark application has run for this pipeline")

const (
	statusSQL = `
SELECT generation, application_id, spark_version, master, coalesce(ui, ''), state, coalesce(message, ''), progress, started_at, seen_at
FROM millstream.spark_applications WHERE pipeline = $1`

	batchesSQL = `
SELECT DISTINCT ON (c.query) c.query, c.batch, c.committed_at, c.watermark
FROM millstream.spark_commits AS c JOIN millstream.pipelines AS p ON p.name = c.pipeline AND p.build = c.build
WHERE c.pipeline = $1 ORDER BY c.query, c.batch DESC`

	stopSQL = `UPDATE millstream.spark_applications SET stop_requested = true WHERE pipeline = $1 AND state = 'running'`

	stateSQL = `SELECT state, seen_at, extract(epoch FROM now() - seen_at)::float8 FROM millstream.spark_applications WHERE pipeline = $1`
)

// progress is what is read of Spark's own.
type progress struct {
	NumInputRows           int64   `json:"numInputRows"`
	ProcessedRowsPerSecond float64 `json:"processedRowsPerSecond"`
	StateOperators         []struct {
		NumRowsTotal              int64 `json:"numRowsTotal"`
		NumRowsDroppedByWatermark int64 `json:"numRowsDroppedByWatermark"`
	} `json:"stateOperators"`
}

// ReadStatus reads what a pipeline's application has told.
func ReadStatus(ctx context.Context, pool *pgxpool.Pool, pipeline string) (*Status, error) {
	s := &Status{Pipeline: pipeline, Queries: []QueryStatus{}}
	var told []byte
	err := pool.QueryRow(ctx, statusSQL, pipeline).Scan(&s.Generation, &s.Application, &s.Version, &s.Master, &s.UI, &s.State, &s.Message, &told, &s.StartedAt, &s.SeenAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoApplication
	}
	if err != nil {
		return nil, fmt.Errorf("status of the Spark application: %w", err)
	}
	byQuery := map[string]progress{}
	if err := json.Unmarshal(told, &byQuery); err != nil {
		return nil, fmt.Errorf("progress of the Spark application: %w", err)
	}
	rows, err := pool.Query(ctx, batchesSQL, pipeline)
	if err != nil {
		return nil, fmt.Errorf("batches of the Spark application: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (q QueryStatus, err error) {
		err = row.Scan(&q.Query, &q.Batch, &q.CommittedAt, &q.Watermark)
		return q, err
	})
	if err != nil {
		return nil, fmt.Errorf("batches of the Spark application: %w", err)
	}
	known := map[string]bool{}
	for _, q := range list {
		known[q.Query] = true
	}
	for name := range byQuery {
		if !known[name] {
			list = append(list, QueryStatus{Query: name, Batch: -1})
		}
	}
	for i := range list {
		p := byQuery[list[i].Query]
		list[i].InputRows, list[i].RowsPerSec = p.NumInputRows, p.ProcessedRowsPerSecond
		for _, o := range p.StateOperators {
			list[i].StateRows += o.NumRowsTotal
			list[i].Dropped += o.NumRowsDroppedByWatermark
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Query < list[j].Query })
	s.Queries = append(s.Queries, list...)
	return s, nil
}

const (
	// stopPoll is how often Stop looks whether the application has ended.
	stopPoll = 200 * time.Millisecond
	// silence is after what time an application that says nothing is taken for
	// dead. It notes its progress each second, and is silent only while its
	// queries end: no longer than a merge takes.
	silence = 3 * time.Minute
)

// Stop asks a pipeline's application to end and waits until it says so. One
// that was killed never will: it is an error once it was silent for long.
func Stop(ctx context.Context, pool *pgxpool.Pool, pipeline string) error {
	tag, err := pool.Exec(ctx, stopSQL, pipeline)
	if err != nil {
		return fmt.Errorf("ask the Spark application to stop: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("stop: %w, or it has ended", ErrNoApplication)
	}
	ticker := time.NewTicker(stopPoll)
	defer ticker.Stop()
	for {
		var state string
		var seen time.Time
		var silent float64 // seconds
		if err := pool.QueryRow(ctx, stateSQL, pipeline).Scan(&state, &seen, &silent); err != nil {
			return fmt.Errorf("wait for the Spark application's end: %w", err)
		}
		if state != "running" {
			return nil
		}
		if silent > silence.Seconds() {
			return fmt.Errorf("the Spark application was last heard of at %s and does not answer: it was killed, or can't reach PostgreSQL; the next submit goes on where it was, and shuts it out", seen.UTC().Format(time.RFC3339))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the Spark application was asked to stop and has not ended yet: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
