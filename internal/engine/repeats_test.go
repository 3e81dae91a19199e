package engine

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"
)

func keyedRecord(value string, at time.Duration) *Record {
	return &Record{Timestamp: at.Microseconds(), Headers: []Header{{Key: "trace", Value: []byte("x")}, {Key: IdempotencyHeader, Value: []byte(value)}}}
}

func TestIdempotencyKeyOfHeaders(t *testing.T) {
	for _, tt := range []struct {
		value, request string
		index          uint32
		ok             bool
	}{
		{"a/3", "a", 3, true}, {"a/b/0", "a/b", 0, true}, {"a", "a", 0, true}, {"a/", "a/", 0, true}, {"a/x", "a/x", 0, true},
		{"/3", "/3", 0, true}, {"a/4294967295", "a", 4294967295, true}, {"a/4294967296", "a/4294967296", 0, true}, {"a/-1", "a/-1", 0, true}, {"", "", 0, false},
	} {
		request, index, ok := IdempotencyKey(keyedRecord(tt.value, 0).Headers)
		if string(request) != tt.request || index != tt.index || ok != tt.ok {
			t.Errorf("%q: %q %d %v", tt.value, request, index, ok)
		}
	}
	if _, _, ok := IdempotencyKey([]Header{{Key: "trace"}}); ok {
		t.Error("another header is taken for a key")
	}
}

// TestRepeatWindow lets the key clock run on.
func TestRepeatWindow(t *testing.T) {
	r := newRepeats()
	for i, tt := range []struct {
		value string
		at    time.Duration
		want  bool
	}{
		{"a/0", time.Hour, false},
		{"a/0", time.Hour, true},
		{"a/2", 2 * time.Hour, false}, // does not begin the day anew
		{"a/1", 0, false},             // a clock that goes back
		{"a/1", 0, true},
		{"b/0", 3 * time.Hour, false},
		{"a/2", 25*time.Hour - time.Millisecond, true},
		{"b/0", 25 * time.Hour, true},
		{"a/2", 0, false}, // a day after its request's first record
		{"a/2", 26 * time.Hour, true},
		{"b/0", 27 * time.Hour, false},
		{"a/2", 49*time.Hour - time.Millisecond, true},
		{"c/0", 49 * time.Hour, false},
		{"a/2", 0, false},
	} {
		if got := r.repeated(keyedRecord(tt.value, tt.at)); got != tt.want {
			t.Errorf("%d: %s at %s: %v", i, tt.value, tt.at, got)
		}
	}
	if r.repeated(&Record{Timestamp: 1 << 60}) || r.clock != (49*time.Hour).Microseconds() {
		t.Error("a record without a key moves the key clock")
	}
}

// TestRepeatRanges asks for the numbers of a request in any order.
func TestRepeatRanges(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	r := newRepeats()
	had := map[int]bool{}
	for range 5000 {
		i := random.IntN(700)
		if got := r.repeated(keyedRecord(fmt.Sprintf("q/%d", i), 0)); got != had[i] {
			t.Fatalf("number %d: %v", i, got)
		}
		had[i] = true
	}
	if n := len(r.had(0)); n != 1 && len(had) == 700 {
		t.Errorf("%d ranges", n)
	}
}

// TestRepeatsSurvive writes what is remembered with each epoch, and compares
// what a restart at any of them decides with what goes on to run.
func TestRepeatsSurvive(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	live := newRepeats()
	stored := map[int64]RepeatBlob{}
	at := time.Duration(0)
	merged := 0
	for seq := int64(1); seq <= 1500; seq++ {
		for range random.IntN(8) {
			live.repeated(keyedRecord(fmt.Sprintf("%d/%d", random.IntN(400), random.IntN(5)), at))
			at += time.Duration(random.IntN(120)) * time.Second * 2
		}
		if b := live.take(seq); b != nil {
			if len(b.Drop) >= mergeBlobs-1 {
				merged++
			}
			for _, s := range b.Drop {
				if _, ok := stored[s]; !ok {
					t.Fatalf("commit %d drops blob %d, which is not there", seq, s)
				}
				delete(stored, s)
			}
			stored[seq] = *b
		}
		if seq%50 != 0 {
			continue
		}
		again := newRepeats()
		var blobs []RepeatBlob
		for s := int64(1); s <= seq; s++ {
			if b, ok := stored[s]; ok {
				blobs = append(blobs, b)
			}
		}
		if err := again.load(blobs); err != nil {
			t.Fatal(err)
		}
		compareRepeats(t, seq, &live, &again)
		if seq%500 == 0 {
			live = again // goes on after the restart
		}
	}
	if merged == 0 {
		t.Error("no blob was merged")
	}
	if len(stored) > 3*mergeBlobs {
		t.Errorf("%d blobs are left", len(stored))
	}
}

func compareRepeats(t *testing.T, seq int64, a, b *repeats) {
	t.Helper()
	if a.clock != b.clock || len(a.byID) != len(b.byID) || a.next()-a.head != b.next()-b.head {
		t.Fatalf("commit %d: clock %d and %d, %d and %d requests, %d and %d numbers", seq, a.clock, b.clock, len(a.byID), len(b.byID), a.next()-a.head, b.next()-b.head)
	}
	for id, n := range a.byID {
		m, ok := b.byID[id]
		if !ok || n != m || fmt.Sprint(a.at(n), a.had(n)) != fmt.Sprint(b.at(m), b.had(m)) {
			t.Fatalf("commit %d: request %d: %v %v, after a restart %d", seq, n, a.at(n), a.had(n), m)
		}
	}
}

func TestDamagedRepeatsAreTold(t *testing.T) {
	live := newRepeats()
	for i := range 10 {
		live.repeated(keyedRecord(fmt.Sprintf("%d/%d", i%3, i), time.Duration(i)*time.Minute))
	}
	data := live.take(1).Data
	for n := range data {
		r := newRepeats()
		if err := r.load([]RepeatBlob{{Seq: 1, Data: data[:n]}}); err == nil {
			t.Errorf("cut at %d bytes: no error", n)
		}
	}
	r := newRepeats()
	if err := r.load([]RepeatBlob{{Seq: 1, Data: append(data, 0)}}); err == nil {
		t.Error("too long: no error")
	}
}

// TestRepeatsAreBounded sends more requests than are remembered.
func TestRepeatsAreBounded(t *testing.T) {
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := memory()
	r := newRepeats()
	const more, epoch = 100_000, 1000
	record := keyedRecord("", 0)
	for i := range MaxRequests + more {
		record.Headers[1].Value = strconv.AppendInt(nil, int64(i), 10)
		if r.repeated(record) {
			t.Fatalf("request %d is taken for a repeat", i)
		}
		if i%epoch == 0 {
			r.take(int64(i / epoch))
		}
	}
	const mostBytes = 120 << 20
	taken := memory() - before
	t.Logf("%d requests take %.0f MB", len(r.byID), float64(taken)/1e6)
	if len(r.byID) != MaxRequests || taken > mostBytes {
		t.Errorf("%d requests, %d bytes", len(r.byID), taken)
	}
	for _, tt := range []struct {
		request int
		want    bool
	}{{more, true}, {more + 1, true}, {MaxRequests + more - 1, true}, {more - 1, false}} {
		record.Headers[1].Value = strconv.AppendInt(nil, int64(tt.request), 10)
		if r.repeated(record) != tt.want {
			t.Errorf("request %d: remembered is not %v", tt.request, tt.want)
		}
	}
	runtime.KeepAlive(&r)
}
