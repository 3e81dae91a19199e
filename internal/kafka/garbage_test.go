// With the race detector the codecs' libraries forget what they keep for the
// next batch, at random.

//go:build !race

package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestWalkMakesNoGarbagePerRecord holds that walking allocates for a batch,
// never for a record, whatever its codec and headers.
func TestWalkMakesNoGarbagePerRecord(t *testing.T) {
	for _, codec := range []kgo.CompressionCodecType{kgo.CodecNone, kgo.CodecLz4, kgo.CodecZstd, kgo.CodecSnappy, kgo.CodecGzip} {
		d := testDecompressor(t, batchBytes)
		home := &loads{}
		var allocations [2]float64
		for i, n := range []int{500, 4000} {
			log := oneBatch(t, n, codec)
			walk := func() {
				s := share{in: log, cursor: &cursor{}}
				if _, ok, err := s.next(0, d); !ok || err != nil {
					t.Fatal(ok, err)
				}
				c := home.take()
				if next, err := s.records(c, 0, n); err != nil || next != int64(10+n) || len(c.records) != n {
					t.Fatal(next, len(c.records), err)
				}
				c.give()
			}
			walk()
			allocations[i] = testing.AllocsPerRun(20, walk)
		}
		const perBatch = 30 // of which the codecs' libraries take most
		if allocations[0] > perBatch || allocations[1] > allocations[0]+2 {
			t.Errorf("codec %d: %.0f allocations for 500 records, %.0f for 4000", codec, allocations[0], allocations[1])
		}
	}
}
