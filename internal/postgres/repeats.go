package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/engine"
)

var repeatColumns = []string{"pipeline", "build", "foreign_table", "partition", "seq", "sha256", "data"}

const dropRepeatsSQL = `
DELETE FROM millstream.idempotency_keys
WHERE pipeline = $1 AND build = $2 AND foreign_table = $3 AND partition = $4 AND seq = ANY ($5::int8[])`

// writeRepeats copies what partitions remember of requests with idempotency
// keys, and deletes what is no longer needed.
func (a *attempt) writeRepeats(ctx context.Context) error {
	blobs := a.commit.Repeats
	if len(blobs) == 0 {
		return nil
	}
	for i := range blobs {
		if len(blobs[i].Data) > maxStatePart {
			return fmt.Errorf("the idempotency keys of table %s partition %d take %d bytes, the limit is %d",
				a.store.plan.Topics[blobs[i].Table].Name, blobs[i].Partition, len(blobs[i].Data), maxStatePart)
		}
	}
	if err := a.copy(ctx, Schema+".idempotency_keys", repeatColumns, len(blobs), func(w *rowWriter, i int) {
		b := &blobs[i]
		w.row(len(repeatColumns))
		w.text(a.store.db.pipeline)
		w.int4(a.store.build)
		w.text(a.store.plan.Topics[b.Table].Name)
		w.int4(b.Partition)
		w.int8(b.Seq)
		sum := sha256.Sum256(b.Data)
		w.bytes(sum[:])
		w.bytes(b.Data)
	}); err != nil {
		return err
	}
	for i := range blobs {
		if b := &blobs[i]; len(b.Drop) > 0 {
			if _, err := a.session.conn.Exec(ctx, dropRepeatsSQL, a.store.db.pipeline, a.store.build, a.store.plan.Topics[b.Table].Name, b.Partition, b.Drop); err != nil {
				return err
			}
		}
	}
	return nil
}

const readRepeatsSQL = `
SELECT foreign_table, partition, seq, sha256, data FROM millstream.idempotency_keys
WHERE pipeline = $1 AND build = $2 ORDER BY foreign_table, partition, seq`

// readRepeats reads what partitions remember.
func (s *Store) readRepeats(ctx context.Context, tx pgx.Tx) ([]engine.RepeatBlob, error) {
	rows, err := tx.Query(ctx, readRepeatsSQL, s.db.pipeline, s.build)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b engine.RepeatBlob, err error) {
		var name string
		var sum []byte
		if err := row.Scan(&name, &b.Partition, &b.Seq, &sum, &b.Data); err != nil {
			return b, err
		}
		if own := sha256.Sum256(b.Data); !bytes.Equal(own[:], sum) {
			return b, fmt.Errorf("the idempotency keys of table %s partition %d of commit %d are damaged in the database: restore a backup, or rebuild the pipeline", name, b.Partition, b.Seq)
		}
		b.Table, err = s.names.topic(name)
		return b, err
	})
}
