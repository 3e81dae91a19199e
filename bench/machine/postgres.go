package machine

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/local"
)

// PostgresSettings are what the server runs with beyond its defaults: every
// commit is on disk before it is answered, and its time is kept.
var PostgresSettings = map[string]string{
	"fsync":                  "on",
	"synchronous_commit":     "on",
	"full_page_writes":       "on",
	"track_commit_timestamp": "on",
	"shared_buffers":         "1GB",
	"max_wal_size":           "8GB",
	"checkpoint_timeout":     "15min",
	"autovacuum_naptime":     "10s",
}

// Postgres is the benchmark's server.
type Postgres struct {
	PID     int
	Version string

	server *local.Postgres
	mu     sync.Mutex // of admin
	admin  *pgx.Conn
}

// StartPostgres starts a server with its data in dir.
func StartPostgres(ctx context.Context, dir string) (*Postgres, error) {
	server, err := local.StartPostgres(ctx, local.PostgresOptions{Dir: dir, Port: -1, Settings: PostgresSettings})
	if err != nil {
		return nil, err
	}
	p := &Postgres{server: server, Version: server.Installation().Version}
	if err := p.connect(ctx); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return p, nil
}

func (p *Postgres) connect(ctx context.Context) error {
	var err error
	if p.admin, err = pgx.Connect(ctx, p.server.URL()); err != nil {
		return err
	}
	var folder string
	if err := p.admin.QueryRow(ctx, "SHOW data_directory").Scan(&folder); err != nil {
		return err
	}
	text, err := os.ReadFile(folder + "/postmaster.pid")
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	p.PID, err = strconv.Atoi(first)
	return err
}

// Database makes an empty database of that name and gives its address. One
// that was there goes. A checkpoint makes all runs begin alike.
func (p *Postgres) Database(ctx context.Context, name string) (string, error) {
	if err := p.Drop(ctx, name); err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sql := range []string{"CREATE DATABASE " + name, "CHECKPOINT"} {
		if _, err := p.admin.Exec(ctx, sql); err != nil {
			return "", fmt.Errorf("%s: %w", sql, err)
		}
	}
	u, err := url.Parse(p.server.URL())
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// Drop removes a database, whoever is connected to it.
func (p *Postgres) Drop(ctx context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	return err
}

// WAL gives how many bytes of write-ahead log there have been.
func (p *Postgres) WAL(ctx context.Context) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n int64
	err := p.admin.QueryRow(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&n)
	return n, err
}

// Close stops the server.
func (p *Postgres) Close() error {
	p.admin.Close(context.Background())
	return p.server.Close()
}
