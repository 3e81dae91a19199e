package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says which database, and which pipeline in it.
type Config struct {
	// URL is a connection string or URL as libpq knows them; the PG*
	// variables fill what it leaves out.
	URL string
	// Conn takes precedence over URL where it is not nil.
	Conn *pgx.ConnConfig
	// Pipeline is the pipeline's name: its row in millstream.pipelines, and
	// part of the application_name of its sessions.
	Pipeline string
	// Schema is where the pipeline's tables live; "" is public.
	Schema string
	// LockTimeout is how long a statement waits for a lock before the commit
	// is tried again with the blocker's name in the message; 0 is
	// DefaultLockTimeout.
	LockTimeout time.Duration
	// EngineVersion is noted in each commit; "" is "unknown".
	EngineVersion string
	// Temporary tells that the server is thrown away at the end: nobody needs
	// a warning that it would not survive a crash.
	Temporary bool
	// OnRetry is called before something that failed is tried again; it must
	// not block. nil: nobody is told.
	OnRetry func(operation string, err error)
	// Logger gets warnings; nil is slog's default.
	Logger *slog.Logger
}

// Limits and times of sessions.
const (
	// DefaultLockTimeout is long enough for an ALTER TABLE that is quick, and
	// short enough that a forgotten transaction is named soon.
	DefaultLockTimeout = 5 * time.Second
	// statementTimeout ends a statement that hangs. The largest commit moves
	// a few hundred megabytes, which takes seconds.
	statementTimeout = 5 * time.Minute
	// idleTransactionTimeout ends a commit whose engine has stopped in the
	// middle (SIGSTOP, a lost machine), so that another can take over.
	idleTransactionTimeout = time.Minute
	// connectTimeout bounds one attempt to connect.
	connectTimeout = 10 * time.Second
	// closeTimeout bounds how long a goodbye to a server may take.
	closeTimeout = 2 * time.Second
	// keepaliveSeconds is after how much silence the server asks whether the
	// client is still there; three unanswered questions end the session.
	keepaliveSeconds = "15"
	// poolConnections is for deploying and for status; the commits have a
	// connection of their own.
	poolConnections = 4
	// Connections is how many an engine has open at most: the commits' and the
	// lease's beside the pool's.
	Connections = poolConnections + 2
	// minServerVersion is PostgreSQL 15: UNIQUE NULLS NOT DISTINCT.
	minServerVersion = 150000
	// DefaultSchema is where tables live unless the configuration says
	// otherwise.
	DefaultSchema = "public"
	// Schema is where Millstream keeps what is its own.
	Schema = "millstream"
)

// Database is a checked PostgreSQL database with a pool of sessions that are
// set up alike.
type Database struct {
	pool      *pgxpool.Pool
	engine    *pgx.ConnConfig // of the session that commits
	pipeline  string
	schema    string
	version   string // of the engine
	temporary bool   // Config.Temporary
	onRetry   func(operation string, err error)
	log       *slog.Logger
	warnings  []string
}

// Open connects, and checks that the server is one that Millstream can work
// with: PostgreSQL 15 or newer, UTF8, writable, and no pooler in transaction
// mode between.
func Open(ctx context.Context, cfg Config) (*Database, error) {
	db, err := Unchecked(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := db.check(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("postgres %s: %w", address(db.pool.Config().ConnConfig), err)
	}
	return db, nil
}

// Unchecked is Open without the checks, for who makes them one by one. It
// does not connect yet.
func Unchecked(ctx context.Context, cfg Config) (*Database, error) {
	conn, err := connConfig(cfg)
	if err != nil {
		return nil, err
	}
	poolConfig, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	poolConfig.ConnConfig = conn.Copy()
	poolConfig.ConnConfig.RuntimeParams["application_name"] += "/pool"
	poolConfig.MaxConns = poolConnections
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	db := &Database{pool: pool, engine: conn, pipeline: cfg.Pipeline, schema: cfg.Schema, version: cfg.EngineVersion, temporary: cfg.Temporary, onRetry: cfg.OnRetry, log: cfg.Logger}
	if db.schema == "" {
		db.schema = DefaultSchema
	}
	if db.version == "" {
		db.version = "unknown"
	}
	if db.log == nil {
		db.log = slog.Default()
	}
	return db, nil
}

// Pool gives the sessions, for status and serving.
func (db *Database) Pool() *pgxpool.Pool { return db.pool }

// Pipeline is the pipeline's name.
func (db *Database) Pipeline() string { return db.pipeline }

// TableSchema is where the pipeline's tables live.
func (db *Database) TableSchema() string { return db.schema }

// Warnings are what Open and Deploy found that works, but not well.
func (db *Database) Warnings() []string { return db.warnings }

// Close ends all sessions of the pool. A Store has a connection of its own
// and must be closed before.
func (db *Database) Close() { db.pool.Close() }

func (db *Database) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	db.warnings = append(db.warnings, text)
	db.log.Warn(text)
}

// connConfig gives the settings that every session of ours has. They are
// start-up parameters, so that they hold from the first statement on and
// RESET returns to them.
func connConfig(cfg Config) (*pgx.ConnConfig, error) {
	conn := cfg.Conn
	if conn == nil {
		var err error
		if conn, err = pgx.ParseConfig(cfg.URL); err != nil {
			return nil, fmt.Errorf("postgres: %w (a database is named as postgres://user:password@host:5432/name)", err)
		}
	} else {
		conn = conn.Copy()
	}
	if cfg.Pipeline == "" {
		return nil, errors.New("postgres: a pipeline needs a name")
	}
	schema := cfg.Schema
	if schema == "" {
		schema = DefaultSchema
	}
	lock := cfg.LockTimeout
	if lock == 0 {
		lock = DefaultLockTimeout
	}
	conn.ConnectTimeout = connectTimeout
	for name, value := range map[string]string{
		"application_name":                    engineSession(cfg.Pipeline),
		"TimeZone":                            "UTC",
		"DateStyle":                           "ISO, MDY",
		"IntervalStyle":                       "postgres",
		"client_encoding":                     "UTF8",
		"extra_float_digits":                  "1",
		"bytea_output":                        "hex",
		"standard_conforming_strings":         "on",
		"default_transaction_isolation":       "read committed",
		"search_path":                         searchPath(schema),
		"jit":                                 "off", // short statements: compiling costs more than it saves
		"lock_timeout":                        milliseconds(lock),
		"statement_timeout":                   milliseconds(statementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleTransactionTimeout),
		"tcp_keepalives_idle":                 keepaliveSeconds,
		"tcp_keepalives_interval":             keepaliveSeconds,
		"tcp_keepalives_count":                "3",
	} {
		conn.RuntimeParams[name] = value
	}
	return conn, nil
}

// engineSession is the name of the session that commits. No other session has
// it: who takes the pipeline over ends those that do.
func engineSession(pipeline string) string { return "millstream/" + pipeline }

// searchPath is for the file's own statements; ours qualify every name.
func searchPath(schema string) string {
	if schema == DefaultSchema {
		return quote(schema)
	}
	return quote(schema) + ", " + quote(DefaultSchema)
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// address names the server without its password.
func address(conn *pgx.ConnConfig) string {
	return fmt.Sprintf("%s@%s:%d/%s", conn.User, conn.Host, conn.Port, conn.Database)
}

// quote gives names as one qualified SQL identifier.
func quote(names ...string) string { return pgx.Identifier(names).Sanitize() }
