package workload

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"
)

// TestEventsAreWhatIsExpected decodes events with encoding/json and counts
// them: the bytes and the expectation are made apart from each other.
func TestEventsAreWhatIsExpected(t *testing.T) {
	const n = 20_000
	y := &Yahoo{Seed: 7, Campaigns: 100, Ads: 10, Clock: CatchUp(10 * time.Millisecond)}
	campaigns := map[string]int64{}
	for ad := range y.Campaigns * y.Ads {
		campaigns[string(y.appendAd(nil, ad))] = y.campaign(ad)
	}
	got := map[campaignWindow]campaignCount{}
	size := 0
	for i := range int64(n) {
		text := y.Append(nil, i)
		size += len(text)
		var e map[string]string
		if err := json.Unmarshal(text, &e); err != nil || len(e) != 7 {
			t.Fatalf("event %d: %v: %s", i, err, text)
		}
		if e["event_type"] != "view" {
			continue
		}
		campaign, ok := campaigns[e["ad_id"]]
		if !ok {
			t.Fatalf("event %d has an ad that is none: %s", i, text)
		}
		at, err := strconv.ParseInt(e["event_time"], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		k := campaignWindow{campaign, at / 10_000}
		got[k] = campaignCount{got[k].n + 1, max(got[k].last, at)}
	}
	want := y.expect(n)
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for k, w := range want {
		if got[k] != w {
			t.Errorf("%v: got %v, want %v", k, got[k], w)
		}
	}
	if mean := size / n; mean < 225 || mean > 275 {
		t.Errorf("an event has %d bytes, must have about 250", mean)
	}
}

// TestUniformKeysAreAllVisited: the first events visit each key once.
func TestUniformKeysAreAllVisited(t *testing.T) {
	for _, keys := range []int64{1, 1000, 100_000, 1_000_000} {
		u := &Updates{Seed: 3, Keys: keys}
		for key, row := range u.expect(keys) {
			if row.N != 1 {
				t.Fatalf("of %d keys, %d was visited %d times", keys, key, row.N)
			}
		}
	}
}

// TestZipf checks the weight of the first key against its share, 1/H(n).
func TestZipf(t *testing.T) {
	const keys, n = 1000, 200_000
	u := &Updates{Seed: 3, Keys: keys, Zipf: true}
	most := int64(0)
	for _, r := range u.expect(n) {
		most = max(most, r.N)
	}
	if share := float64(most) / n; share < 0.08 || share > 0.16 {
		t.Errorf("the most frequent of %d keys has a share of %.3f, must have about a tenth", keys, share)
	}
}

// TestTexts compares the hand-made texts with the standard library's.
func TestTexts(t *testing.T) {
	for i := range int64(5000) {
		milli := int64(draw(1, i, 1) >> 22)
		want := time.UnixMilli(milli).UTC().Format("2006-01-02T15:04:05.000Z")
		if got := string(appendTime(nil, milli)); milli < 253_402_300_800_000 && got != want {
			t.Fatalf("%d: got %s, want %s", milli, got, want)
		}
		x := uint32(draw(1, i, 2))
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], hex8(x))
		if want := fmt.Sprintf("%08x", x); string(b[:]) != want {
			t.Fatalf("got %s, want %s", b, want)
		}
	}
}

func BenchmarkYahoo(b *testing.B) {
	y := &Yahoo{Seed: 7, Campaigns: 100, Ads: 10, Clock: CatchUp(10 * time.Millisecond)}
	var buf []byte
	for i := range b.N {
		buf = y.Append(buf[:0], int64(i))
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkSkeleton(b *testing.B) {
	s := &Skeleton{Seed: 7, Clock: CatchUp(SkeletonStep)}
	var buf []byte
	for i := range b.N {
		buf = s.Append(buf[:0], int64(i))
	}
	b.SetBytes(int64(len(buf)))
}
