package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/failpoint"
)

// Merging of old commits. At 20 commits a second a day makes 1.7 million
// rows; merged by 256 twice, 26 remain.
const (
	// mergeWidth is how many rows become one: a level's block is as many
	// blocks of the level below.
	mergeWidth = 256
	// mergeLevels is how often a row may be merged.
	mergeLevels = 3
	// keepCommits is how many of the last commits stay as they are, for
	// people to look at.
	keepCommits = 1000
	// mergeBlocks bounds the blocks merged at one go.
	mergeBlocks = 4
)

// upkeep merges adjacent old rows of commits, every mergeWidth commits and at
// the first. What fails is left to the next time: it is not the commit's
// matter, and nothing is lost by waiting.
func (s *Store) upkeep(ctx context.Context) {
	if s.merged != 0 && s.seq-s.merged < mergeWidth {
		return
	}
	s.merged = s.seq
	if s.seq <= keepCommits {
		return
	}
	if err := s.mergeCommits(ctx); err != nil {
		s.db.log.Warn("merging old commits failed; it is tried again later", "pipeline", s.db.pipeline, "error", err)
		s.session.rollback()
	}
}

func (s *Store) mergeCommits(ctx context.Context) error {
	width := int64(1)
	for level := 1; level <= mergeLevels; level++ {
		width *= mergeWidth
		done := false
		for range mergeBlocks {
			merged, err := s.mergeBlock(ctx, level, width)
			if err != nil {
				return err
			}
			if done = !merged; done {
				break
			}
		}
		if !done {
			return nil // a level's blocks are made of merged rows only
		}
	}
	return nil
}

// commitRow is a row of commits as it is merged.
type commitRow struct {
	from, seq     int64
	generation    int64
	partitions    []partitionDoc
	views         []viewDoc
	lookups       []byte
	pinned        bool
	engineVersion string
	sealedAt      time.Time
	committedAt   time.Time
}

const (
	oldestSQL = `
SELECT min(seq) FROM millstream.commits
WHERE pipeline = $1 AND build = $2 AND level = $3 AND NOT pinned`

	blockSQL = `
SELECT seq_from, seq, generation, partitions, views, lookups, pinned, engine_version, sealed_at, committed_at
FROM millstream.commits WHERE pipeline = $1 AND build = $2 AND seq > $3 AND seq <= $4 ORDER BY seq`

	deleteRunSQL = `DELETE FROM millstream.commits WHERE pipeline = $1 AND build = $2 AND seq_from >= $3 AND seq <= $4`

	insertRunSQL = `
INSERT INTO millstream.commits (pipeline, build, seq_from, seq, generation, partitions, views, lookups, level, engine_version, sealed_at, committed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
)

// mergeBlock merges the oldest block of a level, if all of it is old enough.
// Its transaction holds the fence as a commit does.
func (s *Store) mergeBlock(ctx context.Context, level int, width int64) (merged bool, err error) {
	conn := s.session.conn
	var oldest *int64
	if err := conn.QueryRow(ctx, oldestSQL, s.db.pipeline, s.build, level-1).Scan(&oldest); err != nil || oldest == nil {
		return false, err
	}
	low := (*oldest - 1) / width * width
	high := low + width
	if high > s.seq-keepCommits {
		return false, nil
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	var generation, build int64
	if err := tx.QueryRow(ctx, lockSQL, s.db.pipeline).Scan(&generation, &build); err != nil {
		return false, err
	}
	if generation != s.generation {
		return false, engine.ErrFenced
	}
	rows, err := readBlock(ctx, tx, s.db.pipeline, s.build, low, high)
	if err != nil {
		return false, err
	}
	for _, run := range runs(rows) {
		if err := s.replaceRun(ctx, tx, run, level); err != nil {
			return false, err
		}
		failpoint.Hit("upkeep.apply")
	}
	return true, tx.Commit(ctx)
}

func readBlock(ctx context.Context, tx pgx.Tx, pipeline string, build int32, low, high int64) ([]commitRow, error) {
	rows, err := tx.Query(ctx, blockSQL, pipeline, build, low, high)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r commitRow, err error) {
		var partitions, views []byte
		if err := row.Scan(&r.from, &r.seq, &r.generation, &partitions, &views, &r.lookups, &r.pinned,
			&r.engineVersion, &r.sealedAt, &r.committedAt); err != nil {
			return r, err
		}
		if err := json.Unmarshal(partitions, &r.partitions); err != nil {
			return r, fmt.Errorf("commit %d, partitions: %w", r.seq, err)
		}
		if err := json.Unmarshal(views, &r.views); err != nil {
			return r, fmt.Errorf("commit %d, views: %w", r.seq, err)
		}
		return r, nil
	})
}

// runs cuts rows at those that are pinned, and leaves these out.
func runs(rows []commitRow) [][]commitRow {
	var out [][]commitRow
	start := 0
	for i := range rows {
		if !rows[i].pinned {
			continue
		}
		if i > start {
			out = append(out, rows[start:i])
		}
		start = i + 1
	}
	if start < len(rows) {
		out = append(out, rows[start:])
	}
	return out
}

// replaceRun puts one row in place of a run. A run of one row is raised to
// the level all the same, so that it isn't looked at again.
func (s *Store) replaceRun(ctx context.Context, tx pgx.Tx, run []commitRow, level int) error {
	m := mergeRun(run)
	if _, err := tx.Exec(ctx, deleteRunSQL, s.db.pipeline, s.build, m.from, m.seq); err != nil {
		return err
	}
	partitions, err := json.Marshal(m.partitions)
	if err != nil {
		return err
	}
	views, err := json.Marshal(m.views)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, insertRunSQL, s.db.pipeline, s.build, m.from, m.seq, m.generation, string(partitions), string(views),
		string(m.lookups), level, m.engineVersion, m.sealedAt, m.committedAt)
	return err
}

// mergeRun joins the ranges and adds the counts of adjacent commits; of what
// stands, the last word is kept.
func mergeRun(run []commitRow) commitRow {
	m := run[len(run)-1]
	m.from = run[0].from
	m.partitions, m.views = nil, nil
	type place struct {
		table     string
		partition int32
	}
	partitions, views := map[place]int{}, map[string]int{}
	for _, r := range run {
		for _, p := range r.partitions {
			key := place{p.Table, p.Partition}
			i, ok := partitions[key]
			if !ok {
				partitions[key] = len(m.partitions)
				m.partitions = append(m.partitions, p)
				continue
			}
			p.From = m.partitions[i].From
			p.Lost = append(m.partitions[i].Lost, p.Lost...)
			m.partitions[i] = p
		}
		for _, v := range r.views {
			i, ok := views[v.View]
			if !ok {
				views[v.View] = len(m.views)
				m.views = append(m.views, v)
				continue
			}
			v.RowsOut += m.views[i].RowsOut
			v.Inputs = addInputs(m.views[i].Inputs, v.Inputs)
			m.views[i] = v
		}
	}
	return m
}

// addInputs adds the counts of b to those of a, input by input.
func addInputs(a, b []inputDoc) []inputDoc {
	type place struct {
		source    int
		table     string
		partition int32
	}
	sum := append([]inputDoc{}, a...)
	at := map[place]int{}
	for i, in := range sum {
		at[place{in.Source, in.Table, in.Partition}] = i
	}
	for _, in := range b {
		key := place{in.Source, in.Table, in.Partition}
		i, ok := at[key]
		if !ok {
			at[key] = len(sum)
			sum = append(sum, in)
			continue
		}
		t := &sum[i]
		t.Read += in.Read
		t.Accepted += in.Accepted
		t.Filtered += in.Filtered
		t.Late += in.Late
		t.Quarantined += in.Quarantined
		t.Skipped += in.Skipped
	}
	return sum
}
