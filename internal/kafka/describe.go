package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-dev/millstream/internal/engine"
)

// ClusterID is the cluster's id.
func (s *Source) ClusterID(ctx context.Context, name string) (string, error) {
	v, err := s.server(name)
	if err != nil {
		return "", err
	}
	var id string
	err = v.retry(ctx, "ask for the cluster's id", func(ctx context.Context) error {
		m, err := v.admin.BrokerMetadata(ctx)
		id = m.Cluster
		return err
	})
	return id, err
}

// Describe gives ids and partition counts, making topics that do not exist.
func (s *Source) Describe(ctx context.Context, topics map[engine.TopicKey]int) (map[engine.TopicKey]engine.TopicInfo, error) {
	infos := make(map[engine.TopicKey]engine.TopicInfo, len(topics))
	wanted := make(map[string]map[string]int)
	for key, partitions := range topics {
		if wanted[key.Server] == nil {
			wanted[key.Server] = make(map[string]int)
		}
		wanted[key.Server][key.Topic] = partitions
	}
	for name, partitions := range wanted {
		v, err := s.server(name)
		if err != nil {
			return nil, err
		}
		got, err := v.describe(ctx, partitions)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		for topic, info := range got {
			key := engine.TopicKey{Server: name, Topic: topic}
			infos[key] = info
			s.ids[key] = info.ID
		}
		s.mu.Unlock()
	}
	return infos, nil
}

// describe asks until every topic is there with all its partitions led.
func (v *server) describe(ctx context.Context, partitions map[string]int) (map[string]engine.TopicInfo, error) {
	names := slices.Sorted(maps.Keys(partitions))
	infos := make(map[string]engine.TopicInfo, len(names))
	err := v.retry(ctx, fmt.Sprintf("look for topics %q", names), func(ctx context.Context) error {
		topics, err := v.topics(ctx, names)
		if err != nil {
			return err
		}
		for _, name := range names {
			t := topics[name]
			switch {
			case errors.Is(t.err, kerr.UnknownTopicOrPartition):
				if err := v.create(ctx, name, partitions[name]); err != nil {
					return err
				}
				// Asked for again: a new topic shows after a moment.
				return kerr.UnknownTopicOrPartition
			case t.err != nil:
				return fmt.Errorf("topic %q: %w", name, t.err)
			}
			infos[name] = t.TopicInfo
		}
		return nil
	})
	return infos, err
}

// topicState is a topic as the cluster describes it.
type topicState struct {
	engine.TopicInfo
	err     error // of the topic, or of its first partition that has one
	refused error // of the topic
	leaders map[int32]leader
}

// leader is a partition's, or why it has none.
type leader struct {
	leader, epoch int32
	err           error
}

// topics asks a broker, never a cache: ids and partitions must be those of
// the moment. It has an entry for each of names.
func (v *server) topics(ctx context.Context, names []string) (map[string]topicState, error) {
	req := kmsg.NewPtrMetadataRequest()
	states := make(map[string]topicState, len(names))
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
		states[name] = topicState{err: kerr.UnknownTopicOrPartition, refused: kerr.UnknownTopicOrPartition}
	}
	resp, err := req.RequestWith(ctx, v.client)
	if err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		state := topicState{
			TopicInfo: engine.TopicInfo{ID: engine.TopicID(t.TopicID), Partitions: int32(len(t.Partitions))},
			err:       kerr.ErrorForCode(t.ErrorCode),
			refused:   kerr.ErrorForCode(t.ErrorCode),
			leaders:   make(map[int32]leader, len(t.Partitions)),
		}
		for _, p := range t.Partitions {
			err := kerr.ErrorForCode(p.ErrorCode)
			if err != nil && state.err == nil {
				state.err = fmt.Errorf("partition %d: %w", p.Partition, err)
			}
			l := leader{leader: p.Leader, epoch: p.LeaderEpoch}
			if p.Leader < 0 {
				l.err = cmp.Or(err, error(kerr.LeaderNotAvailable))
			}
			state.leaders[p.Partition] = l
		}
		states[*t.Topic] = state
	}
	return states, nil
}

// create makes a topic; one that is there meanwhile is as good.
func (v *server) create(ctx context.Context, topic string, partitions int) error {
	n, replication := int32(-1), int16(-1)
	if partitions > 0 {
		n = int32(partitions)
	}
	if v.config.Replication > 0 {
		replication = int16(v.config.Replication)
	}
	r, err := v.admin.CreateTopic(ctx, n, replication, nil, topic)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make topic %q: %w%s", topic, err, colon(r.ErrMessage))
	}
	return nil
}

func colon(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// Offsets gives the first offsets and the last stable ones.
func (s *Source) Offsets(ctx context.Context, partitions []engine.Partition) (map[engine.Partition]engine.Offsets, error) {
	offsets := make(map[engine.Partition]engine.Offsets, len(partitions))
	for name, ps := range byServer(slices.Values(partitions)) {
		v, err := s.server(name)
		if err != nil {
			return nil, err
		}
		topics := topicsOf(ps)
		err = v.retry(ctx, fmt.Sprintf("ask for the ends of topics %q", topics), func(ctx context.Context) error {
			starts, err := v.admin.ListStartOffsets(ctx, topics...)
			if err != nil {
				return err
			}
			ends, err := v.admin.ListCommittedOffsets(ctx, topics...)
			if err != nil {
				return err
			}
			for _, p := range ps {
				var o engine.Offsets
				if o.Start, err = v.lookUp(ctx, starts, p); err != nil {
					return err
				}
				if o.End, err = v.lookUp(ctx, ends, p); err != nil {
					return err
				}
				// Asked for one after the other, retention may lie between.
				o.End = max(o.End, o.Start)
				offsets[p] = o
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return offsets, nil
}

// OffsetsAt gives the first offsets at or after a time, the last stable one
// where there is no such record.
func (s *Source) OffsetsAt(ctx context.Context, partitions []engine.Partition, at time.Time) (map[engine.Partition]int64, error) {
	offsets := make(map[engine.Partition]int64, len(partitions))
	// Kafka's times are milliseconds: the first that is not before at. Those
	// before 1970 mean something else to it.
	millis := at.Add(time.Millisecond - 1).UnixMilli()
	millis = max(millis, 0)
	for name, ps := range byServer(slices.Values(partitions)) {
		v, err := s.server(name)
		if err != nil {
			return nil, err
		}
		topics := topicsOf(ps)
		err = v.retry(ctx, fmt.Sprintf("look for %s in topics %q", at.UTC().Format(time.RFC3339Nano), topics), func(ctx context.Context) error {
			found, err := v.admin.ListOffsetsAfterMilli(ctx, millis, topics...)
			if err != nil {
				return err
			}
			ends, err := v.admin.ListCommittedOffsets(ctx, topics...)
			if err != nil {
				return err
			}
			for _, p := range ps {
				from := found
				if o, ok := found.Lookup(p.Topic, p.Partition); ok && o.Err == nil && o.Timestamp < 0 {
					from = ends // none is that young
				}
				if offsets[p], err = v.lookUp(ctx, from, p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return offsets, nil
}

func topicsOf(partitions []engine.Partition) []string {
	var topics []string
	for _, p := range partitions {
		topics = append(topics, p.Topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// lookUp finds a partition's offset. One that is missing may have been added
// after the client last looked at the topic: then it is worth another try.
func (v *server) lookUp(ctx context.Context, offsets kadm.ListedOffsets, p engine.Partition) (int64, error) {
	o, ok := offsets.Lookup(p.Topic, p.Partition)
	if !ok {
		topics, err := v.topics(ctx, []string{p.Topic})
		if err != nil {
			return 0, err
		}
		if t := topics[p.Topic]; t.err == nil && p.Partition < t.Partitions {
			return 0, kerr.UnknownTopicOrPartition
		}
		return 0, fmt.Errorf("topic %q has no partition %d", p.Topic, p.Partition)
	}
	if o.Err != nil {
		return 0, fmt.Errorf("topic %q partition %d: %w", p.Topic, p.Partition, o.Err)
	}
	return o.Offset, nil
}
