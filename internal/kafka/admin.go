package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-dev/millstream/internal/engine"
)

// Admin asks a cluster, for the verbs and the API.
type Admin struct{ server *server }

// Topic is a topic as `topics` lists it.
type Topic struct {
	Name       string
	ID         engine.TopicID
	Internal   bool // the cluster's own, such as __consumer_offsets
	Partitions []TopicPartition
}

// TopicPartition is one partition of a Topic.
type TopicPartition struct {
	Partition int32
	engine.Offsets
	Bytes    int64   // of the largest replica on disk, -1: the cluster doesn't say
	Leader   int32   // the broker that serves it, -1: none does
	Replicas []int32 // the brokers that hold it
	InSync   []int32 // those of them that have all of it
	Err      error   // what is wrong with it, nil if nothing is
}

// Records is the number of offsets held: at most so many records.
func (t *Topic) Records() int64 {
	var n int64
	for _, p := range t.Partitions {
		n += p.End - p.Start
	}
	return n
}

// Bytes is the size on disk of one replica, -1 if the cluster doesn't say.
func (t *Topic) Bytes() int64 {
	var n int64
	for _, p := range t.Partitions {
		if p.Bytes < 0 {
			return -1
		}
		n += p.Bytes
	}
	return n
}

// NewAdmin makes an Admin. It does not connect.
func NewAdmin(c Config) (*Admin, error) {
	v, err := newServer("kafka", c)
	if err != nil {
		return nil, err
	}
	return &Admin{server: v}, nil
}

// Close disconnects. It may be called twice.
func (a *Admin) Close() { a.server.client.Close() }

// Ping asks the cluster for its id: that it answers at all.
func (a *Admin) Ping(ctx context.Context) (clusterID string, err error) {
	err = a.server.retry(ctx, "ask for the cluster's id", func(ctx context.Context) error {
		m, err := a.server.admin.BrokerMetadata(ctx)
		clusterID = m.Cluster
		return err
	})
	return clusterID, err
}

// CreateTopic makes a topic; partitions and replication 0 are the cluster's
// defaults. One that exists fails with kerr.TopicAlreadyExists.
func (a *Admin) CreateTopic(ctx context.Context, topic string, partitions, replication int, configs map[string]string) error {
	def := func(n int) int {
		if n == 0 {
			return -1
		}
		return n
	}
	set := make(map[string]*string, len(configs))
	for k, v := range configs {
		set[k] = &v
	}
	r, err := a.server.admin.CreateTopic(ctx, int32(def(partitions)), int16(def(replication)), set, topic)
	if err != nil {
		return a.server.explain(fmt.Sprintf("make topic %q", topic), fmt.Errorf("%w%s", err, colon(r.ErrMessage)))
	}
	return nil
}

// TopicConfigs are the settings that were made for a topic by name, those with
// defaults left out.
func (a *Admin) TopicConfigs(ctx context.Context, topic string) (map[string]string, error) {
	set := map[string]string{}
	err := a.server.retry(ctx, fmt.Sprintf("ask for the settings of topic %q", topic), func(ctx context.Context) error {
		all, err := a.server.admin.DescribeTopicConfigs(ctx, topic)
		if err != nil {
			return err
		}
		r, err := all.On(topic, nil)
		if err != nil {
			return err
		}
		for _, c := range r.Configs {
			if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
				set[c.Key] = c.MaybeValue()
			}
		}
		return r.Err
	})
	return set, err
}

// Topics lists topics by name: those named, or all, the cluster's own
// included.
func (a *Admin) Topics(ctx context.Context, names ...string) ([]Topic, error) {
	var (
		topics []Topic
		absent error // Kafka calls it worth another try; a person mistyped it
	)
	err := a.server.retry(ctx, "list topics", func(ctx context.Context) (err error) {
		topics, err = a.topics(ctx, names)
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			absent, err = err, nil
		}
		return err
	})
	return topics, errors.Join(err, absent)
}

func (a *Admin) topics(ctx context.Context, names []string) ([]Topic, error) {
	details, err := a.server.admin.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, err
	}
	names = details.Names()
	if len(names) == 0 {
		return nil, nil
	}
	for _, d := range details.Sorted() {
		// Before anything more is asked about it: for a topic that is not there
		// the client would wait, as if it were about to be made.
		if d.Err != nil {
			return nil, fmt.Errorf("topic %q: %w", d.Topic, d.Err)
		}
	}
	starts, err := a.server.admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	ends, err := a.server.admin.ListCommittedOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	sizes := a.sizes(ctx)
	var topics []Topic
	for _, d := range details.Sorted() {
		t := Topic{Name: d.Topic, ID: engine.TopicID(d.ID), Internal: d.IsInternal}
		for _, p := range d.Partitions.Sorted() {
			t.Partitions = append(t.Partitions, describePartition(p, starts, ends, sizes))
		}
		topics = append(topics, t)
	}
	return topics, nil
}

func describePartition(p kadm.PartitionDetail, starts, ends kadm.ListedOffsets, sizes map[partitionName]int64) TopicPartition {
	t := TopicPartition{Partition: p.Partition, Err: p.Err, Bytes: -1, Leader: p.Leader, Replicas: p.Replicas, InSync: p.ISR}
	if bytes, ok := sizes[partitionName{p.Topic, p.Partition}]; ok {
		t.Bytes = bytes
	}
	start, ok := starts.Lookup(p.Topic, p.Partition)
	end, ok2 := ends.Lookup(p.Topic, p.Partition)
	if ok && ok2 {
		t.Err = cmp.Or(t.Err, start.Err, end.Err)
		t.Offsets = engine.Offsets{Start: start.Offset, End: max(end.Offset, start.Offset)}
	}
	return t
}

type partitionName struct {
	topic     string
	partition int32
}

// sizes are the bytes on disk; none where we have no right to ask.
func (a *Admin) sizes(ctx context.Context) map[partitionName]int64 {
	dirs, err := a.server.admin.DescribeAllLogDirs(ctx, nil)
	if err != nil && len(dirs) == 0 {
		return nil
	}
	sizes := make(map[partitionName]int64)
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			k := partitionName{p.Topic, p.Partition}
			sizes[k] = max(sizes[k], p.Size)
		})
	})
	return sizes
}
