package contender

import (
	"testing"

	"github.com/millstream-dev/millstream/bench/topics"
	"github.com/millstream-dev/millstream/bench/workload"
)

// BenchmarkYahoo walks, scans and counts fetched batches: an operation is an
// event.
func BenchmarkYahoo(b *testing.B) {
	s := newStage(b, &workload.Yahoo{Seed: 1, Campaigns: 100, Ads: 10, Clock: clock}, topics.None)
	q := newYahooQuery(0)
	if err := q.prepare(b.Context(), s.db, newCounters()); err != nil {
		b.Fatal(err)
	}
	f, err := newFetcher(b.Context(), s.config.Broker, s.config.Topic, map[int32]int64{0: 0})
	if err != nil {
		b.Fatal(err)
	}
	defer f.client.Close()
	chunks, err := f.fetch(b.Context())
	if err != nil || len(chunks) != 1 {
		b.Fatalf("%d chunks, %v", len(chunks), err)
	}
	w := &worker{query: q, layout: q.layout(), epoch: newEpoch()}
	n := int(chunks[0].to - chunks[0].from)
	b.ResetTimer()
	for done := 0; done < b.N; done += n {
		if err := w.count(chunks[0]); err != nil {
			b.Fatal(err)
		}
	}
}
