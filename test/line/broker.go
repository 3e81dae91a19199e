package line

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/local"
)

// fillLimit bounds the sending of a log.
const fillLimit = time.Minute

// Log is a topic's records by partition, in order.
type Log map[string][][]*kgo.Record

// Broker starts a broker in memory, which is stopped when the test ends.
func Broker(t testing.TB) string {
	t.Helper()
	b, err := local.StartBroker(local.BrokerOptions{Port: -1, NoAutoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b.Addr()
}

// Fill makes the log's topics and sends its records.
func Fill(t testing.TB, broker string, log Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), fillLimit)
	defer cancel()
	if err := fill(ctx, broker, log); err != nil {
		t.Fatal(err)
	}
}

func fill(ctx context.Context, broker string, log Log) error {
	client, err := Client(broker)
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for topic, partitions := range log {
		if _, err := admin.CreateTopic(ctx, int32(len(partitions)), 1, nil, topic); err != nil {
			return fmt.Errorf("make topic %s: %w", topic, err)
		}
	}
	for topic, partitions := range log {
		for i, records := range partitions {
			for _, r := range records {
				r.Topic, r.Partition = topic, int32(i)
			}
			if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
				return fmt.Errorf("send to %s/%d: %w", topic, i, err)
			}
		}
	}
	return nil
}

// Client gives a client whose records name their partitions. It sends
// records larger than brokers take by default.
func Client(broker string, more ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(100 << 20),
	}, more...)...)
}

// Read gives all records of a topic by partition, as they lie in the log.
func Read(ctx context.Context, broker, topic string) (map[int32][]*kgo.Record, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	missing := int64(0)
	ends.Each(func(o kadm.ListedOffset) { missing += o.Offset })
	out := map[int32][]*kgo.Record{}
	for missing > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, fmt.Errorf("read topic %s: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			out[r.Partition] = append(out[r.Partition], r)
			missing--
		})
	}
	for _, records := range out {
		slices.SortFunc(records, func(a, b *kgo.Record) int { return cmp.Compare(a.Offset, b.Offset) })
	}
	return out, nil
}
