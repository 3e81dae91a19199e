package pipelines

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/local"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/internal/postgres"
)

// subject is an engine on an embedded broker and a database of its own, with
// a clock that the script moves.
type subject struct {
	setup  pipetest.Setup
	url    string
	broker *local.Broker
	client *kgo.Client
	clock  *manualClock
	def    *pipeline.Definition
	db     *postgres.Database
	store  *postgres.Store
	engine *engine.Engine
	stop   context.CancelCauseFunc
	ended  chan error
}

// opener gives subjects whose databases are dropped with the test.
func opener(t *testing.T) pipetest.Opener {
	return func(ctx context.Context, setup pipetest.Setup) (pipetest.Subject, error) {
		def, err := pipeline.Parse(setup.File, setup.SQL, setup.Name, "")
		if err != nil {
			return nil, err
		}
		s := &subject{setup: setup, url: pgtest.Database(t), def: def, clock: newManualClock(setup.Clock)}
		if s.broker, err = local.StartBroker(local.BrokerOptions{Port: -1}); err != nil {
			return nil, err
		}
		if err := s.start(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
}

func (s *subject) start(ctx context.Context) error {
	var err error
	s.client, err = kgo.NewClient(kgo.SeedBrokers(s.broker.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		return err
	}
	admin := kadm.NewClient(s.client)
	for _, t := range s.def.Plan.Topics {
		n := max(s.setup.Topics[t.Topic], 1)
		if r, err := admin.CreateTopic(ctx, n, 1, nil, t.Topic); err != nil && r.ErrMessage == "" {
			return fmt.Errorf("create topic %s: %w", t.Topic, err)
		}
	}
	if s.db, err = postgres.Open(ctx, postgres.Config{URL: s.url, Pipeline: s.setup.Name}); err != nil {
		return err
	}
	if err := s.db.Deploy(ctx, s.def.Plan, "test"); err != nil {
		return err
	}
	return s.run(ctx)
}

// noWait makes each epoch end as soon as it can: the clock stands still, so an
// interval would never pass.
const noWait = -1

func (s *subject) run(ctx context.Context) error {
	servers := map[string]kafka.Config{"kafka": {Brokers: []string{s.broker.Addr()}}}
	s.store = s.db.Store(s.def.Plan)
	var err error
	s.engine, err = engine.New(engine.Options{
		Plan: s.def.Plan, Store: s.store, Clock: s.clock, Workers: s.setup.Workers, PollRecords: s.setup.MaxRecords, CommitInterval: noWait,
		OpenSource: func(context.Context) (engine.Source, error) { return kafka.NewSource(servers, nil) },
	})
	if err != nil {
		return err
	}
	runCtx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	s.stop, s.ended = stop, make(chan error, 1)
	go func() { s.ended <- s.engine.Run(runCtx) }()
	select {
	case <-s.engine.Running():
		return nil
	case err := <-s.ended:
		s.ended <- err
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *subject) Send(ctx context.Context, topic string, partition int32, records []pipetest.Record) error {
	out := make([]*kgo.Record, len(records))
	for i, r := range records {
		out[i] = &kgo.Record{Topic: topic, Partition: partition, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}
		for _, h := range r.Headers {
			out[i].Headers = append(out[i].Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	return s.client.ProduceSync(ctx, out...).FirstErr()
}

func (s *subject) Advance(_ context.Context, d time.Duration) error {
	s.clock.advance(d)
	return nil
}

func (s *subject) Settle(ctx context.Context) error {
	settled := make(chan error, 1)
	go func() { settled <- s.engine.Settle(ctx) }()
	select {
	case err := <-settled:
		return err
	case err := <-s.ended:
		s.ended <- err
		return fmt.Errorf("the engine has stopped: %w", err)
	}
}

func (s *subject) Restart(ctx context.Context) error {
	if err := s.abandon(); err != nil {
		return err
	}
	return s.run(ctx)
}

// abandon stops the engine as a crash would.
func (s *subject) abandon() error {
	if s.stop == nil {
		return nil
	}
	s.stop(engine.ErrAbandon)
	err := <-s.ended
	s.stop = nil
	s.store.Close()
	if errors.Is(err, engine.ErrAbandon) {
		return nil
	}
	return err
}

func (s *subject) DatabaseURL() string { return s.url }
func (s *subject) Brokers() []string   { return []string{s.broker.Addr()} }

func (s *subject) Close() error {
	err := s.abandon()
	if s.db != nil {
		s.db.Close()
		s.db = nil
	}
	if s.client != nil {
		s.client.Close()
	}
	return errors.Join(err, s.broker.Close())
}

// manualClock stands still until it is advanced.
type manualClock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*manualTimer]bool
}

type manualTimer struct {
	at time.Time
	c  chan time.Time
}

func newManualClock(at time.Time) *manualClock {
	return &manualClock{now: at, timers: map[*manualTimer]bool{}}
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) NewTimer(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &manualTimer{at: c.now.Add(d), c: make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- c.now
		return t.c, func() {}
	}
	c.timers[t] = true
	return t.c, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, t)
	}
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for t := range c.timers {
		if !t.at.After(c.now) {
			t.c <- c.now
			delete(c.timers, t)
		}
	}
}
