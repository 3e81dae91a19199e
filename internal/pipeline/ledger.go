package pipeline

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/postgres/ledger"
)

// OpenLedgers connects to the database of a pipeline's ledgers; an empty name
// means the one pipeline that is there. It gives its name.
func OpenLedgers(ctx context.Context, c *config.Config, name string) (*pgx.Conn, string, error) {
	settings, err := databaseConn(c, nil)
	if err != nil {
		return nil, "", err
	}
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return nil, "", &NotReadyError{What: "PostgreSQL", Err: err}
	}
	if name, err = ledgerPipeline(ctx, conn, name); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, "", err
	}
	return conn, name, nil
}

func ledgerPipeline(ctx context.Context, conn *pgx.Conn, name string) (string, error) {
	if name == "" {
		return onlyPipeline(ctx, conn)
	}
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM millstream.pipelines WHERE name = $1)", name).Scan(&there); err != nil {
		return "", fmt.Errorf("pipeline %q: %w", name, err)
	}
	if !there {
		return "", fmt.Errorf("pipeline %q: %w", name, postgres.ErrNoPipeline)
	}
	return name, nil
}

const engineThereSQL = `
SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND application_name = $1)`

// EngineThere tells whether an engine of the pipeline is connected to the
// database, and whether the pipeline is one that Spark runs.
func EngineThere(ctx context.Context, conn *pgx.Conn, name string) (there, spark bool, err error) {
	if err = conn.QueryRow(ctx, engineThereSQL, "millstream/"+name).Scan(&there); err != nil {
		return false, false, err
	}
	spark, err = ledger.BySpark(ctx, conn, name)
	return there, spark, err
}
