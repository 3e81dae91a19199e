package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millstream-dev/millstream/internal/engine"
)

var closedColumns = []string{"pipeline", "build", "operator", "window_start", "window_end", "shard", "part", "groups", "window_groups", "seq", "sha256", "data"}

const forgetClosedSQL = `
DELETE FROM millstream.closed_windows
WHERE pipeline = $1 AND build = $2 AND operator = $3 AND (window_end, window_start) <= ($4::timestamptz, $5::timestamptz)`

// writeClosed copies what is kept of the windows that the commit closes, and
// deletes what goes for it.
func (a *attempt) writeClosed(ctx context.Context) error {
	blobs := a.commit.Closed
	corrected, err := a.clearCorrected(ctx)
	if err != nil {
		return err
	}
	blobs = append(corrected, blobs...)
	for i := range blobs {
		if len(blobs[i].Data) > maxStatePart {
			return fmt.Errorf("a part of a closed window of view %s has %d bytes, the limit is %d", a.store.plan.Views[blobs[i].View].Name, len(blobs[i].Data), maxStatePart)
		}
	}
	if len(blobs) > 0 {
		if err := a.copy(ctx, Schema+".closed_windows", closedColumns, len(blobs), func(w *rowWriter, i int) { a.writeClosedBlob(w, &blobs[i]) }); err != nil {
			return err
		}
	}
	var forget []statement
	for view, place := range a.commit.Forget {
		forget = append(forget, statement{forgetClosedSQL, [][]byte{[]byte(a.store.db.pipeline), int4Param(a.store.build), []byte(a.store.plan.Views[view].Name),
			int8Param(storableTime(place.End)), int8Param(storableTime(place.Start))}})
	}
	_, err = a.session.send(ctx, forget)
	return err
}

func (a *attempt) writeClosedBlob(w *rowWriter, b *engine.ClosedBlob) {
	w.row(len(closedColumns))
	w.text(a.store.db.pipeline)
	w.int4(a.store.build)
	w.text(a.store.plan.Views[b.View].Name)
	w.int8(storableTime(b.Start))
	w.int8(storableTime(b.End))
	w.int4(int32(b.Shard))
	w.int8(b.Part)
	w.int8(b.Groups)
	w.int8(b.WindowGroups)
	w.int8(a.commit.Seq)
	sum := sha256.Sum256(b.Data)
	w.bytes(sum[:])
	w.bytes(b.Data)
}

// The length of a value that lies outside of its row is read without it.
const readClosedSQL = `
SELECT operator, window_start, window_end, sum(groups)::int8, count(*), sum(octet_length(data))::int8
FROM millstream.closed_windows WHERE pipeline = $1 AND build = $2
GROUP BY operator, window_end, window_start ORDER BY operator, window_end, window_start`

// readClosed tells which closed windows are kept, by view, end and start.
func (s *Store) readClosed(ctx context.Context, tx pgx.Tx) ([]engine.ClosedWindow, error) {
	rows, err := tx.Query(ctx, readClosedSQL, s.db.pipeline, s.build)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (w engine.ClosedWindow, err error) {
		var name string
		var start, end pgtype.Timestamptz
		if err := row.Scan(&name, &start, &end, &w.Groups, &w.Blobs, &w.Bytes); err != nil {
			return w, err
		}
		w.Start, w.End = stored(start), stored(end)
		w.View, err = s.names.view(name)
		return w, err
	})
}
