package pipeline

import (
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
)

func TestClosesQuietly(t *testing.T) {
	const second = int64(time.Second / time.Microsecond)
	const end = 100 * second
	zero := time.Unix(1_700_000_000, 0)
	// part gives a partition whose watermark is at w seconds, read at r seconds, and idle at i seconds.
	after := func(seconds int64) time.Time { return zero.Add(time.Duration(seconds) * time.Second) }
	part := func(w, r, i int64) quietPartition {
		return quietPartition{watermark: w * second, greatestAt: after(r), idleAt: after(i)}
	}
	empty := quietPartition{watermark: column.NegativeInfinity, idleAt: zero.Add(5 * time.Second)}
	behind := part(90, 0, 10)
	behind.behind = true
	for name, tt := range map[string]struct {
		parts []quietPartition
		want  int64 // in seconds; negative: it can't be told
	}{
		"one partition, ten seconds short: it goes on with the clock, from when its last event was read": {[]quietPartition{part(90, 3, 10)}, 13},
		"… but not before it counts as idle":                                     {[]quietPartition{part(99, 3, 10)}, 10},
		"the other is beyond: it closes when the one that holds it back is idle": {[]quietPartition{part(90, 0, 10), part(120, 0, 60)}, 10},
		"the other is beyond, and idle before":                                   {[]quietPartition{part(90, 0, 60), part(120, 0, 10)}, 60},
		"a partition without records holds it back until it is idle":             {[]quietPartition{empty, part(120, 0, 60)}, 5},
		"no record was ever read":                                                {[]quietPartition{empty, empty}, -1},
		"there are records to be read":                                           {[]quietPartition{behind, part(120, 0, 60)}, -1},
		"no partition":                                                           {nil, -1},
	} {
		at, ok := closesQuietly(tt.parts, end)
		if ok != (tt.want >= 0) || ok && !at.Equal(after(tt.want)) {
			t.Errorf("%s: %s, %t, want %d s", name, at.Sub(zero), ok, tt.want)
		}
	}
}
