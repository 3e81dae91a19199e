package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
)

const (
	// identityTries and identityPause: how often, and how far apart, a
	// cluster must say that a topic is not the one we read before it is
	// believed. A broker that has just started or lags behind can be wrong.
	identityTries = 5
	identityPause = 100 * time.Millisecond
	// reassignTries is how often a partition may be out of range for its
	// leader although the cluster's answer says that it is not: a leader that
	// has just moved.
	reassignTries = 5
)

// class is what an error of a fetch asks for.
type class int

const (
	fatal      class = iota // reading can't go on
	ended                   // the caller's ctx has ended
	closed                  // Close was called
	identity                // the topic may be gone or another one
	outOfRange              // the position is not in the log
	passing                 // heals by itself
)

// classify is the one place that tells errors of fetches apart.
func classify(err error) class {
	var (
		unreadable *unreadableError
		lost       *engine.LostError
	)
	switch {
	case errors.As(err, &unreadable), errors.As(err, &lost):
		return fatal
	case errors.Is(err, kgo.ErrClientClosed):
		return closed
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ended
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID):
		return identity
	case errors.Is(err, kerr.OffsetOutOfRange):
		return outOfRange
	case transient(err):
		return passing
	}
	return fatal
}

// checkIdentity asks whether the topic is still the one that we read.
func (s *Source) checkIdentity(ctx context.Context, p engine.Partition) error {
	v := s.servers[p.Server]
	s.mu.Lock()
	known := s.ids[p.TopicKey]
	s.mu.Unlock()
	reason := ""
	for range identityTries {
		topics, err := v.topics(ctx, []string{p.Topic})
		if err != nil {
			return nil //nolint:nilerr // no contact; the fetch says so again if it lasts
		}
		t := topics[p.Topic]
		switch {
		case errors.Is(t.err, kerr.UnknownTopicOrPartition):
			reason = "the topic was deleted"
		case t.err != nil:
			return nil //nolint:nilerr // the fetch says so again if it lasts
		case t.ID != known:
			reason = "the topic was made again"
		case p.Partition >= t.Partitions:
			reason = "the partition no longer exists"
		default:
			return nil
		}
		if err := pause(ctx, identityPause); err != nil {
			return err
		}
	}
	return &engine.LostError{Partition: p, From: s.next[p], To: -1, Reason: reason}
}

// checkRange says what of a partition is lost. Where the position turns out
// to be in range, reading goes on from it.
func (s *Source) checkRange(ctx context.Context, p engine.Partition) error {
	if err := s.checkIdentity(ctx, p); err != nil {
		return err
	}
	start, end, err := s.servers[p.Server].bounds(ctx, p)
	if err != nil {
		return err
	}
	next := s.next[p]
	switch {
	case next < start:
		return engine.Expired(p, next, start)
	case next > end:
		return &engine.LostError{Partition: p, From: end, To: -1,
			Reason: fmt.Sprintf("the log ends at offset %d, before the position %d: the cluster has lost its end", end, next)}
	}
	if s.again[p]++; s.again[p] > reassignTries {
		return fmt.Errorf("topic %q partition %d: its leader refuses offset %d as out of range, although the log holds %d to %d",
			p.Topic, p.Partition, next, start, end)
	}
	if err := pause(ctx, identityPause); err != nil {
		return err
	}
	return s.Start(ctx, map[engine.Partition]int64{p: next})
}

// bounds are the first offset of a partition and the one after its last,
// open transactions included.
func (v *server) bounds(ctx context.Context, p engine.Partition) (start, end int64, err error) {
	err = v.retry(ctx, fmt.Sprintf("ask for the ends of topic %q", p.Topic), func(ctx context.Context) error {
		starts, err := v.admin.ListStartOffsets(ctx, p.Topic)
		if err != nil {
			return err
		}
		ends, err := v.admin.ListEndOffsets(ctx, p.Topic)
		if err != nil {
			return err
		}
		if start, err = v.lookUp(ctx, starts, p); err != nil {
			return err
		}
		end, err = v.lookUp(ctx, ends, p)
		return err
	})
	return start, end, err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
