package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
)

// ErrClosed is what Poll gives after Close.
var ErrClosed = errors.New("the Kafka source is closed")

// Source reads topics of one or more clusters. It implements engine.Source.
type Source struct {
	servers map[string]*server
	log     *slog.Logger

	// The next four belong to the caller of Start and Poll.
	next     map[engine.Partition]int64 // the offset after what Poll gave
	deferred []problem                  // met beside records, judged by the next Poll
	lost     error                      // why reading has ended for good
	again    map[engine.Partition]int   // reassignments without a record between

	mu     sync.Mutex
	ids    map[engine.TopicKey]engine.TopicID // as Describe last saw them
	paused map[engine.Partition]bool

	groups  map[string]*progress // by server, of those with a group
	closing sync.Once
}

var _ engine.Source = (*Source)(nil)

// NewSource makes a source of the named clusters. It does not connect.
func NewSource(servers map[string]Config, log *slog.Logger) (*Source, error) {
	s := &Source{
		servers: make(map[string]*server),
		log:     log,
		next:    make(map[engine.Partition]int64),
		again:   make(map[engine.Partition]int),
		ids:     make(map[engine.TopicKey]engine.TopicID),
		paused:  make(map[engine.Partition]bool),
		groups:  make(map[string]*progress),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for name, c := range servers {
		v, err := newServer(name, c,
			kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			// Both: the first is for what was never read, the second for what
			// was. Its default rewinds by a minute when offsets are lost.
			kgo.ConsumeStartOffset(kgo.NoResetOffset()),
			kgo.ConsumeResetOffset(kgo.NoResetOffset()),
			// Control records say how far a partition is skipped.
			kgo.KeepControlRecords(),
			// A deleted topic shows only as an error that could heal.
			kgo.KeepRetryableFetchErrors(),
			kgo.FetchMaxBytes(fetchBytes),
			kgo.FetchMaxPartitionBytes(partitionBytes),
			kgo.FetchMaxWait(fetchWait),
		)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.servers[name] = v
		if c.Group != "" {
			s.groups[name] = startProgress(v, s.log)
		}
	}
	return s, nil
}

func (s *Source) server(name string) (*server, error) {
	v := s.servers[name]
	if v == nil {
		return nil, fmt.Errorf("no Kafka server %q is configured: there are %v", name, slices.Sorted(maps.Keys(s.servers)))
	}
	return v, nil
}

// Start begins to fetch at exactly the given offsets. Partitions that are
// read already go on, unless they are named again.
func (s *Source) Start(ctx context.Context, positions map[engine.Partition]int64) error {
	if err := s.knowTopics(ctx, positions); err != nil {
		return err
	}
	for name, partitions := range byServer(maps.Keys(positions)) {
		v, err := s.server(name)
		if err != nil {
			return err
		}
		drop, add := make(map[string][]int32), make(map[string]map[int32]kgo.Offset)
		for _, p := range partitions {
			if _, reading := s.next[p]; reading {
				drop[p.Topic] = append(drop[p.Topic], p.Partition)
			}
			s.next[p] = positions[p]
			if add[p.Topic] == nil {
				add[p.Topic] = make(map[int32]kgo.Offset)
			}
			add[p.Topic][p.Partition] = kgo.NoResetOffset().At(positions[p])
		}
		v.client.RemoveConsumePartitions(drop)
		v.client.AddConsumePartitions(add)
	}
	return nil
}

// knowTopics asks for the ids of topics that were not described before.
func (s *Source) knowTopics(ctx context.Context, positions map[engine.Partition]int64) error {
	unknown := make(map[engine.TopicKey]int)
	s.mu.Lock()
	for p := range positions {
		if _, ok := s.ids[p.TopicKey]; !ok {
			unknown[p.TopicKey] = 0
		}
	}
	s.mu.Unlock()
	if len(unknown) == 0 {
		return nil
	}
	_, err := s.Describe(ctx, unknown)
	return err
}

// Poll waits for records. It gives ctx's cause when ctx ends before there are
// any.
func (s *Source) Poll(ctx context.Context, maxRecords int) ([]engine.Chunk, error) {
	for {
		if s.lost != nil {
			return nil, s.lost
		}
		if err := s.judge(ctx); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b := newChunks(s)
		for name, fetches := range s.fetch(ctx, maxRecords) {
			b.add(name, fetches)
		}
		s.deferred = b.problems
		if len(b.chunks) > 0 {
			return b.chunks, nil
		}
	}
}

// fetch takes what the clients have, waiting until one has something.
func (s *Source) fetch(ctx context.Context, maxRecords int) map[string]kgo.Fetches {
	got := make(map[string]kgo.Fetches, len(s.servers))
	if len(s.servers) == 1 {
		for name, v := range s.servers {
			got[name] = v.client.PollRecords(ctx, maxRecords)
		}
		return got
	}
	// The first that has something ends the others' waiting. What they have
	// by then comes too, so each may take its share only.
	share := max(maxRecords/len(s.servers), 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	for name, v := range s.servers {
		wg.Go(func() {
			fetches := v.client.PollRecords(ctx, share)
			cancel()
			mu.Lock()
			got[name] = fetches
			mu.Unlock()
		})
	}
	wg.Wait()
	return got
}

// SetPaused makes Poll leave out these partitions and no others.
func (s *Source) SetPaused(partitions []engine.Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := make(map[engine.Partition]bool, len(partitions))
	for _, p := range partitions {
		wanted[p] = true
	}
	for name, ps := range byServer(maps.Keys(wanted)) {
		if v := s.servers[name]; v != nil {
			v.client.PauseFetchPartitions(topicPartitions(ps, func(p engine.Partition) bool { return !s.paused[p] }))
		}
	}
	for name, ps := range byServer(maps.Keys(s.paused)) {
		if v := s.servers[name]; v != nil {
			v.client.ResumeFetchPartitions(topicPartitions(ps, func(p engine.Partition) bool { return !wanted[p] }))
		}
	}
	s.paused = wanted
}

// Health is nil when the last contact with every cluster succeeded.
func (s *Source) Health() error {
	var all []error
	for _, name := range slices.Sorted(maps.Keys(s.servers)) {
		if err := s.servers[name].health.get(); err != nil {
			all = append(all, fmt.Errorf("Kafka server %q: %w", name, err))
		}
	}
	return errors.Join(all...)
}

// Committed tells lag tools how far the pipeline is. It does not wait.
func (s *Source) Committed(_ context.Context, positions map[engine.Partition]int64) {
	for name, g := range s.groups {
		g.note(name, positions)
	}
}

// Close stops fetching and frees everything.
func (s *Source) Close() {
	s.closing.Do(func() {
		for _, g := range s.groups {
			g.stop()
		}
		for _, v := range s.servers {
			v.client.Close()
		}
	})
}

// byServer groups partitions, in order within a server.
func byServer(partitions func(yield func(engine.Partition) bool)) map[string][]engine.Partition {
	grouped := make(map[string][]engine.Partition)
	for p := range partitions {
		grouped[p.Server] = append(grouped[p.Server], p)
	}
	for _, ps := range grouped {
		slices.SortFunc(ps, comparePartitions)
	}
	return grouped
}

func comparePartitions(a, b engine.Partition) int {
	return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// topicPartitions gives those that are wanted in the library's form.
func topicPartitions(partitions []engine.Partition, wanted func(engine.Partition) bool) map[string][]int32 {
	m := make(map[string][]int32)
	for _, p := range partitions {
		if wanted(p) {
			m[p.Topic] = append(m[p.Topic], p.Partition)
		}
	}
	return m
}
