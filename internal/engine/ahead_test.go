package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// endless is a log of one partition that goes on for ever.
type endless struct {
	next  atomic.Int64  // offset of the next record
	moved chan struct{} // signalled by each poll
}

func (s *endless) ClusterID(context.Context, string) (string, error) { return "endless", nil }

func (s *endless) Describe(_ context.Context, topics map[TopicKey]int) (map[TopicKey]TopicInfo, error) {
	out := map[TopicKey]TopicInfo{}
	for k := range topics {
		out[k] = TopicInfo{ID: TopicID{1}, Partitions: 1}
	}
	return out, nil
}

func (s *endless) Offsets(_ context.Context, partitions []Partition) (map[Partition]Offsets, error) {
	out := map[Partition]Offsets{}
	for _, p := range partitions {
		out[p] = Offsets{0, 1 << 40}
	}
	return out, nil
}

func (s *endless) OffsetsAt(context.Context, []Partition, time.Time) (map[Partition]int64, error) {
	return nil, errors.New("not asked for")
}

func (s *endless) Start(context.Context, map[Partition]int64) error { return nil }

func (s *endless) Poll(ctx context.Context, most int) ([]Chunk, error) {
	c := Chunk{Partition: Partition{Partition: 0, TopicKey: TopicKey{"kafka", "raw_data"}}, End: -1}
	at := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	for range most {
		n := s.next.Add(1) - 1
		value := fmt.Sprintf(`{"timestamp": %q, "type": "t%d", "value": 1}`, at.Format(time.RFC3339), n%5)
		c.Records = append(c.Records, Record{Offset: n, Timestamp: at.UnixMicro(), Value: []byte(value)})
		c.Next = n + 1
	}
	select {
	case s.moved <- struct{}{}:
	default:
	}
	return []Chunk{c}, ctx.Err()
}

// reach waits until n records were read.
func (s *endless) reach(ctx context.Context, n int64) error {
	for s.next.Load() < n {
		select {
		case <-s.moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *endless) SetPaused([]Partition)                          {}
func (s *endless) Committed(context.Context, map[Partition]int64) {}
func (s *endless) Health() error                                  { return nil }
func (s *endless) Close()                                         {}

// slow is a store whose first commit takes until written gives its outcome.
type slow struct {
	written func(ctx context.Context) error
	commits atomic.Int64
	last    Commit
	several chan struct{} // closed by the fifth commit; nil: nobody asks
}

func (s *slow) Open(context.Context) (*Snapshot, error) { return &Snapshot{Generation: 1}, nil }
func (s *slow) Health() error                           { return nil }

func (s *slow) Commit(ctx context.Context, c *Commit) (CommitStats, error) {
	if n := s.commits.Add(1); c.Seq != n {
		return CommitStats{}, fmt.Errorf("commit %d comes as number %d", c.Seq, n)
	}
	s.last = *c
	if c.Seq == 5 && s.several != nil {
		close(s.several)
	}
	if c.Seq == 1 {
		return CommitStats{}, s.written(ctx)
	}
	return CommitStats{}, nil
}

// startSlow runs an engine with epochs of epochRows records.
func startSlow(t *testing.T, epochRows int, source *endless, store *slow) (stop func(), ended chan error) {
	t.Helper()
	b := newBench(t, skeletonSQL, 1)
	e, err := New(Options{
		Plan: b.plan, OpenSource: func(context.Context) (Source, error) { return source, nil }, Store: store,
		CommitInterval: -1, MaxEpochRows: int64(epochRows), PollRecords: epochRows / 20, Workers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(cancel)
	return cancel, ended
}

// While a commit is written, the full epoch after it is sealed, and the one
// after that is read: three epochs are under way, and no more.
func TestAnEpochIsBuiltWhileTheOneBeforeIsWritten(t *testing.T) {
	const rows = 1000
	source := &endless{moved: make(chan struct{}, 1)}
	store := &slow{several: make(chan struct{}), written: func(ctx context.Context) error { return source.reach(ctx, rows+rows/2) }}
	stop, ended := startSlow(t, rows, source, store)
	select {
	case <-store.several:
	case err := <-ended:
		t.Fatalf("the engine ended: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if p := store.last.Progress; len(p) == 1 && p[0].To <= source.next.Load() {
		return
	}
	t.Errorf("the last commit tells of %+v, and %d records were read", store.last.Progress, source.next.Load())
}

// What was built on a commit that could not be written isn't written either.
func TestNoCommitFollowsAFailedOne(t *testing.T) {
	const rows = 1000
	refused := errors.New("refused")
	source := &endless{moved: make(chan struct{}, 1)}
	store := &slow{written: func(ctx context.Context) error {
		return errors.Join(source.reach(ctx, rows+rows/2), refused)
	}}
	_, ended := startSlow(t, rows, source, store)
	if err := <-ended; !errors.Is(err, refused) || errors.Is(err, errNotWritten) {
		t.Errorf("the engine ended with %v", err)
	}
	if n := store.commits.Load(); n != 1 {
		t.Errorf("%d commits were tried, want the one that failed", n)
	}
}
