package aggregate

import "github.com/millstream-dev/millstream/internal/column"

// valueStore holds one value for each group: Null while there is none.
type valueStore struct {
	*column.Vector
	waste int    // bytes of Buf that no span points to
	spare []byte // what Buf was before it was compacted
}

func newValueStore(t column.Type) valueStore { return valueStore{Vector: column.NewVector(t, 0)} }

func (s *valueStore) grow(n int) {
	s.Reserve(n)
	for s.Len() < n {
		s.Grow()
	}
}

// compactAt is how many wasted bytes a store of texts puts up with before it
// copies what is alive, as a multiple of what is alive.
const compactAt = 4

// put sets the value of group g to value i of src.
func (s *valueStore) put(g uint32, src *column.Vector, i int) {
	bytes := s.Type.Kind.Storage() == column.BytesStorage
	if bytes && !s.Null[g] {
		s.waste += int(s.Span[g].Length)
		s.compact()
	}
	if s.Null[g] = src.Null[i]; s.Null[g] {
		return
	}
	switch s.Type.Kind.Storage() {
	case column.IntStorage:
		s.Int[g] = src.Int[i]
	case column.FloatStorage:
		s.Float[g] = src.Float[i]
	case column.BytesStorage:
		s.SetBytes(int(g), src.Bytes(i))
	}
}

// compact copies the live bytes when most of the buffer is waste.
func (s *valueStore) compact() {
	live := len(s.Buf) - s.waste
	if s.waste < 1<<16 || s.waste < compactAt*live {
		return
	}
	buf := s.spare[:0]
	for g, span := range s.Span {
		if s.Null[g] {
			continue
		}
		start := len(buf)
		buf = append(buf, s.Buf[span.Start:span.Start+span.Length]...)
		s.Span[g].Start = uint32(start)
	}
	s.spare, s.Buf, s.waste = s.Buf, buf, 0
}

// result sets value i of out to that of group g.
func (s *valueStore) result(g uint32, out *column.Vector, i int) {
	if s.Null[g] {
		out.Null[i] = true
		return
	}
	switch s.Type.Kind.Storage() {
	case column.IntStorage:
		out.Int[i] = s.Int[g]
	case column.FloatStorage:
		out.Float[i] = s.Float[g]
	case column.BytesStorage:
		out.SetBytes(i, s.Bytes(int(g)))
	}
}

func (s *valueStore) encode(dst []byte, g uint32) []byte {
	if s.Null[g] {
		return append(dst, 0)
	}
	return EncodeValue(append(dst, 1), s.Vector, int(g))
}

func (s *valueStore) decode(src []byte, g uint32) ([]byte, error) {
	if len(src) == 0 || src[0] > 1 {
		return nil, ErrCorrupt
	}
	if s.Null[g] = src[0] == 0; s.Null[g] {
		return src[1:], nil
	}
	return DecodeValue(src[1:], s.Vector, int(g))
}

func (s *valueStore) clear() {
	s.Reset(s.Type, 0)
	s.waste = 0
}

// size is about how much memory the store holds.
func (s *valueStore) size() int64 {
	v := s.Vector
	return int64(cap(v.Null) + 8*cap(v.Int) + 8*cap(v.Float) + 8*cap(v.Span) + cap(v.Buf) + cap(s.spare))
}
