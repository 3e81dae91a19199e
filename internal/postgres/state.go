package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/failpoint"
)

// maxStatePart guards against a part that PostgreSQL could not take: a field
// has less than 1 GiB, and the server holds it several times. The engine cuts
// at 8 MiB, but never within a group.
const maxStatePart = 256 << 20

// StateFormat is the version of the bytes in millstream.state. A database
// with another one is refused: the state has to be built anew.
const StateFormat = 1

// deltaShard is the shard of deltas, which hold all shards' changes.
const deltaShard = -1

var stateColumns = []string{"pipeline", "build", "operator", "shard", "seq", "part", "parts", "base", "sha256", "data"}

// blobKey tells which parts belong together.
type blobKey struct {
	view  engine.ViewID
	shard int
	seq   int64
	base  bool
}

func keyOf(b *engine.StateBlob) blobKey { return blobKey{b.View, b.Shard, b.Seq, b.Base} }

// writeState copies the commit's blobs, and deletes what newer bases replace.
func (a *attempt) writeState(ctx context.Context) error {
	blobs := a.commit.State
	parts := map[blobKey]int{}
	for i := range blobs {
		if len(blobs[i].Data) > maxStatePart {
			return fmt.Errorf("a part of view %s's state has %d bytes, the limit is %d", a.store.plan.Views[blobs[i].View].Name, len(blobs[i].Data), maxStatePart)
		}
		parts[keyOf(&blobs[i])]++
	}
	if len(blobs) > 0 {
		if err := a.copy(ctx, Schema+".state", stateColumns, len(blobs), func(w *rowWriter, i int) {
			a.writeBlob(w, &blobs[i], parts[keyOf(&blobs[i])])
		}); err != nil {
			return err
		}
	}
	_, err := a.session.send(ctx, a.dropState(parts))
	return err
}

func (a *attempt) writeBlob(w *rowWriter, b *engine.StateBlob, parts int) {
	w.row(len(stateColumns))
	w.text(a.store.db.pipeline)
	w.int4(a.store.build)
	w.text(a.store.plan.Views[b.View].Name)
	w.int4(int32(b.Shard))
	w.int8(b.Seq)
	w.int4(int32(b.Part))
	w.int4(int32(parts))
	w.bool(b.Base)
	sum := sha256.Sum256(b.Data)
	w.bytes(sum[:])
	w.bytes(b.Data)
}

const dropBasesSQL = `
DELETE FROM millstream.state AS s
USING unnest($3::text[], $4::int4[], $5::int8[]) AS n (operator, shard, seq)
WHERE s.pipeline = $1 AND s.build = $2 AND s.base AND s.operator = n.operator AND s.shard = n.shard AND s.seq < n.seq`

const dropDeltasSQL = `
DELETE FROM millstream.state
WHERE pipeline = $1 AND build = $2 AND operator = $3 AND shard = $4 AND NOT base AND seq < $5`

// dropState deletes bases that this commit replaces, and deltas that it says
// are in all bases.
func (a *attempt) dropState(written map[blobKey]int) []statement {
	var operators, shards, seqs = column.NewVector(column.Of(column.Text), 0), column.NewVector(column.Of(column.Int4), 0), column.NewVector(column.Of(column.Int8), 0)
	var rows []int32
	for k := range written {
		if !k.base {
			continue
		}
		i := operators.Grow()
		rows = append(rows, int32(i))
		operators.Null[i] = false
		operators.SetString(i, a.store.plan.Views[k.view].Name)
		shards.Null = append(shards.Null, false)
		shards.Int = append(shards.Int, int64(k.shard))
		seqs.Null = append(seqs.Null, false)
		seqs.Int = append(seqs.Int, k.seq)
	}
	identity := [][]byte{[]byte(a.store.db.pipeline), int4Param(a.store.build)}
	var out []statement
	if len(rows) > 0 {
		out = append(out, statement{dropBasesSQL, append(identity[:2:2],
			binaryArray(nil, operators, rows), binaryArray(nil, shards, rows), binaryArray(nil, seqs, rows))})
	}
	for view, below := range a.commit.DropState {
		if below <= a.store.droppedBelow[view] {
			continue
		}
		out = append(out, statement{dropDeltasSQL, append(identity[:2:2],
			[]byte(a.store.plan.Views[view].Name), int4Param(deltaShard), int8Param(below))})
	}
	return out
}

func int4Param(v int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func int8Param(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

const readStateSQL = `
SELECT operator, shard, seq, part, parts, base, sha256, data FROM millstream.state
WHERE pipeline = $1 AND build = $2 ORDER BY operator, seq, shard, part`

// readState gives all state, checked part by part against its sums: by view,
// seq, shard and part. What is damaged is named, and fatal.
func readState(ctx context.Context, tx pgx.Tx, pipeline string, build int32, names tableNames) ([]engine.StateBlob, error) {
	rows, err := tx.Query(ctx, readStateSQL, pipeline, build)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var blobs []engine.StateBlob
	missing := 0 // parts of the last blob that have not come yet
	for rows.Next() {
		var b engine.StateBlob
		var operator string
		var parts int
		var sum []byte
		if err := rows.Scan(&operator, &b.Shard, &b.Seq, &b.Part, &parts, &b.Base, &sum, &b.Data); err != nil {
			return nil, err
		}
		place := fmt.Sprintf("state of view %s, shard %d, seq %d, part %d of %d", operator, b.Shard, b.Seq, b.Part, parts)
		if actual := sha256.Sum256(b.Data); !bytes.Equal(actual[:], sum) {
			return nil, damaged(place + " does not match its checksum")
		}
		if missing == 0 {
			missing = parts
		}
		if b.Part != parts-missing {
			return nil, damaged("a part is missing before " + place)
		}
		missing--
		if b.View, err = names.view(operator); err != nil {
			return nil, err
		}
		blobs = append(blobs, b)
		failpoint.Hit("start.state_half_read")
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if missing > 0 {
		b := blobs[len(blobs)-1]
		return nil, damaged(fmt.Sprintf("a part is missing after part %d of view %d, shard %d, seq %d", b.Part, b.View, b.Shard, b.Seq))
	}
	sort.SliceStable(blobs, func(i, j int) bool { return blobs[i].View < blobs[j].View })
	return blobs, nil
}

func damaged(what string) error {
	return fmt.Errorf("millstream.state is damaged: %s (restore a backup, or rebuild the pipeline)", what)
}
