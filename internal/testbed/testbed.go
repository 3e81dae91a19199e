package testbed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/local"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/internal/postgres/ledger"
)

// startTimeout bounds how long an engine may take to begin fetching.
const startTimeout = 30 * time.Second

// NewDatabase makes an empty database and gives its URL and what drops it.
type NewDatabase func(ctx context.Context) (url string, drop func() error, err error)

// Options are what all subjects of an opener share.
type Options struct {
	NewDatabase NewDatabase
	Logger      *slog.Logger
	// Engine is the program, with arguments, that calls RunEngine, and EngineEnv
	// what is added to its environment. Without it no engine can be crashed.
	Engine    []string
	EngineEnv []string
}

// Opener gives subjects, each with a broker in memory and a database of its
// own.
func Opener(o Options) pipetest.Opener {
	return func(ctx context.Context, setup pipetest.Setup) (pipetest.Subject, error) {
		return open(ctx, o, setup)
	}
}

// subject is one running pipeline.
type subject struct {
	options  Options
	setup    pipetest.Setup
	def      *pipeline.Definition
	config   config.Config
	clock    *Clock
	broker   *local.Broker
	producer *kafka.Producer
	url      string
	drop     func() error
	rebuild  bool // a changed definition is built anew

	proxy *proxy // nil where nothing is to be cut
	child *child // nil where the engine runs in this process
	armed string // the point at which it crashes next

	running *pipeline.Pipeline
	stop    context.CancelCauseFunc
	ended   chan error
}

func open(ctx context.Context, o Options, setup pipetest.Setup) (_ *subject, err error) {
	s := &subject{options: o, setup: setup, clock: NewClock(setup.Clock)}
	if s.def, err = pipeline.Parse(setup.File, setup.SQL, setup.Name, ""); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.broker, err = local.StartBroker(local.BrokerOptions{Port: -1, NoAutoCreate: true}); err != nil {
		return nil, err
	}
	if s.producer, err = kafka.NewProducer(kafka.Config{Brokers: s.Brokers()}); err != nil {
		return nil, err
	}
	for topic, partitions := range setup.Topics {
		if _, err := s.producer.EnsureTopic(ctx, topic, int(partitions)); err != nil {
			return nil, err
		}
	}
	if s.url, s.drop, err = o.NewDatabase(ctx); err != nil {
		return nil, err
	}
	if setup.Cuts {
		if s.proxy, err = startProxy(s.url, setup.Name); err != nil {
			return nil, err
		}
	}
	s.configure(s.Brokers(), s.engineURL())
	return s, s.start(ctx)
}

// configure makes the settings of the engine.
func (s *subject) configure(brokers []string, database string) {
	s.config = config.Default()
	s.config.Kafka.Brokers = brokers
	s.config.Database.URL = config.Secret(database)
	s.config.Engine.Workers = s.setup.Workers
	if s.setup.MaxCommitRows > 0 {
		s.config.Engine.MaxCommitRows = s.setup.MaxCommitRows
	}
	// The clock stands still, so an interval would never pass by itself.
	s.config.Engine.CommitInterval = -1
	if s.setup.CommitInterval > 0 {
		s.config.Engine.CommitInterval = s.setup.CommitInterval
	}
}

// startHere starts the engine in this process.
func (s *subject) startHere(ctx context.Context) error {
	p, err := pipeline.Open(ctx, pipeline.Options{
		Definition: s.def, Config: &s.config, Clock: s.clock, Logger: s.options.Logger, NoServe: true, Temporary: true, PollRecords: s.setup.MaxRecords, Rebuild: s.rebuild,
	})
	if err != nil {
		return err
	}
	runCtx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	s.running, s.stop, s.ended = p, stop, make(chan error, 1)
	go func() { s.ended <- p.Run(runCtx) }()
	timeout, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-p.Engine.Running():
		return nil
	case err := <-s.ended:
		s.ended <- err
		return fmt.Errorf("the engine has ended at its start: %w", err)
	case <-timeout.Done():
		return fmt.Errorf("start the engine: %w", timeout.Err())
	}
}

// Send appends records to a partition, in order.
func (s *subject) Send(ctx context.Context, topic string, partition int32, records []pipetest.Record) error {
	out := make([]kafka.Outgoing, len(records))
	for i, r := range records {
		out[i] = kafka.Outgoing{Topic: topic, Partition: partition, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}
		if r.Timestamp.IsZero() {
			out[i].Timestamp = s.clock.Now()
		}
		for _, h := range r.Headers {
			out[i].Headers = append(out[i].Headers, engine.Header{Key: h.Key, Value: h.Value})
		}
	}
	for i, d := range s.producer.SendAll(ctx, out) {
		if d.Err != nil {
			return fmt.Errorf("send record %d to %s/%d: %w", i, topic, partition, d.Err)
		}
	}
	return nil
}

// Advance lets the clock go on.
func (s *subject) Advance(ctx context.Context, d time.Duration) error {
	return s.SetClock(ctx, s.clock.Now().Add(d))
}

// SetClock sets the clock.
func (s *subject) SetClock(ctx context.Context, at time.Time) error {
	s.clock.Set(at)
	if s.child == nil {
		return nil
	}
	return s.order(ctx, order{Clock: at})
}

// settleHere settles the engine in this process.
func (s *subject) settleHere(ctx context.Context) error {
	settled := make(chan error, 1)
	go func() { settled <- s.running.Engine.Settle(ctx) }()
	select {
	case err := <-settled:
		return err
	case err := <-s.ended:
		s.ended <- err
		return fmt.Errorf("the engine has ended: %w", err)
	}
}

// Restart drops the engine as a crash would and starts another from the
// database alone.
func (s *subject) Restart(ctx context.Context) error {
	if err := s.abandon(); err != nil {
		return err
	}
	return s.start(ctx)
}

// Replay asks for rows of a ledger to be sent through again.
func (s *subject) Replay(ctx context.Context, r pipetest.Replay) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	name := ledger.Quarantine
	if r.Ledger == pipetest.Late {
		name = ledger.Late
	}
	rows, err := name.List(ctx, conn, s.setup.Name, ledger.Filter{Partition: r.Partition})
	if err != nil {
		return err
	}
	f, edited := ledger.Filter{IDs: []int64{}}, map[int64][]byte{}
	for _, row := range rows {
		if row.View != r.Name && (row.View != "" || row.Table != r.Name) || r.Partition != nil && row.Offset != r.Offset {
			continue
		}
		f.IDs = append(f.IDs, row.ID)
		if r.Payload != nil {
			edited[row.ID] = r.Payload
		}
	}
	if len(f.IDs) == 0 {
		return fmt.Errorf("%s has no such open row of %s", r.Ledger, r.Name)
	}
	answers, err := name.Replay(ctx, conn, s.setup.Name, f, edited)
	for _, a := range answers {
		if a.Answer == ledger.NotPossible {
			err = errors.Join(err, errors.New(a.Detail))
		}
	}
	return err
}

func (s *subject) abandon() error {
	if s.child != nil {
		s.child.kill()
		s.child = nil
	}
	if s.running == nil {
		return nil
	}
	s.stop(engine.ErrAbandon)
	err := <-s.ended
	s.running.Close()
	s.running = nil
	if errors.Is(err, engine.ErrAbandon) {
		return nil
	}
	return err
}

// DatabaseURL is where the tables are.
func (s *subject) DatabaseURL() string { return s.url }

// Brokers are the broker's addresses.
func (s *subject) Brokers() []string { return []string{s.broker.Addr()} }

// Close stops everything. It may be called twice.
func (s *subject) Close() error {
	errs := []error{s.abandon()}
	if s.producer != nil {
		s.producer.Close()
		s.producer = nil
	}
	if s.proxy != nil {
		errs = append(errs, s.proxy.close())
		s.proxy = nil
	}
	if s.broker != nil {
		errs = append(errs, s.broker.Close())
	}
	if s.drop != nil {
		errs = append(errs, s.drop())
		s.drop = nil
	}
	return errors.Join(errs...)
}
