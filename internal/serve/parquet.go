package serve

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/parquet-go/parquet-go"
)

// Bounds of a row group, which is in memory until it is written.
const (
	parquetGroupBytes = 8 << 20
	parquetGroupRows  = 128 << 10
	// parquetPageBytes is the buffer of one column.
	parquetPageBytes = 64 << 10
)

// parquetNode gives the type of a column.
func parquetNode(oid uint32) parquet.Node {
	switch oid {
	case pgtype.BoolOID:
		return parquet.Leaf(parquet.BooleanType)
	case pgtype.Int2OID:
		return parquet.Int(16)
	case pgtype.Int4OID:
		return parquet.Int(32)
	case pgtype.Int8OID:
		return parquet.Int(64)
	case pgtype.Float4OID:
		return parquet.Leaf(parquet.FloatType)
	case pgtype.Float8OID:
		return parquet.Leaf(parquet.DoubleType)
	case pgtype.DateOID:
		return parquet.Date()
	case pgtype.TimestampOID:
		return parquet.TimestampAdjusted(parquet.Microsecond, false)
	case pgtype.TimestamptzOID:
		return parquet.TimestampAdjusted(parquet.Microsecond, true)
	case pgtype.ByteaOID:
		return parquet.Leaf(parquet.ByteArrayType)
	}
	return parquet.String()
}

// orderedGroup is a group whose columns stay in the answer's order; the
// library's own sorts them by name.
type orderedGroup struct {
	parquet.Group
	names []string
}

// Fields gives the columns in order.
func (g orderedGroup) Fields() []parquet.Field {
	fields := g.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int {
		return slices.Index(g.names, a.Name()) - slices.Index(g.names, b.Name())
	})
	return fields
}

// parquetEncoder writes a Parquet file, a row group at a time.
type parquetEncoder struct {
	types  []uint32
	out    bytes.Buffer
	writer *parquet.GenericWriter[any]
	values parquet.Row
	rows   int
	bytes  int
}

func newParquet(columns []string, types []uint32) encoder {
	group := parquet.Group{}
	for i, name := range columns {
		group[name] = parquet.Optional(parquetNode(types[i]))
	}
	e := &parquetEncoder{types: types, values: make(parquet.Row, len(columns))}
	e.writer = parquet.NewGenericWriter[any](&e.out, parquet.NewSchema("rows", orderedGroup{group, columns}),
		parquet.Compression(&parquet.Snappy), parquet.PageBufferSize(parquetPageBytes), parquet.CreatedBy("millstream", "", ""))
	return e
}

func (e *parquetEncoder) head(dst []byte) ([]byte, error) { return dst, nil }

func (e *parquetEncoder) row(dst []byte, values [][]byte) ([]byte, error) {
	for i, v := range values {
		if v == nil {
			e.values[i] = parquet.NullValue().Level(0, 0, i)
			continue
		}
		e.bytes += len(v)
		e.values[i] = parquetValue(e.types[i], v).Level(0, 1, i)
	}
	if _, err := e.writer.WriteRows([]parquet.Row{e.values}); err != nil {
		return dst, err
	}
	if e.rows++; e.rows < parquetGroupRows && e.bytes < parquetGroupBytes {
		return dst, nil
	}
	e.rows, e.bytes = 0, 0
	return e.flush(dst, e.writer.Flush)
}

func (e *parquetEncoder) tail(dst []byte) ([]byte, error) { return e.flush(dst, e.writer.Close) }

func (e *parquetEncoder) flush(dst []byte, write func() error) ([]byte, error) {
	err := write()
	dst = append(dst, e.out.Bytes()...)
	e.out.Reset()
	return dst, err
}

// parquetValue reads a value in PostgreSQL's binary form.
func parquetValue(oid uint32, v []byte) parquet.Value {
	switch oid {
	case pgtype.BoolOID:
		return parquet.BooleanValue(v[0] != 0)
	case pgtype.Int2OID:
		return parquet.Int32Value(int32(int16(binary.BigEndian.Uint16(v))))
	case pgtype.Int4OID:
		return parquet.Int32Value(int32(binary.BigEndian.Uint32(v)))
	case pgtype.Int8OID:
		return parquet.Int64Value(int64(binary.BigEndian.Uint64(v)))
	case pgtype.Float4OID:
		return parquet.FloatValue(math.Float32frombits(binary.BigEndian.Uint32(v)))
	case pgtype.Float8OID:
		return parquet.DoubleValue(math.Float64frombits(binary.BigEndian.Uint64(v)))
	case pgtype.DateOID:
		return parquet.Int32Value(unixDays(v))
	case pgtype.TimestampOID, pgtype.TimestamptzOID:
		return parquet.Int64Value(unixMicros(v))
	}
	return parquet.ByteArrayValue(v)
}
