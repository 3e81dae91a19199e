package kafka

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-dev/millstream/internal/engine"
)

var readPartition = engine.Partition{TopicKey: engine.TopicKey{Server: "kafka", Topic: "t"}}

// reading gives a source that reads a partition from an offset on, without a
// broker, and a function that hands Poll an answer as a broker's goroutine does.
func reading(t *testing.T, from int64) (s *Source, hand func(part kmsg.FetchResponseTopicPartition)) {
	t.Helper()
	p := readPartition
	s, err := NewSource(map[string]Config{p.Server: {Brokers: []string{"127.0.0.1:1"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.ids[p.TopicKey] = engine.TopicID{1}
	if err := s.Start(t.Context(), map[engine.Partition]int64{p: from}); err != nil {
		t.Fatal(err)
	}
	return s, func(part kmsg.FetchResponseTopicPartition) {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.Partitions = p.Topic, append(topic.Partitions, part)
		resp := kmsg.NewPtrFetchResponse()
		resp.Topics = append(resp.Topics, topic)
		f := s.fetchers[p.Server]
		c := f.at(p)
		select {
		case s.responses <- f.answer([]asked{{c, c.offset, c.epoch, c.leaderEpoch}}, resp, nil):
		case <-s.closed:
		}
	}
}

func (f *fetcher) at(p engine.Partition) *cursor {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cursors[p]
}

func batches(all ...[]byte) kmsg.FetchResponseTopicPartition {
	part := kmsg.NewFetchResponseTopicPartition()
	for _, b := range all {
		part.RecordBatches = append(part.RecordBatches, b...)
	}
	return part
}

// TestCutCompressionIsTold holds that records whose compressed bytes are cut
// off end reading, although the error is one that a broken connection gives
// too: what was fetched behind them must not be taken in their place.
func TestCutCompressionIsTold(t *testing.T) {
	for _, codec := range []kgo.CompressionCodecType{kgo.CodecGzip, kgo.CodecLz4, kgo.CodecZstd, kgo.CodecSnappy} {
		s, hand := reading(t, 10)
		whole := oneBatch(t, 5, codec)
		cut := whole[:len(whole)-12]
		binary.BigEndian.PutUint32(cut[lengthAt:], uint32(len(cut)-afterLength))
		binary.BigEndian.PutUint32(cut[crcAt:], crc32.Checksum(cut[attributesAt:], castagnoli))
		behind := entry{first: 15, last: 15, producer: -1, records: []kmsg.Record{{Value: []byte("behind")}}}.bytes(t)
		go func() {
			hand(batches(cut))
			hand(batches(behind))
		}()
		for range 2 {
			chunks, err := s.Poll(t.Context(), 100)
			if err == nil || !strings.Contains(err.Error(), "offset 10") {
				t.Errorf("codec %d: %v, %v; want an error that names offset 10", codec, chunks, err)
			}
		}
	}
}

// TestSharesFollowEachOther holds that a share is not taken when one before it
// was not.
func TestSharesFollowEachOther(t *testing.T) {
	s, hand := reading(t, 5)
	f := s.fetchers[readPartition.Server]
	f.mu.Lock()
	f.cursors[readPartition].offset = 10
	f.mu.Unlock()
	go hand(batches(oneBatch(t, 5, kgo.CodecNone)))
	if chunks, err := s.Poll(t.Context(), 100); err == nil {
		t.Errorf("offsets 5 to 9 were never given, and Poll goes on with %v", chunks)
	}
}

// TestLogThatWasCutBackIsTold holds that reading ends when a new leader says
// that its log is not the one that was read, also where it has grown past the
// position meanwhile.
func TestLogThatWasCutBackIsTold(t *testing.T) {
	s, hand := reading(t, 10)
	part := batches()
	part.DivergingEpoch.Epoch, part.DivergingEpoch.EndOffset = 2, 7
	go hand(part)
	_, err := s.Poll(t.Context(), 100)
	var lost *engine.LostError
	if !errors.As(err, &lost) || lost.From != 7 || lost.To != 10 {
		t.Errorf("%v, want offsets 7 to 9 to be told as lost", err)
	}
}

// TestSetBackKeepsAResume holds that a partition goes on that is resumed while
// Poll puts back what it has of it.
func TestSetBackKeepsAResume(t *testing.T) {
	s, _ := reading(t, 10)
	f := s.fetchers[readPartition.Server]
	s.SetPaused([]engine.Partition{readPartition})
	c := f.at(readPartition)
	if alive, paused := f.alive(c); !alive || !paused {
		t.Fatalf("alive %t, paused %t", alive, paused)
	}
	s.SetPaused(nil) // Poll has just seen it paused
	f.setBack(c, 7)
	if now := f.at(readPartition); now.paused || now.offset != 7 || now == c {
		t.Errorf("the partition is paused for good: %+v", now)
	}
	f.setBack(c, 3)
	if now := f.at(readPartition); now.offset != 7 {
		t.Error("a cursor that was replaced has set its partition back")
	}
}

// TestAbortedBatchBeyondTheLimit holds that a batch which is too large and of
// an aborted transaction is left out as any other.
func TestAbortedBatchBeyondTheLimit(t *testing.T) {
	const limit = 4096
	large := entry{first: 1, last: 1, codec: kgo.CodecGzip, attributes: transactional, producer: 7, records: []kmsg.Record{{Value: make([]byte, limit+1)}}}
	marker := entry{first: 2, last: 2, attributes: transactional | control, producer: 7, records: []kmsg.Record{{Key: []byte{0, 0, 0, 0}}}}
	good := entry{first: 3, last: 3, attributes: transactional, producer: 7, records: []kmsg.Record{{Value: []byte("good")}}}
	log := append(append(large.bytes(t), marker.bytes(t)...), good.bytes(t)...)
	aborted := []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7, FirstOffset: 1}}
	records, next, err := walkAll(log, aborted, 1, 100, testDecompressor(t, limit))
	if err != nil || next != 4 || len(records) != 1 || records[0].Offset != 3 {
		t.Errorf("%d records up to offset %d, %v; want the one at offset 3", len(records), next, err)
	}
}

// TestOffsetsBeyondTheLimitComeInPieces holds that a batch which is too large
// gives each of its offsets once, however few records are asked for at once.
func TestOffsetsBeyondTheLimitComeInPieces(t *testing.T) {
	s, hand := reading(t, 12)
	s.unpack[readPartition.Server] = testDecompressor(t, 1024)
	go hand(batches(oneBatch(t, 50, kgo.CodecGzip), entry{first: 60, last: 60, producer: -1, records: []kmsg.Record{{Value: []byte("behind")}}}.bytes(t)))
	next := int64(12)
	for next < 61 {
		chunks, err := s.Poll(t.Context(), 7)
		if err != nil || len(chunks) != 1 || len(chunks[0].Records) > 7 {
			t.Fatalf("%v, %v; want a chunk of at most 7 records", chunks, err)
		}
		for _, r := range chunks[0].Records {
			if r.Offset != next || r.Oversize != (r.Offset < 60) {
				t.Fatalf("offset %d, oversize %t; want offset %d", r.Offset, r.Oversize, next)
			}
			next++
		}
		chunks[0].Release()
	}
}

// TestEachPartitionIsAskedForFirst holds that in turn each partition stands
// first in a request, also that of a later topic: a broker fills its answer in
// the request's order, and the last may get nothing.
func TestEachPartitionIsAskedForFirst(t *testing.T) {
	s, _ := reading(t, 0)
	f := s.fetchers[readPartition.Server]
	f.mu.Lock()
	clear(f.cursors)
	for _, topic := range []string{"a", "b", "c"} {
		for n := range int32(2) {
			p := engine.Partition{TopicKey: engine.TopicKey{Server: "kafka", Topic: topic}, Partition: n}
			f.cursors[p] = &cursor{partition: p, leader: 1}
		}
	}
	f.mu.Unlock()
	first := map[engine.Partition]bool{}
	for turn := range 6 {
		all := f.take(1, turn)
		if topics := len(request(all).Topics); len(all) != 6 || topics != 3 {
			t.Errorf("turn %d: %d partitions of %d topics are asked for, want 6 of 3", turn, len(all), topics)
		}
		first[all[0].cursor.partition] = true
		f.mu.Lock()
		for _, a := range all {
			a.cursor.busy = false
		}
		f.mu.Unlock()
	}
	if len(first) != 6 {
		t.Errorf("%d of 6 partitions came first", len(first))
	}
}
