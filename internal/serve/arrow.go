package serve

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/jackc/pgx/v5/pgtype"
)

// Bounds of a record batch: what is in memory of an answer.
const (
	arrowBatchBytes = 1 << 20
	arrowBatchRows  = 16 << 10
)

// arrowTypes are the types of PostgreSQL's; of others, text.
var arrowTypes = map[uint32]arrow.DataType{
	pgtype.BoolOID: arrow.FixedWidthTypes.Boolean,
	pgtype.Int2OID: arrow.PrimitiveTypes.Int16, pgtype.Int4OID: arrow.PrimitiveTypes.Int32, pgtype.Int8OID: arrow.PrimitiveTypes.Int64,
	pgtype.Float4OID: arrow.PrimitiveTypes.Float32, pgtype.Float8OID: arrow.PrimitiveTypes.Float64,
	pgtype.DateOID:        arrow.FixedWidthTypes.Date32,
	pgtype.TimestampOID:   &arrow.TimestampType{Unit: arrow.Microsecond},
	pgtype.TimestamptzOID: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"},
	pgtype.ByteaOID:       arrow.BinaryTypes.Binary,
}

// arrowEncoder writes the Arrow IPC stream format, batch by batch.
type arrowEncoder struct {
	types   []uint32
	schema  *arrow.Schema
	builder *array.RecordBuilder
	out     bytes.Buffer
	writer  *ipc.Writer
	rows    int
	bytes   int
}

func newArrow(columns []string, types []uint32) encoder {
	fields := make([]arrow.Field, len(columns))
	for i, name := range columns {
		t, ok := arrowTypes[types[i]]
		if !ok {
			t = arrow.BinaryTypes.String
		}
		fields[i] = arrow.Field{Name: name, Type: t, Nullable: true}
	}
	e := &arrowEncoder{types: types, schema: arrow.NewSchema(fields, nil)}
	e.builder = array.NewRecordBuilder(memory.DefaultAllocator, e.schema)
	e.writer = ipc.NewWriter(&e.out, ipc.WithSchema(e.schema))
	return e
}

// head is nothing: the schema goes with the first batch, or with the end.
func (e *arrowEncoder) head(dst []byte) ([]byte, error) { return dst, nil }

func (e *arrowEncoder) row(dst []byte, values [][]byte) ([]byte, error) {
	for i, v := range values {
		b := e.builder.Field(i)
		if v == nil {
			b.AppendNull()
			continue
		}
		e.bytes += len(v)
		switch b := b.(type) {
		case *array.BooleanBuilder:
			b.Append(v[0] != 0)
		case *array.Int16Builder:
			b.Append(int16(binary.BigEndian.Uint16(v)))
		case *array.Int32Builder:
			b.Append(int32(binary.BigEndian.Uint32(v)))
		case *array.Int64Builder:
			b.Append(int64(binary.BigEndian.Uint64(v)))
		case *array.Float32Builder:
			b.Append(math.Float32frombits(binary.BigEndian.Uint32(v)))
		case *array.Float64Builder:
			b.Append(math.Float64frombits(binary.BigEndian.Uint64(v)))
		case *array.Date32Builder:
			b.Append(arrow.Date32(unixDays(v)))
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(unixMicros(v)))
		case *array.StringBuilder:
			b.Append(string(v))
		case *array.BinaryBuilder:
			b.Append(v)
		}
	}
	if e.rows++; e.rows < arrowBatchRows && e.bytes < arrowBatchBytes {
		return dst, nil
	}
	return e.batch(dst)
}

// batch writes what has been collected.
func (e *arrowEncoder) batch(dst []byte) ([]byte, error) {
	if e.rows > 0 {
		record := e.builder.NewRecordBatch()
		err := e.writer.Write(record)
		record.Release()
		if err != nil {
			return dst, err
		}
		e.rows, e.bytes = 0, 0
	}
	dst = append(dst, e.out.Bytes()...)
	e.out.Reset()
	return dst, nil
}

func (e *arrowEncoder) tail(dst []byte) ([]byte, error) {
	dst, err := e.batch(dst)
	if err != nil {
		return dst, err
	}
	e.builder.Release()
	if err := e.writer.Close(); err != nil {
		return dst, err
	}
	return append(dst, e.out.Bytes()...), nil
}
