package column

import "runtime/debug"

// Arrays with an element for each group of a view may take a gigabyte
// together, and grow in the same moment.
const (
	// doubleBelow is up to how many elements an array doubles. Beyond, it grows by
	// an eighth: what is not used yet is an eighth at most, and each element is
	// copied eight times on average.
	doubleBelow = 1 << 16
	// releaseFrom is from how many elements on the old copy of the array that
	// grew last is given back to the system before the next one grows: else all old
	// copies lie beside all new ones, until the collector comes by itself.
	releaseFrom = 1 << 22
)

// Room gives s with room for n elements at least.
func Room[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s
	}
	room := 2 * n
	if n >= doubleBelow {
		room = n + n/8
	}
	if n >= releaseFrom {
		debug.FreeOSMemory()
	}
	next := make([]T, len(s), room)
	copy(next, s)
	return next
}

// Reserve makes room for n values at least.
func (v *Vector) Reserve(n int) {
	v.Null = Room(v.Null, n)
	switch v.Type.Kind.Storage() {
	case IntStorage:
		v.Int = Room(v.Int, n)
	case FloatStorage:
		v.Float = Room(v.Float, n)
	case BytesStorage:
		v.Span = Room(v.Span, n)
	case IntervalStorage:
		v.Interval = Room(v.Interval, n)
	}
}
