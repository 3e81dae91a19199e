package kafka_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
)

func TestSearch(t *testing.T) {
	c, _, a := open(t)
	topic := topicName(t)
	c.Create(topic, 2)
	rs := make([]engine.Record, 300)
	for i := range rs {
		rs[i] = engine.Record{Key: fmt.Appendf(nil, "k%d", i%100), Value: fmt.Appendf(nil, "%d", i), Timestamp: int64(1000+i) * 1000}
	}
	c.Produce(topic, 0, rs)
	c.Produce(topic, 1, []engine.Record{{Key: []byte("k7"), Value: []byte("other"), Timestamp: 1_050_000}})
	offset := int64(298)
	for _, tt := range []struct {
		name     string
		q        kafka.Search
		want     string
		scanned  int64
		complete bool
	}{
		{"the last of all", kafka.Search{Partition: kafka.AnyPartition, Limit: 2}, "[298 299]", 3, true},
		{"of a partition", kafka.Search{Partition: 1, Limit: 2}, "[other]", 1, true},
		{"from an offset on", kafka.Search{Partition: 0, Offset: &offset, Limit: 5}, "[298 299]", 2, true},
		{"from a time on", kafka.Search{Partition: kafka.AnyPartition, From: time.UnixMilli(1050), Limit: 2}, "[50 other]", 3, true},
		{"of a key", kafka.Search{Partition: kafka.AnyPartition, Key: []byte("k7"), Limit: 3, Scan: 10_000}, "[other 107 207]", 301, true},
		{"of a key, not far", kafka.Search{Partition: 0, Key: []byte("k7"), Limit: 3, Scan: 200}, "[207]", 100, false},
		{"of a key from a time on", kafka.Search{Partition: 0, Key: []byte("k7"), From: time.UnixMilli(1008), Limit: 1, Scan: 10_000}, "[107]", 292, true},
		{"of no key", kafka.Search{Partition: kafka.AnyPartition, Key: []byte("none"), Limit: 3, Scan: 10_000}, "[]", 301, true},
		{"of no partition", kafka.Search{Partition: 9, Limit: 3}, "[]", 0, true},
	} {
		found, err := a.Search(t.Context(), topic, tt.q)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		values := []string{}
		for _, r := range found.Records {
			values = append(values, string(r.Value))
		}
		if fmt.Sprint(values) != tt.want || found.Scanned != tt.scanned || found.Complete != tt.complete {
			t.Errorf("%s: %v, %d scanned, complete %t; want %s, %d, %t", tt.name, values, found.Scanned, found.Complete, tt.want, tt.scanned, tt.complete)
		}
	}
}
