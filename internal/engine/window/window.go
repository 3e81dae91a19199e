// Package window cuts event time into windows. Its functions are pure: a
// window follows from the time and the definition alone.
package window

// Assigner cuts the time line into windows that leave no gap and, a Hop
// apart, do not overlap. Times are stored timestamps: microseconds since
// 2000-01-01 (UTC, or without zone for a timestamp).
type Assigner interface {
	// Start gives the start of the window that holds t, the last one of
	// several. ok is false where PostgreSQL's own function fails (out of
	// range).
	Start(t int64) (start int64, ok bool)
	// End gives the end of the window that begins at start: the first instant
	// that it does not hold.
	End(start int64) int64
	// String describes the window for explain: "5 minutes from 1970-01-01".
	String() string
}
