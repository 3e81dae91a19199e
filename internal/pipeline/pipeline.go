package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/serve"
	"github.com/millstream-dev/millstream/internal/telemetry"
	"github.com/millstream-dev/millstream/internal/telemetry/otlp"
	"github.com/millstream-dev/millstream/internal/version"
)

// Options are what a pipeline is put together from.
type Options struct {
	Definition *Definition
	Config     *config.Config
	Stack      *Stack // nil: the configured Kafka and PostgreSQL
	Clock      engine.Clock
	Logger     *slog.Logger
	// Rebuild lets a changed definition drop what was computed and read the
	// log again; without it Open fails with *postgres.ChangedError.
	Rebuild bool
	// NoServe leaves the API and the admin listener out.
	NoServe bool
	// Standby lets Open wait until no other process runs the pipeline; without
	// it, one that does is replaced. OnStandby is called, with whom it waits
	// for, when it begins to wait and the API answers.
	Standby   bool
	OnStandby func(p *Pipeline, leader string)
	// Temporary tells that the database is thrown away at the end; so is the
	// stack's where it has no folder.
	Temporary bool
	// MaxEpochBytes and MaxSkew are the engine's; 0: its defaults.
	MaxEpochBytes int64
	MaxSkew       time.Duration
	PollRecords   int
	// OnCommit is called after each commit; it must not block.
	OnCommit func(*engine.Report)
}

// Pipeline is a pipeline that is ready to run.
type Pipeline struct {
	Name    string
	Plan    *plan.Pipeline
	DB      *postgres.Database
	Engine  *engine.Engine
	Server  *serve.Server // nil with NoServe
	Metrics *telemetry.Metrics

	opts   Options
	admin  *telemetry.Admin // nil with NoServe, or when it is off
	export *otlp.Exporter   // nil when nothing is sent
	lease  *postgres.Lease
	// acceptLoss is engine.accept_loss.
	acceptLoss []engine.AcceptedLoss
	role       role
	store      *postgres.Store
	producer   *kafka.Producer
	// topicReader looks into topics for the API.
	topicReader *kafka.Admin
	sources     *sources
	readers     *pgxpool.Pool
	monitor     *monitor
	served      chan error // how the API has ended; nil while it was not started
	stopServing context.CancelFunc
	ended       chan struct{} // closed when Run has returned
	closing     sync.Once
}

// Open connects, deploys the definition, and makes engine and API ready. With
// Standby it first waits until the pipeline is free, and gives ErrStoodBy when
// ctx ends meanwhile. What is not ready around it is a *NotReadyError.
func Open(ctx context.Context, o Options) (*Pipeline, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pipeline{Name: o.Definition.Name, Plan: o.Definition.Plan, opts: o, monitor: newMonitor(time.Now()), ended: make(chan struct{})}
	p.Metrics = telemetry.NewMetrics(p.Name, version.Version)
	if err := checkStandby(&o); err != nil {
		return nil, err
	}
	var err error
	if p.acceptLoss, err = acceptedLosses(o.Config.Engine.AcceptLoss); err != nil {
		return nil, err
	}
	if err := p.open(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Pipeline) open(ctx context.Context) error {
	servers := KafkaServers(p.opts.Config, p.opts.Stack, p.Plan, p.Name)
	p.sources = &sources{servers: servers, log: p.opts.Logger}
	source, err := p.sources.first(ctx)
	if err != nil {
		return &NotReadyError{What: "Kafka", Err: err}
	}
	cluster, err := p.clusterID(ctx, source)
	if err != nil {
		return &NotReadyError{What: "Kafka", Err: err}
	}
	conn, err := databaseConn(p.opts.Config, p.opts.Stack)
	if err != nil {
		return &NotReadyError{What: "PostgreSQL", Err: err}
	}
	p.DB, err = postgres.Open(ctx, postgres.Config{
		Conn: conn, Pipeline: p.Name, Schema: p.opts.Config.Schema, EngineVersion: version.Version, Logger: p.opts.Logger,
		OnRetry:   p.onRetry,
		Temporary: p.opts.Temporary || p.opts.Stack != nil && p.opts.Config.Local.Data == "",
	})
	if err != nil {
		return &NotReadyError{What: "PostgreSQL", Err: err}
	}
	p.lease = p.DB.Lease()
	openAPI := func() error {
		if p.opts.NoServe {
			return nil
		}
		if err := p.openAdmin(); err != nil {
			return err
		}
		return p.openServer(ctx, conn, servers[plan.DefaultServer])
	}
	if p.opts.Standby {
		if err := openAPI(); err != nil {
			return err
		}
		if err := p.standBy(ctx, cluster); err != nil {
			return err
		}
		if err := p.takeOver(ctx, cluster); err != nil {
			return err
		}
	} else {
		if err := p.openEngine(ctx, cluster); err != nil {
			return err
		}
		if err := openAPI(); err != nil {
			return err
		}
		// An engine that runs is not disturbed before nothing else can go wrong.
		if err := p.lease.Take(ctx); err != nil {
			return err
		}
	}
	p.role.leads.Store(true)
	if p.Server != nil {
		p.Server.Lead()
	}
	return nil
}

// openEngine deploys the definition and makes the engine ready.
func (p *Pipeline) openEngine(ctx context.Context, cluster string) error {
	if err := p.deploy(ctx, cluster); err != nil {
		return err
	}
	if err := checkEngine(ctx, p.DB, NativeEngine); err != nil {
		return err
	}
	status, err := postgres.ReadStatus(ctx, p.DB.Pool(), p.Name)
	if err != nil {
		return err
	}
	p.monitor.recall(status, p.Metrics)
	p.store = p.DB.Store(p.Plan)
	if err := p.openExport(); err != nil {
		return err
	}
	cfg := p.opts.Config.Engine
	p.Engine, err = engine.New(engine.Options{
		Plan: p.Plan, OpenSource: p.sources.open, Store: p.store, Clock: p.opts.Clock, Logger: p.opts.Logger,
		CommitInterval: cfg.CommitInterval, MaxEpochRows: cfg.MaxEpochRows, MaxCommitRows: cfg.MaxCommitRows, Workers: cfg.Workers, UntilEnd: cfg.UntilEnd,
		MaxEpochBytes: p.opts.MaxEpochBytes, MaxSkew: p.opts.MaxSkew, PollRecords: p.opts.PollRecords,
		OnCommit: p.onCommit, Tracer: p.tracer(), LookupRefresh: cfg.LookupRefresh,
		Lookups: p.DB.Lookups(p.Plan, postgres.LookupLimits{Rows: cfg.LookupMaxRows, Bytes: cfg.LookupMaxBytes}),
		Replays: p.DB.Replays(p.Plan), AcceptLoss: p.acceptLoss,
	})
	return err
}

// connectTimeout is how long Kafka may take to answer at the start: long
// enough for a broker that is starting beside us, short enough for somebody
// who has mistyped an address.
const connectTimeout = 30 * time.Second

// clusterID asks Kafka who it is, and says so if that takes long.
func (p *Pipeline) clusterID(ctx context.Context, source engine.Source) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	patience := time.AfterFunc(connectTimeout/10, func() {
		p.opts.Logger.Warn("Kafka does not answer yet", "brokers", KafkaConfig(p.opts.Config, p.opts.Stack).Brokers, "error", source.Health(), "patience", connectTimeout.String())
	})
	defer patience.Stop()
	id, err := source.ClusterID(ctx, plan.DefaultServer)
	if err != nil && ctx.Err() != nil && source.Health() != nil {
		err = fmt.Errorf("no answer within %s: %w", connectTimeout, source.Health())
	}
	return id, err
}

func acceptedLosses(texts []string) ([]engine.AcceptedLoss, error) {
	out := make([]engine.AcceptedLoss, len(texts))
	for i, text := range texts {
		var err error
		if out[i], err = engine.ParseLoss(text); err != nil {
			return nil, &diag.Diagnostic{Code: config.CodeSetting, Message: "--accept-loss: " + err.Error(), Hint: "the message that told of the loss has the range"}
		}
	}
	return out, nil
}

func (p *Pipeline) deploy(ctx context.Context, cluster string) error {
	err := p.DB.Deploy(ctx, p.Plan, cluster)
	var changed *postgres.ChangedError
	if errors.As(err, &changed) && p.opts.Rebuild {
		p.opts.Logger.Info("the definition has changed: building anew from the log", "changes", changed.Statements)
		err = p.DB.Rebuild(ctx, p.Plan, cluster)
	}
	// The database knows lines only; the file's name is ours to add.
	for _, d := range diag.From(err) {
		if d.Pos.File == "" && d.Pos.Line > 0 {
			d.Pos.File = p.opts.Definition.Path
		}
	}
	return err
}

// Run runs the engine, and the API beside it, until ctx ends, the ends are
// reached (UntilEnd), or something fails.
func (p *Pipeline) Run(ctx context.Context) error {
	defer close(p.ended)
	if p.opts.Stack == nil {
		return p.run(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go p.opts.Stack.watch(ctx, cancel)
	return p.opts.Stack.failure(p.run(ctx))
}

func (p *Pipeline) run(ctx context.Context) error {
	defer p.Metrics.EngineUp(false)
	p.Metrics.EngineUp(true)
	watchCtx, stopWatching := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		p.watchLag(watchCtx)
	}()
	defer func() {
		stopWatching()
		<-watching
	}()
	p.advertise(ctx)
	if p.Server == nil {
		return p.runEngine(ctx)
	}
	p.startServing(ctx)
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ran := make(chan error, 1)
	go func() { ran <- p.runEngine(runCtx) }()
	select {
	case err := <-ran:
		p.stopServing()
		return errors.Join(err, <-p.served)
	case err := <-p.served:
		p.served <- nil
		cancel(fmt.Errorf("the API has stopped: %w", err))
		return errors.Join(err, <-ran)
	}
}

// Close frees everything but the stack. Run has returned. It may be called
// twice.
func (p *Pipeline) Close() {
	p.closing.Do(func() {
		if p.stopServing != nil {
			p.stopServing()
			select {
			case <-p.served: //nolint:errcheck // Open has failed for another reason
			case <-p.ended: // Run has seen to it
			}
		}
		p.closeExport()
		if p.admin != nil {
			p.admin.Close()
		}
		if p.readers != nil {
			p.readers.Close()
		}
		if p.topicReader != nil {
			p.topicReader.Close()
		}
		if p.producer != nil {
			p.producer.Close()
		}
		if p.sources != nil {
			p.sources.close()
		}
		if p.store != nil {
			p.store.Close()
		}
		if p.lease != nil {
			p.lease.Release()
		}
		if p.DB != nil {
			p.DB.Close()
		}
	})
}

// sources opens the engine's source: once to look at the cluster, and that
// one is the engine's first; later ones when it starts over.
type sources struct {
	servers map[string]kafka.Config
	log     *slog.Logger

	mu      sync.Mutex
	ready   engine.Source
	current engine.Source
}

func (s *sources) first(ctx context.Context) (engine.Source, error) {
	source, err := kafka.NewSource(s.servers, s.log)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready, s.current = source, source
	return source, nil
}

func (s *sources) open(context.Context) (engine.Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if source := s.ready; source != nil {
		s.ready = nil
		return source, nil
	}
	source, err := kafka.NewSource(s.servers, s.log)
	if err != nil {
		return nil, err
	}
	s.current = source
	return source, nil
}

// health is the current source's, nil when there is none yet.
func (s *sources) health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil
	}
	return s.current.Health()
}

func (s *sources) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready != nil {
		s.ready.Close()
		s.ready = nil
	}
}
