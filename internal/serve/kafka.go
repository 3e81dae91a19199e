package serve

import (
	"context"
	"fmt"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
)

// ToKafka makes a Producer of Kafka's: keys choose the partition.
func ToKafka(p *kafka.Producer) Producer { return kafkaProducer{p} }

type kafkaProducer struct{ producer *kafka.Producer }

// Produce sends all records and gives the first failure.
func (k kafkaProducer) Produce(ctx context.Context, topic string, records []engine.Record) error {
	out := make([]kafka.Outgoing, len(records))
	for i, r := range records {
		out[i] = kafka.Outgoing{Topic: topic, Partition: kafka.AnyPartition, Key: r.Key, Value: r.Value, Headers: r.Headers}
	}
	failed := 0
	var first error
	for _, d := range k.producer.SendAll(ctx, out) {
		if d.Err != nil {
			if failed++; first == nil {
				first = d.Err
			}
		}
	}
	if first != nil {
		return fmt.Errorf("%d of %d records: %w", failed, len(records), first)
	}
	return nil
}
