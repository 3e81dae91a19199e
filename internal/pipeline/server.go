package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/serve"
	"github.com/millstream-dev/millstream/internal/telemetry"
	"github.com/millstream-dev/millstream/internal/version"
)

const (
	// defaultPort is the API's, and portTries how many further ones are tried
	// when it is taken.
	defaultPort = 5000
	portTries   = 100
	// readerConnections serve the API's reads where nothing is set, apart from
	// the engine's; with fewer than minReaders, long ones would leave none to
	// short ones.
	readerConnections = 16
	minReaders        = 4
)

func (p *Pipeline) openServer(ctx context.Context, conn *pgx.ConnConfig, cluster kafka.Config) error {
	var err error
	if p.producer, err = kafka.NewProducer(cluster); err != nil {
		return &NotReadyError{What: "Kafka", Err: err}
	}
	if p.topicReader, err = kafka.NewAdmin(cluster); err != nil {
		return &NotReadyError{What: "Kafka", Err: err}
	}
	pool, err := pgxpool.ParseConfig("")
	if err != nil {
		return &NotReadyError{What: "PostgreSQL", Err: err}
	}
	pool.ConnConfig = conn.Copy()
	pool.MaxConns = int32(max(minReaders, cmp.Or(p.opts.Config.Serve.Limits.ReaderConnections, readerConnections)))
	pool.ConnConfig.RuntimeParams["application_name"] = "millstream/" + p.Name + "/api"
	if p.readers, err = pgxpool.NewWithConfig(ctx, pool); err != nil {
		return &NotReadyError{What: "PostgreSQL", Err: err}
	}
	c := p.opts.Config.Serve
	server := serve.Config{
		Addr: c.Listen, Name: p.Name, Version: version.Version, Pool: p.readers, Schema: p.opts.Config.Schema,
		QueryRole: p.opts.Config.Query.Role, Ingest: serve.IngestLimits{BodyBytes: c.Limits.BodyBytes, BodyRecords: p.opts.Config.Ingest.MaxRecords, RecordBytes: p.opts.Config.Ingest.MaxRecordBytes},
		Pipeline: p.Plan, Status: p, Producer: serve.ToKafka(p.producer), Topics: p.topicReader, Health: p.health, Metrics: p.Metrics, Log: p.opts.Logger,
		Key: c.APIKey.Reveal(), KeyFile: c.APIKeyFile, Unprotected: c.Unprotected, CertFile: c.TLSCertFile, CertKeyFile: c.TLSKeyFile,
		Tokens: serve.Tokens(c.JWT), Origins: c.Origins, Limits: limits(c.Limits),
	}
	if p.Server, err = listen(server); err != nil {
		return &NotReadyError{What: "the API", Err: err}
	}
	return nil
}

func limits(l config.Limits) serve.Limits {
	return serve.Limits{
		HeaderTimeout: l.HeaderTimeout, RequestTimeout: l.RequestTimeout, WriteTimeout: l.WriteTimeout, IdleTimeout: l.IdleTimeout,
		HeaderBytes: l.HeaderBytes, BodyBytes: l.BodyBytes, Connections: l.Connections, ConnectionsEach: l.ConnectionsEach,
		StatementTimeout: l.StatementTimeout, AnswerTimeout: l.AnswerTimeout, Rows: int64(l.Rows), Streams: l.Streams,
		KeyRate: float64(l.KeyRate), AddressRate: float64(l.AddressRate),
	}
}

// openAdmin binds the listener for metrics and profiles, unless it is off.
func (p *Pipeline) openAdmin() error {
	addr := p.opts.Config.Serve.AdminListen
	if addr == "off" {
		return nil
	}
	var err error
	if p.admin, err = telemetry.NewAdmin(telemetry.AdminConfig{Addr: addr, Registry: p.Metrics.Registry()}); err != nil {
		return &NotReadyError{What: "the admin listener", Err: err}
	}
	return nil
}

// serve answers on the API's listener, and on the admin's, until ctx ends or
// one of them fails.
func (p *Pipeline) serve(ctx context.Context) error {
	if p.admin == nil {
		return p.Server.Serve(ctx)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- p.admin.Serve(ctx)
	}()
	err := p.Server.Serve(ctx)
	stop()
	return errors.Join(err, <-ended)
}

// listen binds the address that is asked for, or port 5000 on loopback, or
// the next free one.
func listen(c serve.Config) (*serve.Server, error) {
	if c.Addr != "" {
		return bind(c)
	}
	for port := defaultPort; ; port++ {
		c.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		s, err := bind(c)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || port == defaultPort+portTries {
			return s, err
		}
	}
}

func bind(c serve.Config) (*serve.Server, error) {
	s, err := serve.New(c)
	if err != nil {
		return nil, err
	}
	return s, s.Listen()
}

// Addresses are where a pipeline's parts answer.
type Addresses struct {
	API      string // http://host:port
	Admin    string // http://host:port, of metrics and profiles; empty when it is off
	Kafka    string // host:port
	Postgres string // postgres://…
}

// Addresses tells where the parts answer. The database's password is shown
// only where the stack has made it up.
func (p *Pipeline) Addresses() Addresses {
	a := Addresses{Kafka: p.kafkaAddress(), Postgres: p.databaseAddress()}
	if p.Server != nil {
		a.API = "http://" + p.Server.Addr()
		if p.Server.TLS() {
			a.API = "https://" + p.Server.Addr()
		}
	}
	if p.admin != nil {
		a.Admin = "http://" + p.admin.Addr()
	}
	return a
}

func (p *Pipeline) kafkaAddress() string {
	brokers := KafkaConfig(p.opts.Config, p.opts.Stack).Brokers
	if len(brokers) == 0 {
		return ""
	}
	return brokers[0]
}

func (p *Pipeline) databaseAddress() string {
	if p.opts.Stack != nil {
		return p.opts.Stack.Postgres.URL()
	}
	c := p.DB.Pool().Config().ConnConfig
	return fmt.Sprintf("postgres://%s@%s/%s", c.User, net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), c.Database)
}

// Path is the file that the pipeline was read from.
func (p *Pipeline) Path() string { return p.opts.Definition.Path }

// Done is closed when Run has returned.
func (p *Pipeline) Done() <-chan struct{} { return p.ended }
