package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/engine/enginetest"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/local"
)

// brokersVariable points these tests at a Kafka cluster, as host:port[,…],
// instead of the embedded broker. They make topics there and leave them.
const brokersVariable = "MILLSTREAM_TEST_KAFKA_BROKERS"

// brokers gives a cluster's addresses, and what ends it.
func brokers(t *testing.T) (addresses []string, stop func()) {
	t.Helper()
	if list := os.Getenv(brokersVariable); list != "" {
		return strings.Split(list, ","), func() {}
	}
	b, err := local.StartBroker(local.BrokerOptions{Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return []string{b.Addr()}, func() { b.Close() }
}

func TestSource(t *testing.T) {
	enginetest.RunSource(t, func(t *testing.T) enginetest.SourceEnv {
		addresses, stop := brokers(t)
		c := newCluster(t, addresses)
		return enginetest.SourceEnv{
			Log: c,
			Close: func() {
				c.close()
				stop()
			},
			Open: func(t *testing.T, group string) engine.Source {
				s, err := kafka.NewSource(map[string]kafka.Config{"kafka": {Brokers: addresses, Group: group}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
		}
	})
}

// cluster changes a cluster for the suite. It uses the library alone, so that
// no mistake of package kafka's is on both sides.
type cluster struct {
	t         *testing.T
	addresses []string
	client    *kgo.Client
	admin     *kadm.Client
	clients   []*kgo.Client // all that were connected
	cancels   []context.CancelFunc
}

// close disconnects.
func (c *cluster) close() {
	for _, client := range c.clients {
		client.Close()
	}
	for _, cancel := range c.cancels {
		cancel()
	}
	c.clients, c.cancels = nil, nil
}

func newCluster(t *testing.T, addresses []string) *cluster {
	t.Helper()
	c := &cluster{t: t, addresses: addresses}
	t.Cleanup(c.close)
	c.client = c.connect()
	c.admin = kadm.NewClient(c.client)
	return c
}

func (c *cluster) connect(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	client, err := kgo.NewClient(append(opts,
		kgo.SeedBrokers(c.addresses...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(50*time.Millisecond),
	)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.clients = append(c.clients, client)
	return client
}

func (c *cluster) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	c.cancels = append(c.cancels, cancel)
	return ctx
}

func (c *cluster) must(what string, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

func (c *cluster) Create(topic string, partitions int) {
	c.t.Helper()
	never := "-1"
	ctx := c.context()
	_, err := c.admin.CreateTopic(ctx, int32(partitions), -1, map[string]*string{"retention.ms": &never}, topic)
	for errors.Is(err, kerr.TopicAlreadyExists) && ctx.Err() == nil {
		// With ZooKeeper a topic that was deleted is gone from a broker's view
		// before it is gone.
		_, err = c.admin.CreateTopic(ctx, int32(partitions), -1, map[string]*string{"retention.ms": &never}, topic)
	}
	c.must("create topic", err)
	c.await(topic, func(d kadm.TopicDetail) bool { return d.Err == nil && len(d.Partitions) == partitions && led(d) })
	c.client.PurgeTopicsFromClient(topic)
}

// led tells that all partitions have leaders.
func led(d kadm.TopicDetail) bool {
	for _, p := range d.Partitions {
		if p.Err != nil || p.Leader < 0 {
			return false
		}
	}
	return true
}

// await asks until the topic is as wanted.
func (c *cluster) await(topic string, wanted func(kadm.TopicDetail) bool) {
	c.t.Helper()
	ctx := c.context()
	for {
		topics, err := c.admin.ListTopics(ctx, topic)
		c.must("list topics", err)
		if wanted(topics[topic]) {
			return
		}
	}
}

func (c *cluster) Delete(topic string) {
	c.t.Helper()
	_, err := c.admin.DeleteTopic(c.context(), topic)
	c.must("delete topic", err)
	c.await(topic, func(d kadm.TopicDetail) bool { return d.Err != nil })
}

func (c *cluster) Grow(topic string, partitions int) {
	c.t.Helper()
	rs, err := c.admin.UpdatePartitions(c.context(), partitions, topic)
	c.must("add partitions", err)
	c.must("add partitions", rs.Error())
	c.await(topic, func(d kadm.TopicDetail) bool { return len(d.Partitions) == partitions && led(d) })
	c.client.PurgeTopicsFromClient(topic)
}

func records(topic string, partition int32, in []engine.Record) []*kgo.Record {
	out := make([]*kgo.Record, len(in))
	for i, r := range in {
		out[i] = &kgo.Record{Topic: topic, Partition: partition, Key: r.Key, Value: r.Value}
		if r.Timestamp != 0 {
			out[i].Timestamp = time.UnixMicro(r.Timestamp)
		}
		for _, h := range r.Headers {
			out[i].Headers = append(out[i].Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	return out
}

func (c *cluster) Produce(topic string, partition int32, rs []engine.Record) int64 {
	c.t.Helper()
	results := c.client.ProduceSync(c.context(), records(topic, partition, rs)...)
	c.must("produce", results.FirstErr())
	return results[0].Record.Offset
}

func (c *cluster) Begin(topic string, partition int32, rs []engine.Record) func(commit bool) {
	c.t.Helper()
	end, _ := c.begin(topic, partition, rs)
	return end
}

func (c *cluster) begin(topic string, partition int32, rs []engine.Record) (func(commit bool), int64) {
	c.t.Helper()
	client := c.connect(kgo.TransactionalID(fmt.Sprintf("%s-%d-%d", c.t.Name(), time.Now().UnixNano(), len(c.clients))))
	c.must("begin", client.BeginTransaction())
	results := client.ProduceSync(c.context(), records(topic, partition, rs)...)
	c.must("produce in a transaction", results.FirstErr())
	return func(commit bool) {
		c.t.Helper()
		c.must("end transaction", client.EndTransaction(c.context(), kgo.TransactionEndTry(commit)))
	}, results[0].Record.Offset
}

func (c *cluster) Transaction(topic string, partition int32, rs []engine.Record, commit bool) int64 {
	c.t.Helper()
	end, first := c.begin(topic, partition, rs)
	end(commit)
	return first
}

func (c *cluster) Truncate(topic string, partition int32, before int64) {
	c.t.Helper()
	var offsets kadm.Offsets
	offsets.AddOffset(topic, partition, before, -1)
	rs, err := c.admin.DeleteRecords(c.context(), offsets)
	c.must("delete records", err)
	c.must("delete records", rs.Error())
}

func (c *cluster) Group(group, topic string) map[int32]int64 {
	c.t.Helper()
	rs, err := c.admin.FetchOffsets(c.context(), group)
	c.must("fetch group offsets", err)
	offsets := make(map[int32]int64)
	rs.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topic {
			offsets[o.Partition] = o.At
		}
	})
	return offsets
}
