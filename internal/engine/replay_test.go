package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/plan"
)

// A window takes a replayed record while it is open, and after that for as long
// as it can be corrected; otherwise it is said why not, and since when.
func TestWindowsThatTakeReplays(t *testing.T) {
	const minute = int64(time.Minute / time.Microsecond)
	noon := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC).UnixMicro() + column.UnixEpochMicros
	for _, test := range []struct {
		name                   string
		correctable, retention time.Duration
		floor, finalBefore     int64 // minutes after noon
		forgotten              int64 // likewise, -1 for none: the start
		start                  int64 // likewise
		open                   bool
		reason                 string
	}{
		{name: "open", correctable: time.Hour, floor: 1, forgotten: -1, start: 1, open: true},
		{name: "closed", correctable: time.Hour, floor: 2, forgotten: -1, start: 1},
		{name: "at the edge", correctable: 10 * time.Minute, floor: 12, forgotten: -1, start: 1},
		{name: "too long ago", correctable: 10 * time.Minute, floor: 13, forgotten: -1, start: 1,
			reason: "it was until the view's time had come to 2024-05-01 12:12:00Z (correctable = '10m0s'), and that is at 2024-05-01 12:13:00Z"},
		{name: "nothing is kept", floor: 2, forgotten: -1, start: 1, reason: "(correctable = '0')"},
		{name: "forgotten", correctable: time.Hour, floor: 9, forgotten: 1, start: 1, reason: "(correctable_bytes)"},
		{name: "not forgotten", correctable: time.Hour, floor: 9, forgotten: 1, start: 2},
		{name: "expired", correctable: time.Hour, retention: 5 * time.Minute, floor: 9, forgotten: -1, start: 3, reason: "have expired: retention is 5m0s"},
		{name: "expired by what is final", correctable: time.Hour, retention: 5 * time.Minute, floor: 2, finalBefore: 9, forgotten: -1, start: 3, reason: "have expired"},
	} {
		o := &viewOwner{plan: &plan.View{Name: "v", Correctable: test.correctable, Retention: test.retention}, forgotten: noPlace}
		o.time.floor, o.shown.finalBefore = noon+test.floor*minute, noon+max(test.finalBefore, test.floor)*minute
		if test.forgotten >= 0 {
			o.forgotten = WindowPlace{noon + (test.forgotten+1)*minute, noon + test.forgotten*minute}
		}
		open, reason := o.takes(noon+test.start*minute, noon+(test.start+1)*minute)
		if open != test.open || (reason == "") != (test.reason == "") || !strings.Contains(reason, test.reason) {
			t.Errorf("%s: open %t, %q", test.name, open, reason)
		}
	}
}

// What is known of kept windows stays in order, and adds up, when one is
// corrected or comes to be.
func TestKeptWindowsAreCorrected(t *testing.T) {
	k := keeper{}
	k.add(ClosedWindow{Start: 0, End: 10, Groups: 3, Blobs: 1, Bytes: 100})
	k.add(ClosedWindow{Start: 20, End: 30, Groups: 5, Blobs: 2, Bytes: 300})
	k.corrected(ClosedWindow{Start: 20, End: 30, Groups: 1, Blobs: -1, Bytes: 40})
	k.corrected(ClosedWindow{Start: 10, End: 20, Groups: 1, Blobs: 1, Bytes: 10})
	want := []ClosedWindow{{Start: 0, End: 10, Groups: 3, Blobs: 1, Bytes: 100}, {Start: 10, End: 20, Groups: 1, Blobs: 1, Bytes: 10}, {Start: 20, End: 30, Groups: 6, Blobs: 1, Bytes: 340}}
	if diff := cmp.Diff(want, k.windows); diff != "" || k.bytes != 450 {
		t.Errorf("%d bytes, %s", k.bytes, diff)
	}
}
