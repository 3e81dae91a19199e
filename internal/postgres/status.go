package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Status is where a pipeline stands as of its last commit.
type Status struct {
	Pipeline      string
	ClusterID     string
	Schema        string // of its tables
	Hash          string // of its definition
	Generation    int64
	Build         int32
	Seq           int64     // of the last commit, 0 before the first
	SealedAt      time.Time // of the last commit: the engine's clock; zero before the first
	CommittedAt   time.Time // and the server's
	EngineVersion string    // that made the last commit
	Partitions    []PartitionStatus
	Views         []ViewStatus
	Ledgers       LedgerStatus
	StateBytes    int64
}

// PartitionStatus is a foreign table's position in a partition.
type PartitionStatus struct {
	Table, Server, Topic string
	Partition            int32
	Next                 int64              // the next offset to read
	Watermark            pgtype.Timestamptz // the partition's own; -infinity while there is none
	IdleSince            *time.Time         // nil: not idle
	ReadAt, GreatestAt   *time.Time         // when the last record, and the one with the greatest event time, was read; nil: none was
}

// ViewStatus is where a view stands, and what has become of all its records
// since the build began.
type ViewStatus struct {
	View                          string
	Watermark, Floor, FinalBefore pgtype.Timestamptz // -infinity while there is none
	FinalStart                    pgtype.Timestamptz // rows of windows that start before it are final
	OpenWindows, OpenGroups       int64
	RowsOut                       int64
	Inputs                        []InputStatus
}

// InputStatus are the sums of one branch's counts over all partitions.
type InputStatus struct {
	Source                                               int
	Table                                                string
	Read, Accepted, Filtered, Late, Quarantined, Skipped int64
}

// LedgerStatus are the numbers of rows in the ledgers.
type LedgerStatus struct{ Quarantine, LateRows, GroupErrors, ReplaysRequested int64 }

const (
	statusSQL = `
SELECT p.cluster_id, p.target_schema, p.definition_hash, p.generation, p.build,
       coalesce(c.seq, 0), c.sealed_at, c.committed_at, coalesce(c.engine_version, '')
FROM millstream.pipelines AS p
LEFT JOIN LATERAL (SELECT * FROM millstream.commits WHERE pipeline = p.name AND build = p.build ORDER BY seq DESC LIMIT 1) AS c ON true
WHERE p.name = $1`

	statusPartitionsSQL = `
SELECT DISTINCT ON (foreign_table, partition) foreign_table, server, topic, partition, offset_to, watermark, idle_since, read_at, greatest_at
FROM millstream.commit_partitions WHERE pipeline = $1 AND build = $2
ORDER BY foreign_table, partition, seq DESC`

	statusViewsSQL = `
SELECT v.view_name, v.watermark, v.floor, v.final_before, v.final_start, v.open_windows, v.open_groups,
       (SELECT sum(a.rows_out)::int8 FROM millstream.commit_views AS a WHERE a.pipeline = $1 AND a.build = $2 AND a.view_name = v.view_name)
FROM millstream.commit_views AS v WHERE v.pipeline = $1 AND v.build = $2 AND v.seq = $3 ORDER BY v.view_name`

	statusInputsSQL = `
SELECT view_name, source, foreign_table, sum(read)::int8, sum(accepted)::int8, sum(filtered)::int8, sum(late)::int8, sum(quarantined)::int8, sum(skipped)::int8
FROM millstream.commit_inputs WHERE pipeline = $1 AND build = $2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`

	statusLedgersSQL = `
SELECT (SELECT count(*) FROM millstream.quarantine WHERE pipeline = $1 AND build = $2),
       (SELECT count(*) FROM millstream.late_rows WHERE pipeline = $1 AND build = $2),
       (SELECT count(*) FROM millstream.group_errors WHERE pipeline = $1 AND build = $2),
       (SELECT count(*) FROM millstream.replays WHERE pipeline = $1 AND state = 'requested'),
       (SELECT coalesce(sum(octet_length(data)), 0)::int8 FROM millstream.state WHERE pipeline = $1 AND build = $2)`
)

// ErrNoPipeline tells that the database does not know the pipeline.
var ErrNoPipeline = errors.New("the database does not know this pipeline")

// Beginner is a pool or a connection.
type Beginner interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// ReadStatus reads a pipeline's status from one snapshot. It sums the counts
// of all commits, which takes milliseconds for each thousand of them: merging
// keeps their number low.
func ReadStatus(ctx context.Context, db Beginner, pipeline string) (*Status, error) {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("status of pipeline %q: %w", pipeline, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	s := &Status{Pipeline: pipeline}
	if err := s.read(ctx, tx); err != nil {
		return nil, fmt.Errorf("status of pipeline %q: %w", pipeline, err)
	}
	return s, nil
}

func (s *Status) read(ctx context.Context, tx pgx.Tx) error {
	var sealed, committed *time.Time
	err := tx.QueryRow(ctx, statusSQL, s.Pipeline).Scan(&s.ClusterID, &s.Schema, &s.Hash, &s.Generation, &s.Build,
		&s.Seq, &sealed, &committed, &s.EngineVersion)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNoPipeline
	case err != nil:
		return err
	}
	if sealed != nil {
		s.SealedAt, s.CommittedAt = *sealed, *committed
	}
	rows, err := tx.Query(ctx, statusPartitionsSQL, s.Pipeline, s.Build)
	if err != nil {
		return err
	}
	s.Partitions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p PartitionStatus, err error) {
		err = row.Scan(&p.Table, &p.Server, &p.Topic, &p.Partition, &p.Next, &p.Watermark, &p.IdleSince, &p.ReadAt, &p.GreatestAt)
		return p, err
	})
	if err != nil {
		return err
	}
	if err := s.readViews(ctx, tx); err != nil {
		return err
	}
	l := &s.Ledgers
	return tx.QueryRow(ctx, statusLedgersSQL, s.Pipeline, s.Build).Scan(&l.Quarantine, &l.LateRows, &l.GroupErrors, &l.ReplaysRequested, &s.StateBytes)
}

func (s *Status) readViews(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, statusViewsSQL, s.Pipeline, s.Build, s.Seq)
	if err != nil {
		return err
	}
	s.Views, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (v ViewStatus, err error) {
		err = row.Scan(&v.View, &v.Watermark, &v.Floor, &v.FinalBefore, &v.FinalStart, &v.OpenWindows, &v.OpenGroups, &v.RowsOut)
		return v, err
	})
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i, v := range s.Views {
		at[v.View] = i
	}
	if rows, err = tx.Query(ctx, statusInputsSQL, s.Pipeline, s.Build); err != nil {
		return err
	}
	var view string
	var in InputStatus
	_, err = pgx.ForEachRow(rows, []any{&view, &in.Source, &in.Table, &in.Read, &in.Accepted, &in.Filtered, &in.Late, &in.Quarantined, &in.Skipped}, func() error {
		if i, ok := at[view]; ok {
			s.Views[i].Inputs = append(s.Views[i].Inputs, in)
		}
		return nil
	})
	return err
}
