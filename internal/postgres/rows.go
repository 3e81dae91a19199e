package postgres

import (
	"context"
	"fmt"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/plan"
)

// fewRows is up to how many rows are sent as arrays in one statement. More
// are copied: the parser would hold the arrays several times, and COPY is
// quicker from about here on.
const fewRows = 500

func rowCount(b *column.Batch) int {
	if b == nil {
		return 0
	}
	return b.N
}

// route is how the upserted rows of one change get into their table. Many
// rows that can't meet one of their key are copied into it, which costs
// PostgreSQL half of what an upsert does; the others are merged, many by way
// of a temporary table.
type route struct {
	direct []int32 // copied into the table, in order
	merged []int32 // merged with the rows that stand there
}

// route chooses. With merge set every row is merged.
func (t *table) route(change *engine.TableChange, merge bool) (r route) {
	n := rowCount(change.Upserts)
	fresh := 0
	for _, yes := range change.New {
		if yes {
			fresh++
		}
	}
	copied := t.view.Mode == plan.Append || fresh > fewRows && !merge
	for i := range int32(n) {
		if copied && (t.view.Mode == plan.Append || change.New[i]) {
			r.direct = append(r.direct, i)
		} else {
			r.merged = append(r.merged, i)
		}
	}
	return r
}

// makeTemporaries makes the temporary tables that this commit needs and the
// session lacks. It is done outside of the transaction: what a transaction
// makes goes with it when it is rolled back.
func (a *attempt) makeTemporaries(ctx context.Context) error {
	for i := range a.commit.Tables {
		change := &a.commit.Tables[i]
		t := a.store.tables[change.View]
		name := t.temporary()
		if len(t.route(change, a.merge).merged) <= fewRows || a.session.made[name] {
			continue
		}
		columns := make([]string, len(t.columns))
		for j, c := range t.columns {
			columns[j] = quote(c.Name) + " " + c.Type.String()
		}
		sql := "CREATE TEMPORARY TABLE " + name + " (" + join(columns) + ") ON COMMIT DELETE ROWS"
		if _, err := a.session.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("temporary table for view %s: %w", t.view.Name, err)
		}
		a.session.made[name] = true
	}
	return nil
}

// writeRows brings the views' tables to the state after this commit: rows
// upserted, keys deleted, old rows expired. Statements with few rows go
// together in one round trip.
func (a *attempt) writeRows(ctx context.Context) error {
	var few []statement
	expiries := map[int]*engine.TableChange{} // by index of few
	for i := range a.commit.Tables {
		change := &a.commit.Tables[i]
		t := a.store.tables[change.View]
		if rowCount(change.Upserts) > 0 {
			if err := t.checkBatch(change.Upserts, len(t.columns)); err != nil {
				return err
			}
			r := t.route(change, a.merge)
			if len(r.direct) > 0 {
				a.direct = a.direct || t.view.Mode == plan.Grouped
				if err := a.copyRows(ctx, t, t.name(), change.Upserts, r.direct); err != nil {
					return err
				}
			}
			switch n := len(r.merged); {
			case n > fewRows:
				if err := a.copyRows(ctx, t, t.temporary(), change.Upserts, r.merged); err != nil {
					return err
				}
				few = append(few, statement{t.insertCopied(), nil})
			case n > 0:
				few = append(few, a.arrays(t, change.Upserts, r.merged))
			}
		}
		if rowCount(change.Deletes) > 0 {
			if err := t.checkBatch(change.Deletes, len(t.key)); err != nil {
				return err
			}
			few = append(few, a.deletes(t, change.Deletes)...)
		}
		if change.ExpireBefore != column.NegativeInfinity {
			failpoint.Hit("upkeep.expiry")
			st, some, err := expire(t, change)
			if err != nil {
				return err
			}
			if some {
				expiries[len(few)] = change
				few = append(few, st)
			}
		}
	}
	failpoint.Hit("commit.mid_copy")
	results, err := a.session.send(ctx, few)
	if err != nil {
		return err
	}
	a.stats.Expiring, a.stats.Expired = nil, nil
	for i := range few {
		change := expiries[i]
		if change == nil {
			continue
		}
		n := results[i].CommandTag.RowsAffected()
		if n > 0 {
			a.stats.Expired = append(a.stats.Expired, change.View)
		}
		if n >= change.ExpireLimit {
			a.stats.Expiring = append(a.stats.Expiring, change.View)
		}
	}
	return nil
}

// checkBatch guards against a batch that isn't laid out as the table is.
func (t *table) checkBatch(b *column.Batch, columns int) error {
	if len(b.Cols) != columns {
		return fmt.Errorf("view %s: a batch of %d columns for %d (a bug in Millstream)", t.view.Name, len(b.Cols), columns)
	}
	return nil
}

func (a *attempt) copyRows(ctx context.Context, t *table, into string, b *column.Batch, rows []int32) error {
	return a.copy(ctx, into, t.names(), len(rows), func(w *rowWriter, i int) {
		w.row(len(b.Cols))
		for _, v := range b.Cols {
			w.value(v, int(rows[i]))
		}
	})
}

func (a *attempt) arrays(t *table, b *column.Batch, rows []int32) statement {
	st := statement{sql: t.insertArrays()}
	for _, v := range b.Cols {
		st.params = append(st.params, binaryArray(nil, v, rows))
	}
	a.count(st)
	return st
}

// deletes gives one statement for each pattern of nulls among the keys.
func (a *attempt) deletes(t *table, b *column.Batch) []statement {
	patterns := map[uint64][]int32{}
	var order []uint64 // deterministic: by first occurrence
	for i := range b.N {
		var nulls uint64
		for j, v := range b.Cols {
			if v.Null[i] {
				nulls |= 1 << j
			}
		}
		if patterns[nulls] == nil {
			order = append(order, nulls)
		}
		patterns[nulls] = append(patterns[nulls], int32(i))
	}
	var out []statement
	for _, nulls := range order {
		st := statement{sql: t.deleteArrays(nulls)}
		for j, v := range b.Cols {
			if nulls&(1<<j) == 0 {
				st.params = append(st.params, binaryArray(nil, v, patterns[nulls]))
			}
		}
		a.count(st)
		out = append(out, st)
	}
	return out
}

func (a *attempt) count(st statement) {
	for _, p := range st.params {
		a.stats.Bytes += int64(len(p))
	}
}

// expire deletes the oldest rows before a stored timestamp. A date is before it
// when its midnight is. Nothing is before all times.
func expire(t *table, change *engine.TableChange) (st statement, some bool, err error) {
	c := t.expiryColumn()
	if c < 0 {
		return statement{}, false, fmt.Errorf("view %s has no event time column to expire by (a bug in Millstream)", t.view.Name)
	}
	before := storableTime(change.ExpireBefore)
	if before == column.NegativeInfinity {
		return statement{}, false, nil
	}
	if t.columns[c].Type.Kind == column.Date {
		const day = 24 * 60 * 60 * 1_000_000
		days := before / day
		if before%day > 0 {
			days++
		}
		return statement{t.expire(), [][]byte{int4Param(int32(days)), int8Param(change.ExpireLimit)}}, true, nil
	}
	return statement{t.expire(), [][]byte{int8Param(before), int8Param(change.ExpireLimit)}}, true, nil
}
