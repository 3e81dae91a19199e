package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// oldTransaction is how long a transaction may hold back the removal of dead
// rows before a warning: result tables are rewritten in place all the time.
const oldTransaction = time.Hour

const serverSQL = `
SELECT current_setting('server_version_num')::int,
       current_setting('server_version'),
       current_setting('server_encoding'),
       pg_is_in_recovery(),
       current_setting('fsync'),
       current_setting('synchronous_commit'),
       current_setting('default_transaction_read_only')`

// Server is what a server says of itself, as far as the promises hang on it.
type Server struct {
	Number                   int // server_version_num
	Version, Encoding        string
	Standby                  bool
	FSync, SynchronousCommit string // settings
	ReadOnly                 string // default_transaction_read_only
}

// Server asks the server what it is.
func (db *Database) Server(ctx context.Context) (s Server, err error) {
	err = db.pool.QueryRow(ctx, serverSQL).Scan(&s.Number, &s.Version, &s.Encoding, &s.Standby, &s.FSync, &s.SynchronousCommit, &s.ReadOnly)
	return s, err
}

// Refusal tells why Millstream can't work with the server, nil if it can.
func (s Server) Refusal() error {
	switch {
	case s.Number < minServerVersion:
		return fmt.Errorf("the server is PostgreSQL %s: Millstream needs 15 or newer (keys are UNIQUE NULLS NOT DISTINCT)", s.Version)
	case s.Encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", s.Encoding)
	case s.Standby:
		return errors.New("the server is a standby, which can't be written: connect to the primary (or add target_session_attrs=read-write)")
	case s.ReadOnly == "on":
		return errors.New("default_transaction_read_only is on for this role or database: turn it off for the pipeline's role")
	}
	return nil
}

// check refuses servers that can't keep the promises, and warns of settings
// that weaken them.
func (db *Database) check(ctx context.Context) error {
	s, err := db.Server(ctx)
	if err != nil {
		return err
	}
	if err := s.Refusal(); err != nil {
		return err
	}
	if s.FSync == "off" && !db.temporary {
		db.warn("fsync is off: a crash of the database's machine may destroy the database")
	}
	if s.SynchronousCommit == "off" {
		db.warn("synchronous_commit is off: a crash of the database may take back the last commits; the pipeline then resumes from before them")
	}
	if err := db.CheckPooler(ctx); err != nil {
		return err
	}
	old, err := db.OldTransactions(ctx)
	for _, text := range old {
		db.warn("%s", text)
	}
	return err
}

// errPooler tells of a pooler that gives each transaction another session.
var errPooler = errors.New("a connection pooler in transaction mode stands between (one session serves several connections): " +
	"connect to PostgreSQL itself, or to a pool in session mode; Millstream needs temporary tables and prepared statements")

// CheckPooler recognises a pooler in transaction mode: two connections that
// are open at once must have two server processes, and one connection the
// same process from one transaction to the next.
//
// A pool hands out the session that was used last, so the second connection
// would get the first one's, and with it inside a transaction the first would
// get another.
func (db *Database) CheckPooler(ctx context.Context) error {
	first, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer first.Release()
	second, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer second.Release()
	before, err := backend(ctx, first)
	if err != nil {
		return err
	}
	tx, err := second.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	var other uint32
	if err := tx.QueryRow(ctx, backendSQL, pgx.QueryExecModeExec).Scan(&other); err != nil {
		return err
	}
	if other == before {
		return errPooler
	}
	after, err := backend(ctx, first)
	if err != nil {
		return err
	}
	if after != before {
		return errPooler
	}
	return nil
}

// backendSQL is not prepared: behind such a pooler the statement of one
// connection would be in the way of the other's.
const backendSQL = "SELECT pg_backend_pid()"

func backend(ctx context.Context, conn *pgxpool.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, backendSQL, pgx.QueryExecModeExec).Scan(&pid)
	return pid, err
}

const oldTransactionsSQL = `
SELECT pid, application_name, round(extract(epoch FROM now() - xact_start))::bigint
FROM pg_catalog.pg_stat_activity
WHERE backend_xmin IS NOT NULL AND xact_start < now() - make_interval(secs => $1) AND pid <> pg_backend_pid()
ORDER BY xact_start LIMIT 1`

// OldTransactions tells of the oldest transaction that keeps dead rows alive,
// if it has done so for long.
func (db *Database) OldTransactions(ctx context.Context) (found []string, err error) {
	rows, err := db.pool.Query(ctx, oldTransactionsSQL, oldTransaction.Seconds())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var pid int32
		var name string
		var seconds int64
		if err := rows.Scan(&pid, &name, &seconds); err != nil {
			return nil, err
		}
		found = append(found, fmt.Sprintf("process %d (%s) has had a transaction open for %s: dead rows can't be removed and tables grow until it ends",
			pid, name, time.Duration(seconds)*time.Second))
	}
	return found, rows.Err()
}
