package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
)

const (
	clearCorrectedSQL = `
DELETE FROM millstream.closed_windows
WHERE pipeline = $1 AND build = $2 AND operator = $3 AND window_end = $4 AND window_start = $5 AND shard = ANY ($6)`

	resizeCorrectedSQL = `
UPDATE millstream.closed_windows SET window_groups = $6
WHERE pipeline = $1 AND build = $2 AND operator = $3 AND window_end = $4 AND window_start = $5 AND window_groups <> $6`
)

// clearCorrected takes away what is kept of the shards of closed windows that
// replays have changed, and gives what takes its place.
func (a *attempt) clearCorrected(ctx context.Context) ([]engine.ClosedBlob, error) {
	var blobs []engine.ClosedBlob
	for _, w := range a.commit.Corrected {
		shards := make([]int32, len(w.Shards))
		for i, shard := range w.Shards {
			shards[i] = int32(shard)
		}
		s := a.store
		key := []any{s.db.pipeline, s.build, s.plan.Views[w.View].Name, binaryTime(w.End), binaryTime(w.Start)}
		if _, err := a.session.conn.Exec(ctx, clearCorrectedSQL, append(key, shards)...); err != nil {
			return nil, err
		}
		if _, err := a.session.conn.Exec(ctx, resizeCorrectedSQL, append(key, w.WindowGroups)...); err != nil {
			return nil, err
		}
		blobs = append(blobs, w.Blobs...)
	}
	return blobs, nil
}

const (
	keptGroupsSQL = `
SELECT coalesce(sum(groups), 0)::int8, coalesce(max(window_groups), 0) FROM millstream.closed_windows AS c JOIN millstream.pipelines AS p ON p.name = c.pipeline AND p.build = c.build
WHERE c.pipeline = $1 AND c.operator = $2 AND c.window_end = $3 AND c.window_start = $4`

	keptBlobsSQL = `
SELECT c.shard, c.part, c.groups, c.window_groups, c.sha256, c.data FROM millstream.closed_windows AS c JOIN millstream.pipelines AS p ON p.name = c.pipeline AND p.build = c.build
WHERE c.pipeline = $1 AND c.operator = $2 AND c.window_end = $3 AND c.window_start = $4 AND (c.shard < 0 OR c.shard = ANY ($5)) ORDER BY c.shard, c.part`
)

// KeptWindow gives what is kept of a closed window.
func (s *Replays) KeptWindow(ctx context.Context, view engine.ViewID, start, end int64, shards []int) (kept engine.KeptWindow, err error) {
	name := s.plan.Views[view].Name
	key := []any{s.db.pipeline, name, binaryTime(end), binaryTime(start)}
	if err := s.db.pool.QueryRow(ctx, keptGroupsSQL, key...).Scan(&kept.Groups, &kept.WindowGroups); err != nil {
		return kept, err
	}
	wanted := make([]int32, len(shards))
	for i, shard := range shards {
		wanted[i] = int32(shard)
	}
	rows, err := s.db.pool.Query(ctx, keptBlobsSQL, append(key, wanted)...)
	if err != nil {
		return kept, err
	}
	defer rows.Close()
	for rows.Next() {
		b := engine.ClosedBlob{View: view, Start: start, End: end}
		var sum []byte
		if err := rows.Scan(&b.Shard, &b.Part, &b.Groups, &b.WindowGroups, &sum, &b.Data); err != nil {
			return kept, err
		}
		if got := sha256.Sum256(b.Data); string(got[:]) != string(sum) {
			return kept, fmt.Errorf("%w: the checksum of shard %d part %d is wrong", engine.ErrDamaged, b.Shard, b.Part)
		}
		kept.Blobs = append(kept.Blobs, b)
	}
	return kept, rows.Err()
}

// binaryTime is a stored time as a parameter.
func binaryTime(stored int64) any {
	t := storableTime(stored)
	switch t {
	case column.NegativeInfinity:
		return "-infinity"
	case column.Infinity:
		return "infinity"
	}
	return time.UnixMicro(t - column.UnixEpochMicros).UTC()
}
