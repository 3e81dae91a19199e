package enginetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
)

func describeMakes(s *sourceTest) {
	there, _ := s.topic(3)
	absent := "suite-absent-" + unique()
	wanted := map[engine.TopicKey]int{key(there): 5, key(absent): 4}
	infos, err := s.src.Describe(s.ctx, wanted)
	if err != nil {
		s.Fatal(err)
	}
	if n := infos[key(there)].Partitions; n != 3 {
		s.Errorf("a topic that was there has %d partitions, want its own 3", n)
	}
	if n := infos[key(absent)].Partitions; n != 4 {
		s.Errorf("a topic that was made has %d partitions, want 4", n)
	}
	if infos[key(there)].ID == infos[key(absent)].ID || infos[key(there)].ID == (engine.TopicID{}) {
		s.Errorf("topic ids %x and %x", infos[key(there)].ID, infos[key(absent)].ID)
	}
	again, err := s.src.Describe(s.ctx, wanted)
	if err != nil {
		s.Fatal(err)
	}
	for k, info := range infos {
		if again[k] != info {
			s.Errorf("described twice: %v, then %v", info, again[k])
		}
	}
	byDefault := "suite-default-" + unique()
	infos, err = s.src.Describe(s.ctx, map[engine.TopicKey]int{key(byDefault): 0})
	if err != nil {
		s.Fatal(err)
	}
	if infos[key(byDefault)].Partitions < 1 {
		s.Errorf("a topic by the cluster's default has %d partitions", infos[key(byDefault)].Partitions)
	}
}

func describeGrows(s *sourceTest) {
	topic, _ := s.topic(1)
	wanted := map[engine.TopicKey]int{key(topic): 0}
	before, err := s.src.Describe(s.ctx, wanted)
	if err != nil {
		s.Fatal(err)
	}
	s.log.Grow(topic, 3)
	after, err := s.src.Describe(s.ctx, wanted)
	if err != nil {
		s.Fatal(err)
	}
	if after[key(topic)].Partitions != 3 || after[key(topic)].ID != before[key(topic)].ID {
		s.Errorf("before %v, after %v: want 3 partitions and the same id", before[key(topic)], after[key(topic)])
	}
}

func unknownServer(s *sourceTest) {
	k := engine.TopicKey{Server: "elsewhere", Topic: "t"}
	if _, err := s.src.Describe(s.ctx, map[engine.TopicKey]int{k: 1}); err == nil {
		s.Error("Describe of a server that is not configured succeeds")
	}
	if _, err := s.src.ClusterID(s.ctx, "elsewhere"); err == nil {
		s.Error("ClusterID of a server that is not configured succeeds")
	}
	id, err := s.src.ClusterID(s.ctx, sourceServer)
	if err != nil || id == "" {
		s.Errorf("ClusterID: %q, %v", id, err)
	}
}

func inOrder(s *sourceTest) {
	topic, ps := s.topic(1)
	s.log.Produce(topic, 0, series("a", 500))
	s.log.Produce(topic, 0, series("b", 500))
	r := s.read(map[engine.Partition]int64{ps[0]: 0})
	r.until(map[engine.Partition]int64{ps[0]: 1000})
	if r.end[ps[0]] != 1000 && r.end[ps[0]] != -1 {
		s.Errorf("the last chunk says that the partition ends at %d, not at 1000", r.end[ps[0]])
	}
	want := append(series("a", 500), series("b", 500)...)
	if len(r.records[ps[0]]) != len(want) {
		s.Fatalf("%d records, want %d", len(r.records[ps[0]]), len(want))
	}
	for i, rec := range r.records[ps[0]] {
		if rec.Offset != int64(i) || !bytes.Equal(rec.Value, want[i].Value) {
			s.Fatalf("record %d: offset %d, value %q, want %q", i, rec.Offset, rec.Value, want[i].Value)
		}
	}
	r.quiet()
}

// exactStarts begins in the middle of a batch, and again elsewhere.
func exactStarts(s *sourceTest) {
	topic, ps := s.topic(1)
	s.log.Produce(topic, 0, values("a", "b", "c", "d", "e"))
	r := s.read(map[engine.Partition]int64{ps[0]: 3})
	r.until(map[engine.Partition]int64{ps[0]: 5})
	r.got(ps[0], "d", "e")
	r = s.read(map[engine.Partition]int64{ps[0]: 1})
	r.until(map[engine.Partition]int64{ps[0]: 5})
	r.got(ps[0], "b", "c", "d", "e")
}

func startAtEnd(s *sourceTest) {
	topic, ps := s.topic(1)
	s.log.Produce(topic, 0, values("old"))
	r := s.read(map[engine.Partition]int64{ps[0]: 1})
	r.quiet()
	s.log.Produce(topic, 0, values("new"))
	r.until(map[engine.Partition]int64{ps[0]: 2})
	r.got(ps[0], "new")
}

func contents(s *sourceTest) {
	topic, ps := s.topic(1)
	at := time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC)
	want := []engine.Record{
		{Key: []byte("k"), Value: []byte("v"), Timestamp: at.UnixMicro()},
		{Key: nil, Value: []byte("without key"), Timestamp: at.UnixMicro()},
		{Key: []byte("tombstone"), Value: nil, Timestamp: at.UnixMicro()},
		{Key: []byte{}, Value: []byte{}, Timestamp: at.UnixMicro()},
		{Key: []byte{0, 255}, Value: []byte{0xff, 0x00, 0x80}, Timestamp: at.UnixMicro()},
		{Value: []byte("h"), Timestamp: at.UnixMicro(), Headers: []engine.Header{
			{Key: "a", Value: []byte("1")}, {Key: "b", Value: nil}, {Key: "a", Value: []byte{0xfe}},
		}},
		{Value: []byte("old"), Timestamp: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()},
	}
	s.log.Produce(topic, 0, want)
	r := s.read(map[engine.Partition]int64{ps[0]: 0})
	r.until(map[engine.Partition]int64{ps[0]: int64(len(want))})
	for i, got := range r.records[ps[0]] {
		if !sameRecord(got, want[i]) || got.Timestamp != want[i].Timestamp {
			s.Errorf("record %d: %+v, want %+v", i, got, want[i])
		}
	}
}

func severalPartitions(s *sourceTest) {
	a, pa := s.topic(3)
	b, pb := s.topic(2)
	ends := make(map[engine.Partition]int64)
	positions := make(map[engine.Partition]int64)
	for i, p := range append(pa[:2:2], pb...) {
		n := 10 * (i + 1)
		topic := a
		if p.Topic == b {
			topic = b
		}
		s.log.Produce(topic, p.Partition, series("v", n))
		ends[p], positions[p] = int64(n), int64(i)
	}
	s.log.Produce(a, 2, values("of a partition that is not read"))
	r := s.read(positions)
	r.until(ends)
	for p, end := range ends {
		if n := int64(len(r.records[p])); n != end-positions[p] {
			s.Errorf("%v: %d records, want %d", p, n, end-positions[p])
		}
	}
}

func addWhileReading(s *sourceTest) {
	topic, _ := s.topic(1)
	ps := partitionsOf(topic, 2)
	s.log.Produce(topic, 0, values("a", "b"))
	r := s.read(map[engine.Partition]int64{ps[0]: 0})
	r.until(map[engine.Partition]int64{ps[0]: 2})
	s.log.Grow(topic, 2)
	s.log.Produce(topic, 1, values("x", "y", "z"))
	s.start(map[engine.Partition]int64{ps[1]: 1})
	r.next[ps[1]] = 1
	s.log.Produce(topic, 0, values("c"))
	r.until(map[engine.Partition]int64{ps[0]: 3, ps[1]: 3})
	r.got(ps[0], "a", "b", "c")
	r.got(ps[1], "y", "z")
}

func maxRecords(s *sourceTest) {
	topic, ps := s.topic(2)
	s.log.Produce(topic, 0, series("a", 50))
	s.log.Produce(topic, 1, series("b", 50))
	r := s.read(map[engine.Partition]int64{ps[0]: 0, ps[1]: 0})
	for r.next[ps[0]] < 50 || r.next[ps[1]] < 50 {
		if _, err := r.poll(s.ctx, 7); err != nil { // poll checks the number
			s.Fatal(err)
		}
	}
	if n := len(r.records[ps[0]]) + len(r.records[ps[1]]); n != 100 {
		s.Errorf("%d records, want 100", n)
	}
}

// largeRecords are near a broker's limit of 1 MiB, and together more than one
// fetch of a partition.
func largeRecords(s *sourceTest) {
	const count = 24
	topic, ps := s.topic(1)
	value := bytes.Repeat([]byte("0123456789abcdef"), 900<<10/16)
	for range count {
		s.log.Produce(topic, 0, []engine.Record{{Value: value}})
	}
	r := s.read(map[engine.Partition]int64{ps[0]: 0})
	r.until(map[engine.Partition]int64{ps[0]: count})
	for i, rec := range r.records[ps[0]] {
		if !bytes.Equal(rec.Value, value) {
			s.Fatalf("record %d has %d bytes, or other ones", i, len(rec.Value))
		}
	}
}

func aborted(s *sourceTest) {
	topic, ps := s.topic(1)
	s.log.Produce(topic, 0, values("plain"))                                // 0
	s.log.Transaction(topic, 0, values("never", "never"), false)            // 1, 2, marker 3
	s.log.Transaction(topic, 0, values("committed", "committed too"), true) // 4, 5, marker 6
	s.log.Transaction(topic, 0, values("never at the end"), false)          // 7, marker 8
	r := s.read(map[engine.Partition]int64{ps[0]: 0})
	r.until(map[engine.Partition]int64{ps[0]: 9}) // past the last marker, and the aborted record
	r.got(ps[0], "plain", "committed", "committed too")
	for i, want := range []int64{0, 4, 5} {
		if got := r.records[ps[0]][i].Offset; got != want {
			s.Errorf("record %d has offset %d, want %d", i, got, want)
		}
	}
	r.quiet()
	offsets, err := s.src.Offsets(s.ctx, ps)
	if err != nil || offsets[ps[0]].End != 9 {
		s.Errorf("ends %v, %v: the position, 9, must have reached it", offsets, err)
	}
	// From among the skipped ones.
	r = s.read(map[engine.Partition]int64{ps[0]: 2})
	r.until(map[engine.Partition]int64{ps[0]: 9})
	r.got(ps[0], "committed", "committed too")
}

func openTransaction(s *sourceTest) {
	topic, ps := s.topic(1)
	s.log.Produce(topic, 0, values("before"))
	end := s.log.Begin(topic, 0, values("inside"))
	s.log.Produce(topic, 0, values("after"))
	r := s.read(map[engine.Partition]int64{ps[0]: 0})
	r.until(map[engine.Partition]int64{ps[0]: 1})
	r.quiet()
	offsets, err := s.src.Offsets(s.ctx, ps)
	if err != nil || offsets[ps[0]] != (engine.Offsets{Start: 0, End: 1}) {
		s.Errorf("ends %v, %v, want 0 to 1: the last stable offset", offsets, err)
	}
	end(true)
	r.until(map[engine.Partition]int64{ps[0]: 4})
	r.got(ps[0], "before", "inside", "after")
}

func pausing(s *sourceTest) {
	topic, ps := s.topic(2)
	r := s.read(map[engine.Partition]int64{ps[0]: 0, ps[1]: 0})
	s.log.Produce(topic, 0, values("a"))
	s.log.Produce(topic, 1, values("x"))
	r.until(map[engine.Partition]int64{ps[0]: 1, ps[1]: 1})

	s.src.SetPaused(ps[:1])
	s.log.Produce(topic, 0, values("b", "c"))
	s.log.Produce(topic, 1, values("y"))
	r.until(map[engine.Partition]int64{ps[1]: 2})
	r.quiet()
	r.got(ps[0], "a")

	s.src.SetPaused(ps[1:]) // the other one, and no longer the first
	s.log.Produce(topic, 1, values("z"))
	r.until(map[engine.Partition]int64{ps[0]: 3})
	r.quiet()
	r.got(ps[0], "a", "b", "c")
	r.got(ps[1], "x", "y")

	s.src.SetPaused(nil)
	r.until(map[engine.Partition]int64{ps[1]: 3})
	r.got(ps[1], "x", "y", "z")
}

func ends(s *sourceTest) {
	topic, ps := s.topic(3)
	s.log.Produce(topic, 1, series("v", 10))
	s.log.Produce(topic, 2, series("v", 10))
	s.log.Truncate(topic, 2, 4)
	got, err := s.src.Offsets(s.ctx, ps)
	if err != nil {
		s.Fatal(err)
	}
	want := []engine.Offsets{{Start: 0, End: 0}, {Start: 0, End: 10}, {Start: 4, End: 10}}
	for i, p := range ps {
		if got[p] != want[i] {
			s.Errorf("partition %d: %v, want %v", i, got[p], want[i])
		}
	}
	if _, err := s.src.Offsets(s.ctx, partitionsOf(topic, 4)); err == nil {
		s.Error("Offsets of a partition that does not exist succeeds")
	}
}

func atTime(s *sourceTest) {
	topic, ps := s.topic(2)
	base := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var records []engine.Record
	for i := range 5 {
		records = append(records, engine.Record{Value: []byte("v"), Timestamp: base.Add(time.Duration(i) * time.Second).UnixMicro()})
	}
	s.log.Produce(topic, 0, records)
	for _, c := range []struct {
		at   time.Time
		want int64
	}{
		{base.Add(-time.Hour), 0},
		{time.Time{}, 0},
		{base, 0},
		{base.Add(time.Microsecond), 1},
		{base.Add(2 * time.Second), 2},
		{base.Add(4 * time.Second), 4},
		{base.Add(4*time.Second + 1), 5},
		{base.Add(time.Hour), 5},
	} {
		got, err := s.src.OffsetsAt(s.ctx, ps, c.at)
		if err != nil {
			s.Fatal(err)
		}
		if got[ps[0]] != c.want || got[ps[1]] != 0 {
			s.Errorf("at %v: %d and %d, want %d and 0", c.at, got[ps[0]], got[ps[1]], c.want)
		}
	}
}

func groupOffsets(s *sourceTest) {
	topic, ps := s.topic(2)
	s.log.Produce(topic, 0, series("v", 10))
	s.log.Produce(topic, 1, series("v", 10))
	s.src.Committed(s.ctx, map[engine.Partition]int64{ps[0]: 3, ps[1]: 1})
	s.src.Committed(s.ctx, map[engine.Partition]int64{ps[0]: 7})
	s.src.Close() // writes what is left
	got := s.log.Group(s.group, topic)
	if got[0] != 7 || got[1] != 1 {
		s.Errorf("group offsets %v, want 7 and 1", got)
	}
}

func pollContext(s *sourceTest) {
	_, ps := s.topic(1)
	s.start(map[engine.Partition]int64{ps[0]: 0})
	ctx, cancel := context.WithCancel(s.ctx)
	polled := make(chan error, 1)
	go func() {
		_, err := s.src.Poll(ctx, anyNumber)
		polled <- err
	}()
	cancel()
	wait(s.T, s.ctx, polled, context.Canceled)
	if _, err := s.src.Poll(ctx, anyNumber); !errors.Is(err, context.Canceled) {
		s.Errorf("Poll with an ended context: %v", err)
	}
}

// wait receives an error and compares it; want nil takes any error.
func wait(t *testing.T, ctx context.Context, from <-chan error, want error) {
	t.Helper()
	select {
	case err := <-from:
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("got error %v, want %v", err, want)
		}
	case <-ctx.Done():
		t.Fatal("Poll does not return")
	}
}

func closing(s *sourceTest) {
	_, ps := s.topic(1)
	s.start(map[engine.Partition]int64{ps[0]: 0})
	polled := make(chan error, 1)
	go func() {
		_, err := s.src.Poll(s.ctx, anyNumber)
		polled <- err
	}()
	s.src.Close()
	wait(s.T, s.ctx, polled, nil)
	s.src.Close()
	if _, err := s.src.Poll(s.ctx, anyNumber); err == nil {
		s.Error("Poll after Close succeeds")
	}
}

func healthy(s *sourceTest) {
	topic, ps := s.topic(1)
	s.log.Produce(topic, 0, values("v"))
	r := s.read(map[engine.Partition]int64{ps[0]: 0})
	r.until(map[engine.Partition]int64{ps[0]: 1})
	if err := s.src.Health(); err != nil {
		s.Errorf("Health while reading: %v", err)
	}
}
