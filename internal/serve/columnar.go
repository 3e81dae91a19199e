package serve

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

// Media types of the columnar formats.
const (
	arrowMedia   = "application/vnd.apache.arrow.stream"
	parquetMedia = "application/vnd.apache.parquet"
)

var arrowFormat = &format{
	name:        "Arrow stream",
	suffix:      ".arrow",
	contentType: arrowMedia,
	accepts:     []string{arrowMedia},
	described:   binaryList,
	encoder:     newArrow,
}

var parquetFormat = &format{
	name:        "Parquet",
	suffix:      ".parquet",
	contentType: parquetMedia,
	accepts:     []string{parquetMedia},
	described:   binaryList,
	encoder:     newParquet,
}

// binaryTypes are the types that columnar formats hold as such. What is of
// another type is text, as PostgreSQL prints it: numeric, too, since neither
// format has a number of any length.
var binaryTypes = map[uint32]bool{
	pgtype.BoolOID: true, pgtype.Int2OID: true, pgtype.Int4OID: true, pgtype.Int8OID: true,
	pgtype.Float4OID: true, pgtype.Float8OID: true,
	pgtype.DateOID: true, pgtype.TimestampOID: true, pgtype.TimestamptzOID: true,
	pgtype.ByteaOID: true, pgtype.TextOID: true, pgtype.VarcharOID: true,
}

// binaryList casts to text what is not held as such.
func binaryList(st *statement, types []uint32) string {
	list := make([]string, len(st.outputs))
	for i, o := range st.outputs {
		list[i] = "r." + catalog.Quote(o.name)
		if !binaryTypes[types[i]] {
			list[i] += "::text"
		}
	}
	return strings.Join(list, ", ")
}

// Days and microseconds from 1970, where both formats count from, to 2000,
// where PostgreSQL does.
const (
	epochDays   = 10_957
	epochMicros = -column.UnixEpochMicros
)

// unixMicros is a timestamp in microseconds since 1970. The infinities are
// the greatest and the least number, and so is what lies beyond them.
func unixMicros(v []byte) int64 {
	t := int64(binary.BigEndian.Uint64(v))
	switch {
	case t == math.MinInt64:
		return t
	case t > math.MaxInt64-epochMicros:
		return math.MaxInt64
	}
	return t + epochMicros
}

// unixDays is a date in days since 1970, the infinities likewise.
func unixDays(v []byte) int32 {
	d := int32(binary.BigEndian.Uint32(v))
	switch {
	case d == math.MinInt32:
		return d
	case d > math.MaxInt32-epochDays:
		return math.MaxInt32
	}
	return d + epochDays
}
