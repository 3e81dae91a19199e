package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/millstream-dev/millstream/internal/failpoint"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	// versionTable is where goose notes what it has run.
	versionTable = Schema + ".migrations"
	// migrationLock is the advisory lock that one migrating process holds.
	// The number is arbitrary and must never change.
	migrationLock int64 = 0x6d696c6c73747265 // "millstre"
)

// Migrate brings the schema millstream to this program's version. Each
// migration is one transaction; processes that start together wait for one
// another. A schema newer than the program is refused.
func (db *Database) Migrate(ctx context.Context) error {
	if err := db.migrate(ctx); err != nil {
		return fmt.Errorf("postgres: schema %s: %w", Schema, err)
	}
	return nil
}

func (db *Database) migrate(ctx context.Context) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	// The wait is for another program's migrations, however long they take.
	if _, err := conn.Exec(ctx, "SELECT set_config('lock_timeout', '0', false), pg_advisory_lock($1)", migrationLock); err != nil {
		return err
	}
	defer func() {
		_, err := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrationLock)
		if err == nil {
			_, err = conn.Exec(context.WithoutCancel(ctx), "RESET lock_timeout")
		}
		if err != nil {
			_ = conn.Conn().Close(ctx) // the lock ends with the session
		}
	}()
	provider, err := db.provider()
	if err != nil {
		return err
	}
	defer func() { _ = provider.Close() }()
	newest := provider.ListSources()[len(provider.ListSources())-1].Version
	current, err := schemaVersion(ctx, conn.Conn())
	switch {
	case err != nil:
		return err
	case current > newest:
		return newerSchema(current, newest)
	case current == newest:
		return nil
	}
	failpoint.Hit("upkeep.migration")
	if _, err := conn.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+Schema); err != nil {
		return fmt.Errorf("%w (the role needs CREATE on the database, or somebody who has it runs: CREATE SCHEMA %s AUTHORIZATION role)", err, Schema)
	}
	failpoint.Hit("upkeep.migration")
	for {
		_, err := provider.UpByOne(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return nil
		}
		if err != nil {
			return err
		}
		failpoint.Hit("upkeep.migration")
	}
}

func newerSchema(current, newest int64) error {
	return fmt.Errorf("its version is %d and this program knows %d: a newer Millstream has been here; install that one, or use another database", current, newest)
}

func (db *Database) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	// goose takes database/sql; its connections are set up as ours.
	return goose.NewProvider(goose.DialectPostgres, stdlib.OpenDB(*db.pool.Config().ConnConfig), files,
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
}

// schemaVersion is the newest migration that has run, 0 before the first.
func schemaVersion(ctx context.Context, conn *pgx.Conn) (version int64, err error) {
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", versionTable).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	err = conn.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&version)
	return version, err
}
