package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/goleak"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
)

// open makes a producer and an Admin on a cluster.
func open(t *testing.T) (*cluster, *kafka.Producer, *kafka.Admin) {
	t.Helper()
	addresses, _ := brokers(t)
	c := newCluster(t, addresses)
	p, err := kafka.NewProducer(kafka.Config{Brokers: addresses})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	a, err := kafka.NewAdmin(kafka.Config{Brokers: addresses})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return c, p, a
}

func topicName(t *testing.T) string { return fmt.Sprintf("t-%x", time.Now().UnixNano()) }

// TestKeysHashAsJavas has values of Kafka's own test of its murmur2.
func TestKeysHashAsJavas(t *testing.T) {
	_, p, _ := open(t)
	topic := topicName(t)
	const partitions = 1000
	if _, err := p.EnsureTopic(t.Context(), topic, partitions); err != nil {
		t.Fatal(err)
	}
	for key, hash := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		d := p.SendAll(t.Context(), []kafka.Outgoing{{Topic: topic, Partition: kafka.AnyPartition, Key: []byte(key), Value: []byte("v")}})
		if want := (hash & 0x7fffffff) % partitions; d[0].Err != nil || d[0].Partition != want {
			t.Errorf("key %q went to partition %d, %v, want %d", key, d[0].Partition, d[0].Err, want)
		}
	}
}

func TestProducerCounts(t *testing.T) {
	_, p, a := open(t)
	topic := topicName(t)
	if _, err := p.EnsureTopic(t.Context(), topic, 3); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Repeat([]byte("0123456789abcdef"), 2<<20/16)
	d := p.SendAll(t.Context(), []kafka.Outgoing{
		{Topic: topic, Partition: 2, Key: []byte("k"), Value: []byte("one")},
		{Topic: topic, Partition: 2, Value: huge},
		{Topic: topic, Partition: 2, Value: []byte("two"), Headers: []engine.Header{{Key: "h", Value: []byte("x")}}},
		{Topic: topic, Partition: 9, Value: []byte("no such partition")},
	})
	if d[0].Err != nil || d[2].Err != nil || d[0].Partition != 2 || d[0].Offset != 0 || d[2].Offset != 1 {
		t.Errorf("deliveries %+v", d)
	}
	if !errors.Is(d[1].Err, kerr.MessageTooLarge) || d[3].Err == nil {
		t.Errorf("errors %v and %v: want a record too large, and a partition that is not there", d[1].Err, d[3].Err)
	}
	if got, want := p.Sent(), (kafka.Sent{Delivered: 2, Failed: 2, Bytes: 7}); got != want {
		t.Errorf("sent %+v, want %+v", got, want)
	}
	if p.Flush(t.Context()) == nil {
		t.Error("Flush does not say that records failed")
	}
	at := time.UnixMilli(1_700_000_000_123)
	for i := range 1000 {
		r := kafka.Outgoing{Topic: topic, Partition: 0, Value: fmt.Appendf(nil, "%d", i), Timestamp: at}
		if err := p.Send(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	_ = p.Flush(t.Context())
	if got := p.Sent(); got.Delivered != 1002 || got.Failed != 2 {
		t.Fatalf("sent %+v, want 1002 delivered: %v", got, p.Err())
	}
	last, err := a.Peek(t.Context(), topic, 1002)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range last[:1000] { // older than the two of the present
		if r.Partition != 0 || string(r.Value) != fmt.Sprint(i) || r.Timestamp != at.UnixMicro() {
			t.Fatalf("record %d: %+v", i, r)
		}
	}
}

func TestPeekAndTopics(t *testing.T) {
	c, _, a := open(t)
	topic := topicName(t)
	c.Create(topic, 3)
	if got, err := a.Peek(t.Context(), topic, 5); err != nil || len(got) != 0 {
		t.Fatalf("an empty topic: %v, %v", got, err)
	}
	rs := make([]engine.Record, 10)
	for i := range rs {
		rs[i] = engine.Record{Value: fmt.Appendf(nil, "a%d", i), Timestamp: int64(1000+2*i) * 1000}
	}
	c.Produce(topic, 0, rs)
	for i := range rs {
		rs[i] = engine.Record{Value: fmt.Appendf(nil, "b%d", i), Timestamp: int64(1001+2*i) * 1000}
	}
	c.Produce(topic, 2, rs)
	c.Transaction(topic, 2, []engine.Record{{Value: []byte("aborted")}}, false)
	c.Truncate(topic, 0, 4)
	got, err := a.Peek(t.Context(), topic, 4)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, r := range got {
		values = append(values, string(r.Value))
	}
	// Of partition 2, the last two offsets are the aborted record and its
	// marker: two records of it are left in reach.
	if fmt.Sprint(values) != "[a8 b8 a9 b9]" {
		t.Errorf("the last four: %v", values)
	}
	if _, err := a.Peek(t.Context(), "no-such-topic", 1); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("Peek of a topic that is not there: %v", err)
	}
	topics, err := a.Topics(t.Context(), topic)
	if err != nil || len(topics) != 1 {
		t.Fatalf("%v, %v", topics, err)
	}
	top := topics[0]
	want := []engine.Offsets{{Start: 4, End: 10}, {}, {Start: 0, End: 12}}
	for i, p := range top.Partitions {
		if p.Offsets != want[i] || p.Err != nil || i != 1 && p.Bytes <= 0 {
			t.Errorf("partition %d: %+v, want %+v and a size", i, p, want[i])
		}
	}
	if top.Name != topic || top.Records() != 18 || top.Bytes() <= 0 || top.ID == (engine.TopicID{}) {
		t.Errorf("%+v, %d records, %d bytes", top, top.Records(), top.Bytes())
	}
	if err := a.CreateTopic(t.Context(), topic, 1, 0, nil); !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Errorf("CreateTopic of one that is there: %v", err)
	}
	if id, err := a.Ping(t.Context()); err != nil || id == "" {
		t.Errorf("Ping: %q, %v", id, err)
	}
}

func TestProducerLeavesNothing(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	addresses, stop := brokers(t)
	p, err := kafka.NewProducer(kafka.Config{Brokers: addresses})
	if err != nil {
		t.Fatal(err)
	}
	topic := topicName(t)
	if _, err := p.EnsureTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(t.Context(), kafka.Outgoing{Topic: topic, Partition: kafka.AnyPartition, Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.Close()
	stop()
	if err := goleak.Find(leaks); err != nil {
		t.Error(err)
	}
}

// TestBrokerAway has no broker: waiting ends with the context, and says why.
func TestBrokerAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // nobody answers there
	p, err := kafka.NewProducer(kafka.Config{Brokers: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	d := p.SendAll(ctx, []kafka.Outgoing{{Topic: "t", Partition: kafka.AnyPartition, Value: []byte("v")}})
	if d[0].Err == nil {
		t.Error("a record was delivered without a broker")
	}
	if err := p.Health(); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("Health: %v, want what is wrong with %s", err, address)
	}
	_, err = p.EnsureTopic(ctx, "t", 1)
	if err == nil || !strings.Contains(err.Error(), "is the broker running") {
		t.Errorf("EnsureTopic: %v, want a hint", err)
	}
}
