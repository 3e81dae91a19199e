package contender

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/bench/workload"
)

const (
	stageSQL    = "CREATE TEMPORARY TABLE stage (key int8, n int8, total int8, greatest int4) ON COMMIT DELETE ROWS"
	mergeRowSQL = `INSERT INTO totals SELECT * FROM stage
ON CONFLICT (key) DO UPDATE SET n = excluded.n, total = excluded.total, greatest = excluded.greatest`
)

// runUpserts writes the rows of each epoch, as they stand after it. Rows are
// made while nothing is timed.
func runUpserts(ctx context.Context, c Config, say tell) error {
	if c.Updates == nil || len(c.Cuts) == 0 {
		return errors.New("upserts need a workload of updates and cuts")
	}
	db, err := pgx.Connect(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	for _, sql := range []string{updatesTable, stageSQL} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return err
		}
	}
	epochs, err := makeEpochs(c.Updates, c.Cuts)
	if err != nil {
		return err
	}
	runtime.GC()
	w := writer{db: db}
	var rows int64
	for i, e := range epochs {
		if err := w.epoch(ctx, e); err != nil {
			return err
		}
		rows += int64(len(e))
		if err := say(c.Cuts[i], rows); err != nil {
			return err
		}
	}
	return nil
}

// epoch commits rows.
func (w *writer) epoch(ctx context.Context, rows []counter) error {
	w.ctx, w.batch, w.open = ctx, &pgx.Batch{}, false
	changed := make([]*counter, len(rows))
	for i := range rows {
		changed[i] = &rows[i]
	}
	if len(rows) <= fewRows {
		if err := (&updatesQuery{}).write(w, changed); err != nil {
			return err
		}
		return w.commit()
	}
	err := w.copyRows("stage", 4, changed, func(w *writer, c *counter) {
		w.int8(int64(c.realKey()))
		w.int8(c.n)
		w.int8(c.sum)
		w.int4(int32(c.max))
	})
	if err != nil {
		return err
	}
	w.batch.Queue(mergeRowSQL)
	return w.commit()
}

// makeEpochs gives the rows that change in each epoch, in key order.
func makeEpochs(u *workload.Updates, cuts []int64) ([][]counter, error) {
	state := make([]workload.UpdateRow, u.Keys)
	touched := make([]int32, u.Keys) // the epoch that last changed a key, from 1
	epochs := make([][]counter, 0, len(cuts))
	from := int64(0)
	for n, to := range cuts {
		if to < from {
			return nil, fmt.Errorf("cut %d is at %d, before %d", n, to, from)
		}
		var keys []int64
		for i := from; i < to; i++ {
			key, value := u.Event(i)
			state[key].Add(value)
			if touched[key] != int32(n+1) {
				touched[key] = int32(n + 1)
				keys = append(keys, key)
			}
		}
		slices.SortFunc(keys, cmp.Compare[int64])
		rows := make([]counter, len(keys))
		for i, key := range keys {
			r := state[key]
			rows[i] = counter{key: uint64(key), n: r.N, sum: r.Total, max: int64(r.Greatest)}
		}
		epochs = append(epochs, rows)
		from = to
	}
	return epochs, nil
}
