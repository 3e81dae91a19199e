package serve

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
)

// ToKafka makes a Producer of Kafka's: keys choose the partition.
func ToKafka(p *kafka.Producer) Producer { return kafkaProducer{p} }

type kafkaProducer struct{ producer *kafka.Producer }

// Health is how the last contact with the cluster went.
func (k kafkaProducer) Health() error { return k.producer.Health() }

// Produce sends all records and gives the first failure.
func (k kafkaProducer) Produce(ctx context.Context, topic string, records []engine.Record) ([]Place, error) {
	out := make([]kafka.Outgoing, len(records))
	for i, r := range records {
		out[i] = kafka.Outgoing{Topic: topic, Partition: kafka.AnyPartition, Key: r.Key, Value: r.Value, Headers: r.Headers}
	}
	places := make([]Place, len(records))
	failed := 0
	var first error
	for i, d := range k.producer.SendAll(ctx, out) {
		places[i] = Place{d.Partition, d.Offset}
		if d.Err != nil {
			if failed++; first == nil || errors.Is(first, kafka.ErrUnknown) {
				first = d.Err
			}
		}
	}
	if first == nil {
		return places, nil
	}
	err := fmt.Errorf("%d of %d records: %w", failed, len(records), first)
	if errors.Is(first, kerr.MessageTooLarge) {
		err = errors.Join(ErrRecordTooLarge, err)
	}
	return nil, err
}
