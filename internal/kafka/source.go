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

	// The next five belong to the caller of Start and Poll.
	next     map[engine.Partition]int64 // the offset after what Poll gave
	current  *response                  // of which Poll has taken a part
	deferred []problem                  // met beside records, judged by the next Poll
	lost     error                      // why reading has ended for good
	again    map[engine.Partition]int   // reassignments without a record between

	fetchers  map[string]*fetcher // by server
	responses chan *response      // from all of them
	closed    chan struct{}
	unpack    map[string]*decompressor // by server
	loads     loads

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

		fetchers: make(map[string]*fetcher), responses: make(chan *response), closed: make(chan struct{}),
		unpack: make(map[string]*decompressor),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for name, c := range servers {
		d := &decompressor{}
		v, err := newServer(name, c, kgo.WithPools(d))
		if err != nil {
			s.Close()
			return nil, err
		}
		d.inner = clientDecompressor(v.client)
		s.unpack[name] = d
		s.fetchers[name] = newFetcher(v, s.responses)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, offset := range positions {
		f := s.fetchers[p.Server]
		if f == nil {
			_, err := s.server(p.Server)
			return err
		}
		s.next[p] = offset
		f.read(p, s.ids[p.TopicKey], offset, s.paused[p])
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
		b.gather(ctx, maxRecords)
		s.deferred = b.problems
		if chunks := b.finish(); len(chunks) > 0 {
			return chunks, nil
		}
	}
}

// SetPaused makes Poll leave out these partitions and no others.
func (s *Source) SetPaused(partitions []engine.Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := make(map[engine.Partition]bool, len(partitions))
	for _, p := range partitions {
		wanted[p] = true
	}
	for _, f := range s.fetchers {
		f.pause(wanted)
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
		close(s.closed)
		for _, f := range s.fetchers {
			f.close()
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
