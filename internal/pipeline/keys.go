package pipeline

import (
	"context"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/postgres"
)

// OpenDatabase opens the configured database for verbs that need no pipeline;
// migrate brings the schema millstream to this program's version. What is not
// ready is a *NotReadyError.
func OpenDatabase(ctx context.Context, c *config.Config, migrate bool) (*postgres.Database, error) {
	conn, err := databaseConn(c, nil)
	if err != nil {
		return nil, &NotReadyError{What: "PostgreSQL", Err: err}
	}
	db, err := postgres.Open(ctx, postgres.Config{Conn: conn, Pipeline: "keys", Schema: c.Schema, Temporary: true}) // no commit is at stake: no warning of fsync
	if err != nil {
		return nil, &NotReadyError{What: "PostgreSQL", Err: err}
	}
	if !migrate {
		return db, nil
	}
	if err := db.Migrate(ctx); err != nil {
		db.Close()
		return nil, &NotReadyError{What: "PostgreSQL", Err: err}
	}
	return db, nil
}
