package contender

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// fewRows is up to where rows travel as arrays in one round trip with the
// positions; more go by binary COPY.
const fewRows = 2000

// microsBefore2000 is PostgreSQL's epoch in Unix microseconds.
const microsBefore2000 = 946_684_800_000_000

// positionsSQL moves the positions, and divides by zero if another program
// has: two that run at once don't both commit.
const positionsSQL = `WITH moved AS (
    UPDATE limit_positions AS p SET next = m.next FROM unnest($1::int[], $2::int8[], $3::int8[]) AS m (partition, before, next)
    WHERE p.partition = m.partition AND p.next = m.before RETURNING 1
) SELECT 1 / (count(*) = $4)::int FROM moved`

// positions gives where to begin.
func positions(ctx context.Context, db *pgx.Conn, partitions int) ([]int64, error) {
	_, err := db.Exec(ctx, "CREATE TABLE IF NOT EXISTS limit_positions (partition int PRIMARY KEY, next int8 NOT NULL)")
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(ctx, "INSERT INTO limit_positions SELECT p, 0 FROM generate_series(0, $1::int - 1) AS p ON CONFLICT DO NOTHING", partitions)
	if err != nil {
		return nil, err
	}
	rows, err := db.Query(ctx, "SELECT next FROM limit_positions ORDER BY partition")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// writer makes one transaction after the other.
type writer struct {
	db    *pgx.Conn
	ctx   context.Context // of the open transaction
	batch *pgx.Batch
	open  bool // BEGIN was sent
	buf   bytes.Buffer
	row   []byte
	temp  map[string]bool // temporary tables that are there
}

func (w *writer) begin(ctx context.Context, moved map[int32][2]int64) error {
	w.ctx, w.batch, w.open = ctx, &pgx.Batch{}, false
	var partitions []int32
	var before, next []int64
	for p, m := range moved {
		partitions, before, next = append(partitions, p), append(before, m[0]), append(next, m[1])
	}
	w.batch.Queue(positionsSQL, partitions, before, next, len(moved))
	return nil
}

// commit sends what is queued: without more, it is a transaction of its own.
func (w *writer) commit() error {
	if w.open {
		w.batch.Queue("COMMIT")
	}
	return w.db.SendBatch(w.ctx, w.batch).Close()
}

// few queues a statement over arrays.
func (w *writer) few(sql string, arrays ...any) { w.batch.Queue(sql, arrays...) }

// copyRows writes rows by binary COPY. each appends a row's fields.
func (w *writer) copyRows(table string, columns int, rows []*counter, each func(w *writer, c *counter)) error {
	if len(rows) == 0 {
		return nil
	}
	if !w.open {
		if _, err := w.db.Exec(w.ctx, "BEGIN"); err != nil {
			return err
		}
		w.open = true
	}
	w.buf.Reset()
	w.buf.WriteString("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, c := range rows {
		w.row = binary.BigEndian.AppendUint16(w.row[:0], uint16(columns))
		each(w, c)
		w.buf.Write(w.row)
	}
	w.buf.WriteString("\xff\xff")
	_, err := w.db.PgConn().CopyFrom(w.ctx, &w.buf, "COPY "+table+" FROM STDIN BINARY")
	if err != nil {
		return fmt.Errorf("copy into %s: %w", table, err)
	}
	return nil
}

// upsert writes many rows: new ones straight into the table, since the program
// knows which are there, others by an update from a temporary table.
func (w *writer) upsert(table, update string, columns int, rows []*counter, each func(w *writer, c *counter)) error {
	var fresh, old []*counter
	for _, c := range rows {
		if c.written {
			old = append(old, c)
		} else {
			fresh = append(fresh, c)
		}
	}
	if err := w.copyRows(table, columns, fresh, each); err != nil || len(old) == 0 {
		return err
	}
	staging := table + "_staging"
	if !w.temp[staging] {
		if _, err := w.db.Exec(w.ctx, "CREATE TEMPORARY TABLE "+staging+" ON COMMIT DELETE ROWS AS SELECT * FROM "+table+" LIMIT 0"); err != nil {
			return err
		}
		// It goes if the transaction fails, and the program with it.
		w.temp = map[string]bool{staging: true}
	}
	if err := w.copyRows(staging, columns, old, each); err != nil {
		return err
	}
	w.batch.Queue(update)
	return nil
}

func (w *writer) text(s string) {
	w.row = binary.BigEndian.AppendUint32(w.row, uint32(len(s)))
	w.row = append(w.row, s...)
}

func (w *writer) int8(v int64) {
	w.row = append(w.row, 0, 0, 0, 8)
	w.row = binary.BigEndian.AppendUint64(w.row, uint64(v))
}

func (w *writer) int4(v int32) {
	w.row = append(w.row, 0, 0, 0, 4)
	w.row = binary.BigEndian.AppendUint32(w.row, uint32(v))
}

// milli writes Unix milliseconds as a timestamptz.
func (w *writer) milli(v int64) { w.int8(v*1000 - microsBefore2000) }
