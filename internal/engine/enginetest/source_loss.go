package enginetest

import "github.com/millstream-dev/millstream/internal/engine"

func lostBeforeStart(s *sourceTest) {
	topic, ps := s.topic(1)
	s.log.Produce(topic, 0, series("v", 20))
	s.log.Truncate(topic, 0, 15)
	r := s.read(map[engine.Partition]int64{ps[0]: 10})
	s.loss(r.failure(), ps[0], 10, 15)
	s.loss(r.failure(), ps[0], 10, 15) // and again: it does not heal
	// At the first that is held, nothing is lost.
	second := s.env.Open(s.T, "")
	defer second.Close()
	s.src.Close()
	s.src = second
	r = s.read(map[engine.Partition]int64{ps[0]: 15})
	r.until(map[engine.Partition]int64{ps[0]: 20})
}

// lostWhileReading pauses, and polls until nothing that was fetched before
// can be held, so that retention passes the position for sure.
func lostWhileReading(s *sourceTest) {
	topic, ps := s.topic(2)
	s.log.Produce(topic, 0, series("v", 5))
	r := s.read(map[engine.Partition]int64{ps[0]: 0, ps[1]: 0})
	r.until(map[engine.Partition]int64{ps[0]: 5})
	s.src.SetPaused(ps[:1])
	s.log.Produce(topic, 0, series("w", 10))
	r.quiet()
	s.log.Truncate(topic, 0, 12)
	s.src.SetPaused(nil)
	s.loss(r.failure(), ps[0], 5, 12)
	if n := len(r.records[ps[0]]); n != 5 {
		s.Errorf("%d records read, want 5", n)
	}
}

func beyondEnd(s *sourceTest) {
	topic, ps := s.topic(1)
	s.log.Produce(topic, 0, series("v", 5))
	r := s.read(map[engine.Partition]int64{ps[0]: 9})
	s.loss(r.failure(), ps[0], 5, -1)
}

func deletedTopic(s *sourceTest) {
	topic, ps := s.topic(1)
	s.log.Produce(topic, 0, series("v", 5))
	r := s.read(map[engine.Partition]int64{ps[0]: 0})
	r.until(map[engine.Partition]int64{ps[0]: 5})
	s.log.Delete(topic)
	s.loss(r.failure(), ps[0], 5, -1)
}

// recreatedTopic has records at the position again, which must not be read.
func recreatedTopic(s *sourceTest) {
	topic, ps := s.topic(1)
	wanted := map[engine.TopicKey]int{key(topic): 0}
	before, err := s.src.Describe(s.ctx, wanted)
	if err != nil {
		s.Fatal(err)
	}
	s.log.Produce(topic, 0, series("v", 5))
	r := s.read(map[engine.Partition]int64{ps[0]: 0})
	r.until(map[engine.Partition]int64{ps[0]: 5})
	s.log.Delete(topic)
	s.log.Create(topic, 1)
	s.log.Produce(topic, 0, series("w", 10))
	s.loss(r.failure(), ps[0], 5, -1)
	if n := len(r.records[ps[0]]); n != 5 {
		s.Errorf("%d records read, want 5: those of the new topic are not ours", n)
	}
	after, err := s.src.Describe(s.ctx, wanted)
	if err != nil {
		s.Fatal(err)
	}
	if before[key(topic)].ID == after[key(topic)].ID {
		s.Errorf("a topic that was made again has the same id %x", after[key(topic)].ID)
	}
}
