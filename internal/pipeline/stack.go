package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/local"
)

// Stack is the embedded broker and the PostgreSQL child.
type Stack struct {
	Broker   *local.Broker
	Postgres *local.Postgres
}

// StackOptions say where the local stack runs.
type StackOptions struct {
	Data     string // folder for both; empty: memory and a temporary folder
	Host     string // that the broker listens on
	PGBin    string
	AnyPort  bool           // take free ports instead of 9092 and 5432
	Progress local.Progress // of fetching PostgreSQL; may be nil
	// Partitions of topics whose maker does not say.
	Partitions int
	OnError    func(message string) // of the broker
	Log        *slog.Logger         // of PostgreSQL's restarts; may be nil
}

// StackOptionsOf takes the stack's options from the configuration.
func StackOptionsOf(c *config.Config) StackOptions {
	return StackOptions{Data: c.Local.Data, Host: c.Local.Host, PGBin: c.Local.PGBin}
}

// StartStack starts both, side by side.
func StartStack(ctx context.Context, o StackOptions) (*Stack, error) {
	port := 0
	if o.AnyPort {
		port = -1
	}
	s := &Stack{}
	failed := make(chan error, 1)
	go func() {
		options := local.PostgresOptions{Bin: o.PGBin, Port: port, Progress: o.Progress, Log: o.Log}
		if o.Data != "" {
			options.Dir = filepath.Join(o.Data, "postgres")
		}
		var err error
		s.Postgres, err = local.StartPostgres(ctx, options)
		failed <- err
	}()
	options := local.BrokerOptions{Host: o.Host, Port: port, Partitions: o.Partitions, OnError: o.OnError}
	if o.Data != "" {
		options.Dir = filepath.Join(o.Data, "kafka")
	}
	var err error
	s.Broker, err = local.StartBroker(options)
	if err = errors.Join(err, <-failed); err != nil {
		return nil, errors.Join(&NotReadyError{What: "the local stack", Err: err}, s.Close())
	}
	return s, nil
}

// watch ends what runs, by cancel, when PostgreSQL could not be kept running.
// It returns with ctx.
func (s *Stack) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
	case <-s.Postgres.Done():
		// There is nothing to drain to: the next run goes on from the last commit.
		cancel(fmt.Errorf("%w: %w", engine.ErrAbandon, s.Postgres.Err()))
	}
}

// failure is err, or, where the engine was abandoned for the database's sake,
// what has become of the database.
func (s *Stack) failure(err error) error {
	if s == nil || s.Postgres.Err() == nil || !errors.Is(err, engine.ErrAbandon) {
		return err
	}
	return s.Postgres.Err()
}

// Close stops both. It may be called twice.
func (s *Stack) Close() error {
	var errs []error
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Close())
	}
	if s.Broker != nil {
		errs = append(errs, s.Broker.Close())
	}
	return errors.Join(errs...)
}

// NotReadyError tells that the surroundings are not ready: Kafka, PostgreSQL,
// or what the local stack needs.
type NotReadyError struct {
	What string
	Err  error
}

func (e *NotReadyError) Error() string { return e.What + ": " + e.Err.Error() }

func (e *NotReadyError) Unwrap() error { return e.Err }
