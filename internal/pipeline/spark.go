package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/spark"
	"github.com/millstream-dev/millstream/internal/version"
)

// Engines that a pipeline can run on.
const (
	NativeEngine = "native"
	SparkEngine  = "spark"
)

// SparkOptions are what a pipeline on Spark is put together from.
type SparkOptions struct {
	Definition *Definition
	Config     *config.Config
	Logger     *slog.Logger
	Conf       []string  // further settings of Spark
	Env        []string  // added to the application's environment
	Output     io.Writer // what Spark prints
	// OnStart is told of the application once it runs; nil: nobody.
	OnStart func(*spark.Status)
}

// SparkPipeline is a pipeline that is deployed and ready to be submitted.
type SparkPipeline struct {
	Name string
	DB   *postgres.Database
	Job  *spark.Job

	opts    SparkOptions
	spark   *spark.Spark
	servers map[string]kafka.Config
	files   spark.Files
	dir     string
}

// DescribeSpark compiles a definition for Spark.
func DescribeSpark(d *Definition, schema string) (*spark.Job, error) {
	if schema == "" {
		schema = postgres.DefaultSchema
	}
	job, err := spark.Describe(d.Plan, spark.Options{Name: d.Name, Schema: schema, File: d.Path})
	for _, p := range diag.From(err) {
		if p.Pos.File == "" && p.Pos.Line > 0 {
			p.Pos.File = d.Path
		}
	}
	return job, err
}

// OpenSpark looks for Spark, makes the topics, deploys the definition and
// writes the application to a folder.
func OpenSpark(ctx context.Context, o SparkOptions) (*SparkPipeline, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &SparkPipeline{Name: o.Definition.Name, opts: o}
	if err := p.open(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *SparkPipeline) open(ctx context.Context) (err error) {
	if p.Job, err = DescribeSpark(p.opts.Definition, p.opts.Config.Schema); err != nil {
		return err
	}
	if p.opts.Config.Spark.Checkpoint == "" {
		return &NotReadyError{What: "Spark", Err: errors.New("where its checkpoint lives is not said: set SPARK_CHECKPOINT_LOCATION to a folder that driver and executors see, and keep it")}
	}
	if p.spark, err = spark.Find(ctx); err != nil {
		return &NotReadyError{What: "Spark", Err: err}
	}
	p.servers = KafkaServers(p.opts.Config, nil, p.opts.Definition.Plan, p.Name)
	cluster, err := p.topics(ctx)
	if err != nil {
		return &NotReadyError{What: "Kafka", Err: err}
	}
	p.DB, err = postgres.Open(ctx, postgres.Config{
		URL: DatabaseURL(p.opts.Config, nil), Pipeline: p.Name, Schema: p.opts.Config.Schema, EngineVersion: version.Version, Logger: p.opts.Logger,
	})
	if err != nil {
		return &NotReadyError{What: "PostgreSQL", Err: err}
	}
	if err := p.DB.Deploy(ctx, p.opts.Definition.Plan, cluster); err != nil {
		return err
	}
	if err := checkEngine(ctx, p.DB, SparkEngine); err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp("", "millstream-spark-"); err != nil {
		return err
	}
	p.files, err = spark.Unpack(p.dir, p.Job)
	return err
}

// checkEngine refuses a pipeline that another engine has begun: neither can
// read the other's position and state.
func checkEngine(ctx context.Context, db *postgres.Database, engine string) error {
	ran, err := db.RanBy(ctx)
	if err != nil || ran == "" || ran == engine {
		return err
	}
	return fmt.Errorf("pipeline %q has run on the %s engine, whose position and state the %s engine can't read: give the new one another --name and --schema", db.Pipeline(), ran, engine)
}

// topics makes the topics that are not there, and gives the cluster's id.
func (p *SparkPipeline) topics(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	source, err := kafka.NewSource(p.servers, p.opts.Logger)
	if err != nil {
		return "", err
	}
	defer source.Close()
	wanted := map[engine.TopicKey]int{}
	for _, t := range p.opts.Definition.Plan.Topics {
		wanted[engine.TopicKey{Server: t.Server, Topic: t.Topic}] = t.Partitions
	}
	if _, err := source.Describe(ctx, wanted); err != nil {
		return "", err
	}
	return source.ClusterID(ctx, plan.DefaultServer)
}

// Run submits the application and waits for its end. When ctx ends, the
// application is asked to stop; one that does not is interrupted.
func (p *SparkPipeline) Run(ctx context.Context) error {
	checkpoint := p.opts.Config.Spark.Checkpoint
	if abs, err := filepath.Abs(checkpoint); err == nil && !hasScheme(checkpoint) {
		checkpoint = abs
	}
	running, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	defer interrupt()
	supervised := make(chan struct{})
	go func() {
		defer close(supervised)
		p.supervise(ctx, running)
		interrupt()
	}()
	err := p.spark.Run(running, p.files, spark.SubmitOptions{
		Master: p.opts.Config.Spark.Master, Checkpoint: checkpoint, Kafka: p.servers, DatabaseURL: DatabaseURL(p.opts.Config, nil),
		UntilEnd: p.opts.Config.Engine.UntilEnd, Jars: p.opts.Config.Spark.Jars, Trigger: p.opts.Config.Spark.Trigger,
		MaxOffsets: p.opts.Config.Spark.MaxOffsets, Conf: p.opts.Conf, Env: p.opts.Env, Output: p.opts.Output,
	})
	interrupt()
	<-supervised
	return err
}

const (
	// watchPeriod is how often it is looked whether the application is up.
	watchPeriod = time.Second
	// stopPatience is how long a batch that is under way may take to end.
	stopPatience = 2 * time.Minute
)

// supervise tells where Spark's UI is once the application is up, and asks it
// to stop when ctx ends. It returns when it has stopped, or has not in time;
// or when running ends.
func (p *SparkPipeline) supervise(ctx, running context.Context) {
	before := int64(0)
	if s, err := spark.ReadStatus(running, p.DB.Pool(), p.Name); err == nil {
		before = s.Generation
	}
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	for told := false; ; {
		select {
		case <-running.Done():
			return
		case <-ctx.Done():
			if s, err := spark.ReadStatus(running, p.DB.Pool(), p.Name); err != nil || s.Generation == before {
				return // it is not up yet: there is nothing to end
			}
			patience, cancel := context.WithTimeout(running, stopPatience)
			defer cancel()
			if err := spark.Stop(patience, p.DB.Pool(), p.Name); err != nil && !errors.Is(err, spark.ErrNoApplication) {
				p.opts.Logger.Warn("the Spark application is interrupted", "error", err)
			}
			return
		case <-ticker.C:
		}
		if told {
			continue
		}
		s, err := spark.ReadStatus(running, p.DB.Pool(), p.Name)
		if err == nil && s.Generation > before {
			told = true
			if p.opts.OnStart != nil {
				p.opts.OnStart(s)
			}
		}
	}
}

// hasScheme tells hdfs://, s3a:// and the like from a path.
func hasScheme(path string) bool {
	for i, c := range path {
		if c == ':' {
			return i > 1
		}
		if c == '/' {
			return false
		}
	}
	return false
}

// Close frees everything. It may be called twice.
func (p *SparkPipeline) Close() {
	if p.DB != nil {
		p.DB.Close()
		p.DB = nil
	}
	if p.dir != "" {
		_ = os.RemoveAll(p.dir) // it is temporary
		p.dir = ""
	}
}
