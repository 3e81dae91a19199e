package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/failpoint"
)

// copySignature opens PostgreSQL's binary COPY format: its name, no flags, no
// extension.
const copySignature = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// copyPiece is how many bytes of encoded rows are gathered before they are
// handed to the connection, which reads up to 64 KiB at a time.
const copyPiece = 256 << 10

// rowWriter appends fields of rows in COPY's binary format. Each field is a
// length word and PostgreSQL's binary form of the value.
type rowWriter struct{ buf []byte }

func (w *rowWriter) row(fields int) {
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(fields))
}

func (w *rowWriter) null() { w.buf = append(w.buf, 0xff, 0xff, 0xff, 0xff) }

// begin leaves room for a length word; end fills it.
func (w *rowWriter) begin() int {
	w.buf = append(w.buf, 0, 0, 0, 0)
	return len(w.buf)
}

func (w *rowWriter) end(start int) {
	binary.BigEndian.PutUint32(w.buf[start-4:], uint32(len(w.buf)-start))
}

func (w *rowWriter) bytes(b []byte) {
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(len(b)))
	w.buf = append(w.buf, b...)
}

// bytesOrNull writes nil as NULL.
func (w *rowWriter) bytesOrNull(b []byte) {
	if b == nil {
		w.null()
		return
	}
	w.bytes(b)
}

func (w *rowWriter) text(s string) {
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(len(s)))
	w.buf = append(w.buf, s...)
}

// textOrNull writes "" as NULL.
func (w *rowWriter) textOrNull(s string) {
	if s == "" {
		w.null()
		return
	}
	w.text(s)
}

func (w *rowWriter) bool(v bool) {
	var b byte
	if v {
		b = 1
	}
	w.buf = append(w.buf, 0, 0, 0, 1, b)
}

func (w *rowWriter) int4(v int32) {
	w.buf = append(w.buf, 0, 0, 0, 4)
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(v))
}

// int8 also writes a stored timestamp, which has the same form.
func (w *rowWriter) int8(v int64) {
	w.buf = append(w.buf, 0, 0, 0, 8)
	w.buf = binary.BigEndian.AppendUint64(w.buf, uint64(v))
}

// interval writes microseconds as an interval of no days and months.
func (w *rowWriter) interval(micros int64) {
	w.buf = append(w.buf, 0, 0, 0, 16)
	w.buf = binary.BigEndian.AppendUint64(w.buf, uint64(micros))
	w.buf = append(w.buf, 0, 0, 0, 0, 0, 0, 0, 0)
}

// jsonb writes a JSON text; nil as NULL.
func (w *rowWriter) jsonb(text []byte) {
	if text == nil {
		w.null()
		return
	}
	start := w.begin()
	w.buf = append(w.buf, 1) // the format's version
	w.buf = append(w.buf, text...)
	w.end(start)
}

// value writes value i of a vector.
func (w *rowWriter) value(v *column.Vector, i int) {
	if v.Null[i] {
		w.null()
		return
	}
	start := w.begin()
	w.buf = datum.AppendBinary(w.buf, v, i)
	w.end(start)
}

// copyIn sends n rows, each written by one call of row, and counts the bytes.
// The rows are encoded while the connection sends: memory holds one piece.
func copyIn(ctx context.Context, conn *pgx.Conn, table string, columns []string, n int, row func(w *rowWriter, i int)) (int64, error) {
	r := &copyReader{n: n, write: row}
	r.w.buf = append(make([]byte, 0, copyPiece+copyPiece/4), copySignature...)
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = quote(c)
	}
	sql := "COPY " + table + " (" + join(names) + ") FROM STDIN (FORMAT binary)"
	tag, err := conn.PgConn().CopyFrom(ctx, r, sql)
	if err != nil { // what reads r may still be at it
		return 0, fmt.Errorf("copy into %s: %w", table, err)
	}
	if tag.RowsAffected() != int64(n) {
		return r.sent, fmt.Errorf("copy into %s: %d of %d rows arrived: a trigger or a rule on the table swallows rows", table, tag.RowsAffected(), n)
	}
	return r.sent, nil
}

// copyReader is the encoded rows as a stream.
type copyReader struct {
	w     rowWriter
	n     int // rows in all
	next  int // row to encode
	done  bool
	pos   int // bytes of w.buf that were read
	write func(w *rowWriter, i int)
	sent  int64
}

// Read gives encoded bytes, and encodes more when they run out.
func (r *copyReader) Read(p []byte) (int, error) {
	if r.pos == len(r.w.buf) {
		r.w.buf, r.pos = r.w.buf[:0], 0
	}
	for len(r.w.buf)-r.pos < copyPiece && !r.done {
		if r.next < r.n {
			if r.next == r.n/2 {
				failpoint.Hit("commit.mid_copy")
			}
			r.write(&r.w, r.next)
			r.next++
			continue
		}
		r.w.buf = append(r.w.buf, 0xff, 0xff) // end of data
		r.done = true
	}
	if r.pos == len(r.w.buf) {
		return 0, io.EOF
	}
	n := copy(p, r.w.buf[r.pos:])
	r.pos += n
	r.sent += int64(n)
	return n, nil
}

// binaryArray appends the values of a vector at the rows sel as PostgreSQL's
// binary array.
func binaryArray(dst []byte, v *column.Vector, sel []int32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 1) // dimensions
	dst = binary.BigEndian.AppendUint32(dst, 1) // may hold nulls
	if v.Type.Kind.IsArray() {
		v = texts(v, sel)
		sel = all(v.Len())
	}
	dst = binary.BigEndian.AppendUint32(dst, v.Type.Kind.OID())
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(sel)))
	dst = binary.BigEndian.AppendUint32(dst, 1) // the first index
	w := rowWriter{dst}
	for _, i := range sel {
		w.value(v, int(i))
	}
	return w.buf
}

// texts gives the text forms of a vector's values at the rows sel.
func texts(v *column.Vector, sel []int32) *column.Vector {
	out := column.NewVector(column.Of(column.Text), len(sel))
	for j, i := range sel {
		if out.Null[j] = v.Null[i]; !out.Null[j] {
			start := len(out.Buf)
			out.Buf = datum.Append(out.Buf, v, int(i))
			out.FinishBytes(j, start)
		}
	}
	return out
}

// all gives the rows from 0 to n.
func all(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

func join(parts []string) string { return strings.Join(parts, ", ") }
