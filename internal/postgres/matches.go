package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/plan"
)

// Matches tells, without changing or locking anything, whether p could be
// deployed over what stands: nil, *ChangedError, or why not. It is for one who
// waits to take over, and wants to know before that.
func (db *Database) Matches(ctx context.Context, p *plan.Pipeline, clusterID string) error {
	err := db.matches(ctx, p, clusterID)
	if changed, ok := errors.AsType[*ChangedError](err); ok {
		return changed
	}
	if err != nil {
		return fmt.Errorf("postgres: pipeline %q: %w", db.pipeline, err)
	}
	return nil
}

func (db *Database) matches(ctx context.Context, p *plan.Pipeline, clusterID string) error {
	tx, err := db.pool.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	provider, err := db.provider()
	if err != nil {
		return err
	}
	defer func() { _ = provider.Close() }()
	newest := provider.ListSources()[len(provider.ListSources())-1].Version
	version, err := schemaVersion(ctx, tx.Conn())
	switch {
	case err != nil:
		return err
	case version > newest:
		return newerSchema(version, newest)
	case version < newest:
		return nil // nothing is there, or it is migrated first
	}
	var cluster, schema string
	err = tx.QueryRow(ctx, "SELECT cluster_id, target_schema FROM millstream.pipelines WHERE name = $1", db.pipeline).Scan(&cluster, &schema)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := db.sameHome(cluster, schema, clusterID); err != nil {
		return err
	}
	d := &deployment{db: db, tx: tx, plan: p, names: namesOf(p), entries: entries(p)}
	if err := d.recall(ctx); err != nil {
		return err
	}
	return d.changed()
}

// sameHome refuses to go on with a pipeline that reads another cluster or
// writes to another schema.
func (db *Database) sameHome(cluster, schema, clusterID string) error {
	switch {
	case cluster != clusterID:
		return fmt.Errorf("it reads Kafka cluster %q and this one is %q: offsets of one mean nothing in the other; give the new pipeline another --name", cluster, clusterID)
	case schema != db.schema:
		return fmt.Errorf("its tables are in schema %q, not in %q: give the new pipeline another --name", schema, db.schema)
	}
	return nil
}
