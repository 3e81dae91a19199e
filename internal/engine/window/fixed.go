package window

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
)

// The range of PostgreSQL's timestamps in stored microseconds: from
// 4714-11-24 BC on, and before the year 294277.
const (
	minTimestamp = -211_813_488_000_000_000
	endTimestamp = 9_223_371_331_200_000_000
	// endOfTime is the end of windows that reach beyond: short of infinity.
	endOfTime = math.MaxInt64 - 1
)

// Fixed has windows of one length: tumble and date_bin.
type Fixed struct {
	size, origin int64
}

// NewFixed gives windows of size microseconds, one of which begins at origin
// (stored microseconds). size is at least 1.
func NewFixed(size, origin int64) *Fixed {
	if size < 1 {
		panic(fmt.Sprintf("window: size %d", size))
	}
	return &Fixed{size: size, origin: origin}
}

// Tumble gives windows of size microseconds that align to 1970-01-01.
func Tumble(size int64) *Fixed { return NewFixed(size, column.UnixEpochMicros) }

// Size is the length of each window in microseconds.
func (f *Fixed) Size() int64 { return f.size }

// Origin is the start of one of the windows.
func (f *Fixed) Origin() int64 { return f.origin }

// Start gives the start of the window that holds t, as date_bin does: false
// where the distance to the origin or the result is out of range.
func (f *Fixed) Start(t int64) (int64, bool) {
	if t < minTimestamp || t >= endTimestamp {
		return 0, false
	}
	distance := t - f.origin
	if (f.origin < 0 && distance < t) || (f.origin > 0 && distance > t) {
		return 0, false
	}
	rest := distance % f.size
	if rest < 0 {
		rest += f.size
	}
	start := t - rest
	if start > t || start < minTimestamp {
		return 0, false
	}
	return start, true
}

// End gives the end of the window that begins at start.
func (f *Fixed) End(start int64) int64 {
	if start > endOfTime-f.size {
		return endOfTime
	}
	return start + f.size
}

func (f *Fixed) String() string {
	if f.origin == column.UnixEpochMicros {
		return Duration(f.size) + " from 1970-01-01"
	}
	return Duration(f.size) + " from " + originText(f.origin)
}

func originText(origin int64) string {
	t := time.UnixMicro(origin - column.UnixEpochMicros).UTC()
	text := t.Format("2006-01-02 15:04:05.999999")
	return strings.TrimSuffix(text, " 00:00:00")
}

// Duration writes microseconds as people say it: "5 minutes", "1 hour 30
// seconds".
func Duration(micros int64) string {
	if micros == 0 {
		return "0 seconds"
	}
	var parts []string
	if micros < 0 {
		parts, micros = append(parts, "-"), -micros
	}
	for _, u := range []struct {
		name string
		size int64
	}{
		{"day", 24 * 3600e6}, {"hour", 3600e6}, {"minute", 60e6}, {"second", 1e6}, {"millisecond", 1e3}, {"microsecond", 1},
	} {
		n := micros / u.size
		micros %= u.size
		switch {
		case n == 1:
			parts = append(parts, "1 "+u.name)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, u.name))
		}
	}
	return strings.Join(parts, " ")
}
