package column

import "math"

// Limits of the time types in their stored form.
const (
	Infinity         = math.MaxInt64 // timestamp and timestamptz
	NegativeInfinity = math.MinInt64
	DateInfinity     = math.MaxInt32
	DateNegInfinity  = math.MinInt32
)

// UnixEpochMicros is 1970-01-01 in stored microseconds: add it to
// microseconds since 1970 to get a stored timestamp.
const UnixEpochMicros = -946_684_800_000_000

// Span is a value's place in a vector's buffer.
type Span struct{ Start, Length uint32 }

// IntervalValue is PostgreSQL's interval: its three parts are independent.
type IntervalValue struct {
	Micros int64
	Days   int32
	Months int32
}

// MaxBuffer is the greatest number of bytes that a vector's buffer holds:
// Span counts in 32 bits. Whoever fills a vector cuts its batch before it.
const MaxBuffer = math.MaxUint32

// Vector is one column of a batch. Which slice holds the values is the
// kind's Storage; the others are nil. Null[i] makes value i void: the value
// slice still has an element there, of no meaning.
//
// Several spans may share bytes, and Buf may be a slice that somebody else
// owns (a fetched record batch): bytes of Buf are never changed once a span
// points to them.
type Vector struct {
	Type     Type
	Null     []bool
	Int      []int64
	Float    []float64
	Span     []Span
	Buf      []byte
	Interval []IntervalValue
}

// NewVector gives a vector of n values, all zero and not null.
func NewVector(t Type, n int) *Vector {
	v := &Vector{}
	v.Reset(t, n)
	return v
}

// Reset makes v a vector of n values of type t, keeping its memory. The
// values are of no meaning until they are set; Null is all false.
func (v *Vector) Reset(t Type, n int) {
	v.Type = t
	v.Null = resize(v.Null, n)
	clear(v.Null)
	switch t.Kind.Storage() {
	case IntStorage:
		v.Int = resize(v.Int, n)
	case FloatStorage:
		v.Float = resize(v.Float, n)
	case BytesStorage:
		v.Span = resize(v.Span, n)
		v.Buf = v.Buf[:0]
	case IntervalStorage:
		v.Interval = resize(v.Interval, n)
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return make([]T, n, n+n/4)
}

// Len is the number of values.
func (v *Vector) Len() int { return len(v.Null) }

// Bytes gives value i of a vector with BytesStorage. The slice is valid
// until the vector is reset, and must not be changed.
func (v *Vector) Bytes(i int) []byte {
	s := v.Span[i]
	return v.Buf[s.Start : s.Start+s.Length : s.Start+s.Length]
}

// SetBytes sets value i to a copy of b, appended to the buffer.
func (v *Vector) SetBytes(i int, b []byte) {
	start := len(v.Buf)
	v.Buf = append(v.Buf, b...)
	v.FinishBytes(i, start)
}

// SetString is SetBytes for a string.
func (v *Vector) SetString(i int, s string) {
	start := len(v.Buf)
	v.Buf = append(v.Buf, s...)
	v.FinishBytes(i, start)
}

// FinishBytes sets value i to what was appended to Buf since it had the
// length start: for kernels that append their result in place. It panics
// when the buffer is over MaxBuffer: going on would mix up values.
func (v *Vector) FinishBytes(i, start int) {
	if len(v.Buf) > MaxBuffer {
		panic("column: a vector's buffer is over 4 GiB")
	}
	v.Span[i] = Span{uint32(start), uint32(len(v.Buf) - start)}
}

// Grow adds one value, null, and gives its index.
func (v *Vector) Grow() int {
	i := len(v.Null)
	v.Null = append(v.Null, true)
	switch v.Type.Kind.Storage() {
	case IntStorage:
		v.Int = append(v.Int, 0)
	case FloatStorage:
		v.Float = append(v.Float, 0)
	case BytesStorage:
		v.Span = append(v.Span, Span{})
	case IntervalStorage:
		v.Interval = append(v.Interval, IntervalValue{})
	}
	return i
}

// Truncate cuts the vector to its first n values. Bytes that no span points
// to any more stay in Buf until Reset.
func (v *Vector) Truncate(n int) {
	v.Null = v.Null[:n]
	switch v.Type.Kind.Storage() {
	case IntStorage:
		v.Int = v.Int[:n]
	case FloatStorage:
		v.Float = v.Float[:n]
	case BytesStorage:
		v.Span = v.Span[:n]
	case IntervalStorage:
		v.Interval = v.Interval[:n]
	}
}

// Append adds value i of src, which has the same kind, copying its bytes.
func (v *Vector) Append(src *Vector, i int) {
	j := v.Grow()
	if src.Null[i] {
		return
	}
	v.Null[j] = false
	switch v.Type.Kind.Storage() {
	case IntStorage:
		v.Int[j] = src.Int[i]
	case FloatStorage:
		v.Float[j] = src.Float[i]
	case BytesStorage:
		v.SetBytes(j, src.Bytes(i))
	case IntervalStorage:
		v.Interval[j] = src.Interval[i]
	}
}

// Batch is a set of equally long columns. A nil column was not needed by
// anybody and holds nothing.
type Batch struct {
	N    int
	Cols []*Vector
}
