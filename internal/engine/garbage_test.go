// The race detector allocates, too.

//go:build !race

package engine

import "testing"

// TestNoGarbagePerRecord holds that a worker allocates for an epoch, never
// for a record: four times the records take no more allocations.
func TestNoGarbagePerRecord(t *testing.T) {
	const (
		few, many = 1000, 4000
		// perEpoch is for what a chunk takes however long it is: counts of each
		// view, and lists of vectors.
		perEpoch = 20
		runs     = 20
	)
	for name, sql := range map[string]string{"the skeleton's view": skeletonSQL, "each way": furtherSQL, "wide": wideSQL} {
		t.Run(name, func(t *testing.T) {
			var allocations [2]float64
			for i, n := range []int{few, many} {
				b := newBench(t, sql, n)
				b.part.delay = 3600 * second // nothing is late for any window: what is, is copied
				b.epoch()
				allocations[i] = testing.AllocsPerRun(runs, b.epoch)
			}
			t.Logf("%.0f allocations for %d records, %.0f for %d", allocations[0], few, allocations[1], many)
			if allocations[0] > perEpoch || allocations[1] > allocations[0] {
				t.Errorf("%.0f allocations for %d records, %.0f for %d; want at most %d, and no more for more records",
					allocations[0], few, allocations[1], many, perEpoch)
			}
		})
	}
}

// TestBenchRecordsArrive guards the test above: all records reach the views.
func TestBenchRecordsArrive(t *testing.T) {
	b := newBench(t, furtherSQL, 1000)
	b.chunk.Next = 1000
	b.worker.process(b.part, &b.chunk, b.floors, nil)
	if n := len(b.worker.part.refused) + len(b.worker.part.late); n > 0 {
		t.Fatalf("%d records are refused or late: %v", n, b.worker.part.refused)
	}
	for i, v := range b.worker.part.views {
		c := v.input(0, b.part)
		if c.Read != 1000 || c.Accepted+c.Filtered != 1000 || c.Accepted == 0 {
			t.Errorf("view %d: %+v", i, *c)
		}
	}
	if groups := b.worker.part.views[0].groups.Len(); groups != 6 {
		t.Errorf("%d groups, want 3 types in 2 windows", groups)
	}
}

// BenchmarkWorker tells how many events a second one worker takes.
func BenchmarkWorker(b *testing.B) {
	for name, sql := range map[string]string{"skeleton": skeletonSQL, "each_way": furtherSQL} {
		b.Run(name, func(b *testing.B) {
			const records = 4000
			w := newBench(b, sql, records)
			w.epoch()
			b.SetBytes(w.bytes)
			b.ReportAllocs()
			for b.Loop() {
				w.epoch()
			}
			b.ReportMetric(float64(b.N)*records/b.Elapsed().Seconds(), "events/s")
		})
	}
}
