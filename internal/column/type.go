// Package column is the data that flows: types, vectors, batches.
//
// A batch is a set of equally long vectors, one for each column; a vector
// holds its values without a Go object per value, so that a steady stream
// makes no garbage. Nothing here does I/O, and nothing here imports another
// package of this project.
package column

import "fmt"

// Kind is a PostgreSQL type without its modifier.
type Kind uint8

// The kinds. Their order means nothing outside of this process: state and
// tables name types by Name.
const (
	Invalid Kind = iota
	Bool
	Int2
	Int4
	Int8
	Float4
	Float8
	Numeric
	Text
	Varchar
	UUID
	Date
	Timestamp
	Timestamptz
	Interval
	JSONB
	Bytea
	Time
	Inet
	Cidr
	Unknown // an untyped literal or NULL before it meets a type
	kindCount
)

// arrayBit makes an array's kind of its elements'.
const arrayBit Kind = 0x80

// ArrayOf is the kind of one-dimensional arrays of k. The modifier of an
// array's Type is its elements'.
func ArrayOf(k Kind) Kind { return k | arrayBit }

// IsArray tells arrays.
func (k Kind) IsArray() bool { return k&arrayBit != 0 }

// Elem is the kind of an array's elements.
func (k Kind) Elem() Kind { return k &^ arrayBit }

// Elem is the type of an array's elements.
func (t Type) Elem() Type {
	t.Kind = t.Kind.Elem()
	return t
}

// Values lists the kinds that a value can have, in the order of their
// declaration, and then arrays of all of them.
func Values() []Kind {
	var out []Kind
	for k := Bool; k < Unknown; k++ {
		out = append(out, k)
	}
	for _, k := range out {
		out = append(out, ArrayOf(k))
	}
	return out
}

// Type is a PostgreSQL type with its modifier.
type Type struct {
	Kind Kind
	// Length is varchar's n in characters, 0 for none.
	Length int32
	// Precision and Scale are numeric's, in decimal digits; Precision 0 means
	// that the numeric has neither.
	Precision, Scale int32
}

// Storage says which slice of a Vector holds a kind's values.
type Storage uint8

// The storage classes.
const (
	NoStorage Storage = iota
	// IntStorage is Vector.Int. bool: 0 or 1. Integers: the value. date: days
	// since 2000-01-01. timestamp, timestamptz: microseconds since 2000-01-01
	// 00:00 (UTC), as in PostgreSQL's binary format; math.MinInt64 and
	// math.MaxInt64 are -infinity and infinity, for date math.MinInt32 and
	// math.MaxInt32. time: microseconds since midnight, 24:00 included.
	IntStorage
	// FloatStorage is Vector.Float. A real is kept as the float64 that equals
	// it.
	FloatStorage
	// BytesStorage is Vector.Span into Vector.Buf. text, varchar: UTF-8. uuid:
	// 16 bytes. jsonb: its text as PostgreSQL prints it. numeric: the encoding
	// of package decimal. bytea: its bytes. inet, cidr: datum.AppendNetwork's
	// encoding. Arrays: datum.AppendArray's.
	BytesStorage
	// IntervalStorage is Vector.Interval.
	IntervalStorage
)

type kindInfo struct {
	name    string // as PostgreSQL's format_type gives it
	oid     uint32
	array   uint32 // the oid of arrays of it
	storage Storage
}

var kinds = [kindCount]kindInfo{
	Bool:        {"boolean", 16, 1000, IntStorage},
	Int2:        {"smallint", 21, 1005, IntStorage},
	Int4:        {"integer", 23, 1007, IntStorage},
	Int8:        {"bigint", 20, 1016, IntStorage},
	Float4:      {"real", 700, 1021, FloatStorage},
	Float8:      {"double precision", 701, 1022, FloatStorage},
	Numeric:     {"numeric", 1700, 1231, BytesStorage},
	Text:        {"text", 25, 1009, BytesStorage},
	Varchar:     {"character varying", 1043, 1015, BytesStorage},
	UUID:        {"uuid", 2950, 2951, BytesStorage},
	Date:        {"date", 1082, 1182, IntStorage},
	Timestamp:   {"timestamp without time zone", 1114, 1115, IntStorage},
	Timestamptz: {"timestamp with time zone", 1184, 1185, IntStorage},
	Interval:    {"interval", 1186, 1187, IntervalStorage},
	JSONB:       {"jsonb", 3802, 3807, BytesStorage},
	Bytea:       {"bytea", 17, 1001, BytesStorage},
	Time:        {"time without time zone", 1083, 1183, IntStorage},
	Inet:        {"inet", 869, 1041, BytesStorage},
	Cidr:        {"cidr", 650, 651, BytesStorage},
	Unknown:     {"unknown", 705, 0, BytesStorage},
}

// Name is the kind's name as PostgreSQL prints it, without a modifier.
func (k Kind) Name() string {
	if k.IsArray() {
		return kinds[k.Elem()].name + "[]"
	}
	return kinds[k].name
}

func (k Kind) String() string { return k.Name() }

// OID is the type's object identifier in PostgreSQL.
func (k Kind) OID() uint32 {
	if k.IsArray() {
		return kinds[k.Elem()].array
	}
	return kinds[k].oid
}

// Storage says which slice of a Vector holds the kind's values.
func (k Kind) Storage() Storage {
	if k.IsArray() {
		return BytesStorage
	}
	return kinds[k].storage
}

// IsInteger tells smallint, integer and bigint.
func (k Kind) IsInteger() bool { return k == Int2 || k == Int4 || k == Int8 }

// IsFloat tells real and double precision.
func (k Kind) IsFloat() bool { return k == Float4 || k == Float8 }

// IsNumber tells integers, floats and numeric.
func (k Kind) IsNumber() bool { return k.IsInteger() || k.IsFloat() || k == Numeric }

// IsString tells text and varchar.
func (k Kind) IsString() bool { return k == Text || k == Varchar }

// IsTime tells date, timestamp and timestamptz.
func (k Kind) IsTime() bool { return k == Date || k == Timestamp || k == Timestamptz }

// Images tells the kinds whose equal values can print differently (numeric
// 1.0 and 1.00, floats 0 and -0, jsonb numbers): a group's representative and
// min and max must choose among them by position.
func (k Kind) Images() bool {
	k = k.Elem()
	return k == Numeric || k.IsFloat() || k == JSONB || k == Interval
}

// Of gives a type without modifier.
func Of(k Kind) Type { return Type{Kind: k} }

// String gives the type as PostgreSQL's format_type prints it.
func (t Type) String() string {
	switch {
	case t.Kind.IsArray():
		return t.Elem().String() + "[]"
	case t.Kind == Varchar && t.Length > 0:
		return fmt.Sprintf("character varying(%d)", t.Length)
	case t.Kind == Numeric && t.Precision > 0:
		return fmt.Sprintf("numeric(%d,%d)", t.Precision, t.Scale)
	}
	return t.Kind.Name()
}
