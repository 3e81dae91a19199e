package topics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

const (
	// targetBatch is where a batch ends, a little below the megabyte that a
	// broker takes by default; maxEvent is the room kept for its last event.
	targetBatch = 900 << 10
	maxEvent    = 64 << 10
	// inFlight is how many batches of a partition wait to be sent while more
	// are made.
	inFlight = 2
	// produceTimeout is how long the broker may take with one batch.
	produceTimeout = 30 * time.Second
	// leaderPause is between two questions whether a new topic has its leader.
	// leaderLimit is how long that may take.
	leaderPause = 20 * time.Millisecond
	leaderLimit = 10 * time.Second
)

// Events makes events. Append appends event i as it stands in the topic.
type Events interface {
	Append(dst []byte, i int64) []byte
}

// Topic is one that is filled.
type Topic struct {
	Name       string
	Partitions int

	addr   string
	id     [16]byte
	leader int32
	client *kgo.Client
}

// Create makes a topic anew and finds its leader.
func Create(ctx context.Context, addr, name string, partitions int) (*Topic, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return nil, err
	}
	t := &Topic{Name: name, Partitions: partitions, addr: addr, client: client}
	admin := kadm.NewClient(client)
	_, err = admin.CreateTopic(ctx, int32(partitions), 1, map[string]*string{
		"retention.ms": new("-1"), // event times lie in the past
	}, name)
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("create topic %s: %w", name, err)
	}
	if err := t.findLeader(ctx, admin); err != nil {
		client.Close()
		return nil, err
	}
	return t, nil
}

// findLeader waits until each partition has a leader: with one broker, the
// same for all.
func (t *Topic) findLeader(ctx context.Context, admin *kadm.Client) error {
	for {
		meta, err := admin.Metadata(ctx, t.Name)
		if err != nil {
			return fmt.Errorf("look for the leader of %s: %w", t.Name, err)
		}
		t.id = meta.Topics[t.Name].ID
		led := 0
		for _, p := range meta.Topics[t.Name].Partitions {
			if p.Err == nil && p.Leader >= 0 {
				t.leader = p.Leader
				led++
			}
		}
		if led == t.Partitions {
			return nil
		}
		select {
		case <-time.After(leaderPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Delete removes the topic and its events.
func (t *Topic) Delete(ctx context.Context) error {
	_, err := kadm.NewClient(t.client).DeleteTopic(ctx, t.Name)
	return err
}

// Close ends the connections.
func (t *Topic) Close() { t.client.Close() }

// Fill writes n events. It gives how long they took to be made and laid out,
// on one core, apart from sending.
func (t *Topic) Fill(ctx context.Context, events Events, n int64, how Compression) (made time.Duration, err error) {
	group, ctx := errgroup.WithContext(ctx)
	lanes := make([]lane, t.Partitions)
	for p := range lanes {
		lanes[p] = lane{topic: t, partition: int32(p), full: make(chan *batch, inFlight), free: make(chan *batch, inFlight+1)}
		for range inFlight + 1 {
			lanes[p].free <- &batch{}
		}
		group.Go(func() error { return lanes[p].send(ctx, how) })
	}
	group.Go(func() error {
		var err error
		made, err = t.make(ctx, lanes, events, n)
		for p := range lanes {
			close(lanes[p].full)
		}
		return err
	})
	return made, group.Wait()
}

// make lays out the events, and measures what that takes.
func (t *Topic) make(ctx context.Context, lanes []lane, events Events, n int64) (time.Duration, error) {
	var made time.Duration
	var value []byte
	next := make([]int64, len(lanes)) // the event that each partition gets next
	for p := range next {
		next[p] = int64(p)
	}
	for left := n; left > 0; {
		for p := range lanes {
			if next[p] >= n {
				continue
			}
			var b *batch
			select {
			case b = <-lanes[p].free:
			case <-ctx.Done():
				return made, context.Cause(ctx)
			}
			began := time.Now()
			b.reset(began.UnixMilli())
			for next[p] < n && len(b.buf) < targetBatch {
				value = events.Append(value[:0], next[p])
				b.add(value)
				next[p] += int64(len(lanes))
				left--
			}
			made += time.Since(began)
			select {
			case lanes[p].full <- b:
			case <-ctx.Done():
				return made, context.Cause(ctx)
			}
		}
	}
	return made, nil
}

// lane carries the batches of one partition, in order.
type lane struct {
	topic     *Topic
	partition int32
	full      chan *batch
	free      chan *batch
}

// send sends batches until there are no more. Errors end the filling: a batch
// that may have been written is never sent again.
func (l *lane) send(ctx context.Context, how Compression) error {
	for b := range l.full {
		if err := l.topic.produce(ctx, l.topic.client, l.partition, b, how); err != nil {
			return err
		}
		l.free <- b
	}
	return nil
}

func (t *Topic) produce(ctx context.Context, client *kgo.Client, partition int32, b *batch, how Compression) error {
	records, err := b.finish(how)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks = 1
	req.TimeoutMillis = int32(produceTimeout.Milliseconds())
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = partition, records
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID, rt.Partitions = t.Name, t.id, []kmsg.ProduceRequestTopicPartition{rp}
	req.Topics = []kmsg.ProduceRequestTopic{rt}
	for waited := time.Duration(0); ; waited += leaderPause {
		resp, err := client.Broker(int(t.leader)).Request(ctx, req)
		if err != nil {
			return fmt.Errorf("produce to %s/%d: %w", t.Name, partition, err)
		}
		err = produced(resp.(*kmsg.ProduceResponse))
		if err == nil {
			return nil
		}
		if !errors.Is(err, kerr.NotLeaderForPartition) && !errors.Is(err, kerr.UnknownTopicID) && !errors.Is(err, kerr.UnknownTopicOrPartition) || waited > leaderLimit {
			return fmt.Errorf("produce to %s/%d: %w", t.Name, partition, err)
		}
		// The broker has not heard yet that it leads: nothing was written.
		select {
		case <-time.After(leaderPause):
		case <-ctx.Done():
			return fmt.Errorf("produce to %s/%d: %w", t.Name, partition, err)
		}
	}
}

func produced(resp *kmsg.ProduceResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}
