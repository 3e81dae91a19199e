package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/postgres"
)

// clockTolerance is by how much clocks may differ unnoticed: less than a
// second comes from the network and from how NTP works.
const clockTolerance = time.Second

// postgres examines the database.
func (x *examination) postgres(ctx context.Context) {
	name := "doctor"
	if x.Definition != nil {
		name = x.Definition.Name
	}
	db, err := postgres.Unchecked(ctx, postgres.Config{
		URL: pipeline.DatabaseURL(&x.Config.Config, nil), Pipeline: name, Schema: x.Config.Schema, Logger: silent(),
	})
	if err != nil {
		x.fail("postgres.reach", "name the database as DATABASE_URL=postgres://user:password@host:5432/name", "%v", err)
		return
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	where := db.Pool().Config().ConnConfig
	address := fmt.Sprintf("%s@%s/%s", where.User, net.JoinHostPort(where.Host, fmt.Sprint(where.Port)), where.Database)
	server, err := db.Server(ctx)
	if err != nil {
		x.fail("postgres.reach", connectCure(err), "%s: %v", address, err)
		return
	}
	x.fine("postgres.reach", "%s answers: PostgreSQL %s, encoding %s", address, server.Version, server.Encoding)
	if err := server.Refusal(); err != nil {
		message, cure, _ := strings.Cut(err.Error(), ": ")
		x.fail("postgres.server", cure, "%s", message)
		return
	}
	x.durability(server)
	if err := db.CheckPooler(ctx); err != nil {
		message, cure, _ := strings.Cut(err.Error(), ": ")
		x.fail("postgres.pooler", cure, "%s", message)
	} else {
		x.fine("postgres.pooler", "no connection pooler in transaction mode stands between")
	}
	x.rights(ctx, db.Pool())
	x.clock(ctx, db.Pool())
	x.health(ctx, db)
	if x.Definition != nil {
		x.position(ctx, db)
	}
}

// connectCure is what helps where no connection comes about.
func connectCure(err error) string {
	var pg *pgconn.PgError
	var dns *net.DNSError
	switch {
	case errors.As(err, &pg) && (pg.Code == "28P01" || pg.Code == "28000"):
		return "check user and password (DATABASE_URL, or PGUSER and PGPASSWORD), and pg_hba.conf on the server"
	case errors.As(err, &pg) && pg.Code == "3D000":
		return "make the database (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0), or name another"
	case errors.As(err, &pg) && pg.Code == "53300":
		return "raise max_connections, or end sessions that nobody uses"
	case errors.As(err, &pg) && pg.Code == "57P03":
		return "wait until the server has started"
	case errors.As(err, &dns):
		return "correct the host name; a name of a container network resolves only within it"
	case strings.Contains(err.Error(), "refused TLS"):
		return "the server speaks without TLS: sslmode=disable in the URL, or turn ssl on in postgresql.conf"
	case strings.Contains(err.Error(), "x509"), strings.Contains(err.Error(), "tls:"):
		return "set sslrootcert in the URL (or PGSSLROOTCERT) to the authority's certificate, and name the host as the certificate does"
	}
	return "start the server, or set DATABASE_URL to its address; `--local` brings one"
}

// durability looks at the settings that a crash brings to light.
func (x *examination) durability(s postgres.Server) {
	const reload = "; SELECT pg_reload_conf();"
	if s.FSync == "off" {
		x.warn("postgres.fsync", "ALTER SYSTEM SET fsync = on"+reload, "fsync is off: a crash of the database's machine may destroy the database")
	} else {
		x.fine("postgres.fsync", "fsync is on")
	}
	if s.SynchronousCommit == "off" {
		x.warn("postgres.synchronous_commit", "ALTER SYSTEM SET synchronous_commit = on"+reload+" (or ALTER ROLE … SET for the pipeline's role)",
			"synchronous_commit is off: a crash of the database may take back the last commits; the pipeline then resumes from before them")
	} else {
		x.fine("postgres.synchronous_commit", "synchronous_commit is %s", s.SynchronousCommit)
	}
}

const clockSQL = `SELECT clock_timestamp()`

// clockTries is how often the server is asked for its time: the quickest
// answer tells most exactly.
const clockTries = 3

// clock compares the server's clock with ours.
func (x *examination) clock(ctx context.Context, pool *pgxpool.Pool) {
	var best, offset time.Duration
	for i := range clockTries {
		var theirs time.Time
		sent := x.Now()
		if err := pool.QueryRow(ctx, clockSQL).Scan(&theirs); err != nil {
			x.unknown("postgres.clock", "", "the server's time can't be read: %v", err)
			return
		}
		if took := x.Now().Sub(sent); i == 0 || took < best {
			best, offset = took, theirs.Sub(sent.Add(took/2))
		}
	}
	if offset.Abs() > clockTolerance+best/2 {
		x.warn("postgres.clock", "set both clocks by NTP", "PostgreSQL's clock is %s off this machine's (positive: ahead)", offset.Round(time.Millisecond))
		return
	}
	x.fine("postgres.clock", "PostgreSQL's clock agrees with this machine's, within %s", max(offset.Abs(), best/2).Truncate(time.Millisecond)+time.Millisecond)
}

const healthSQL = `
SELECT current_setting('full_page_writes'), current_setting('autovacuum'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')::int,
       d.datcollate, coalesce(d.datcollversion, ''), coalesce(pg_catalog.pg_database_collation_actual_version(d.oid), ''),
       age(d.datfrozenxid)::bigint, current_setting('autovacuum_freeze_max_age')::bigint,
       coalesce((SELECT s.ssl FROM pg_catalog.pg_stat_ssl AS s WHERE s.pid = pg_catalog.pg_backend_pid()), false)
FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()`

// health looks at what makes a server slow or full in time.
func (x *examination) health(ctx context.Context, db *postgres.Database) {
	var pages, autovacuum, collate, collated, actual string
	var free int
	var age, limit int64
	var encrypted bool
	err := db.Pool().QueryRow(ctx, healthSQL).Scan(&pages, &autovacuum, &free, &collate, &collated, &actual, &age, &limit, &encrypted)
	if err != nil {
		x.unknown("postgres.health", "", "the server's state can't be read: %v", err)
		return
	}
	if pages == "off" {
		x.warn("postgres.full_page_writes", "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();", "full_page_writes is off: a crash of the database's machine may destroy pages")
	}
	if autovacuum == "off" {
		x.warn("postgres.autovacuum", "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();", "autovacuum is off: result tables are rewritten in place all the time, and grow without it")
	}
	if age > 2*limit {
		x.warn("postgres.autovacuum", "look for old transactions, replication slots and prepared transactions that hold VACUUM back", "the oldest row's transaction is %d old, twice autovacuum_freeze_max_age: VACUUM does not get through", age)
	}
	if collated != actual {
		x.warn("postgres.collation", "REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION", "the database was made with version %s of collation %s and the system has %s: indexes over text may be out of order", collated, collate, actual)
	} else {
		x.fine("postgres.collation", "collation %s; Millstream's own columns compare as \"C\"", collate)
	}
	// The examination's own connections are among those in use.
	if own := int(db.Pool().Stat().TotalConns()); free+own < pipeline.Connections {
		x.warn("postgres.connections", "raise max_connections, or end sessions that nobody uses", "%d connections are free, and a pipeline with its API takes up to %d", free+own, pipeline.Connections)
	} else {
		x.fine("postgres.connections", "%d connections are free; a pipeline with its API takes up to %d", free+own, pipeline.Connections)
	}
	if host := db.Pool().Config().ConnConfig.Host; !encrypted && !loopback(host) {
		x.warn("postgres.tls", "turn ssl on in postgresql.conf, and add sslmode=verify-full to the URL", "the connection to %s is not encrypted", host)
	}
	old, err := db.OldTransactions(ctx)
	if err != nil {
		x.unknown("postgres.transactions", "", "open transactions can't be looked at: %v", err)
	}
	for _, text := range old {
		x.warn("postgres.transactions", "end it: SELECT pg_terminate_backend(pid)", "%s", text)
	}
}

// loopback tells whether a host is this machine: by a socket file, or by
// address.
func loopback(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// position compares what the pipeline has read with what Kafka still holds.
func (x *examination) position(ctx context.Context, db *postgres.Database) {
	status, err := postgres.ReadStatus(ctx, db.Pool(), x.Definition.Name)
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, postgres.ErrNoPipeline), errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "3F000"):
		x.fine("pipeline.position", "pipeline %s has not run here yet", x.Definition.Name)
		return
	case err != nil:
		x.unknown("pipeline.position", "", "%v", err)
		return
	}
	lost := false
	for _, p := range status.Partitions {
		if start, known := x.starts[position{p.Server, p.Topic, p.Partition}]; known && p.Next < start {
			lost = true
			x.fail("pipeline.position", "restore the records, or build the pipeline anew from what is left, under another --name", "offsets %d to %d of partition %d of topic %s were deleted before pipeline %s read them", p.Next, start-1, p.Partition, p.Topic, x.Definition.Name)
		}
	}
	if lost {
		return
	}
	if status.Hash != x.Definition.Plan.Hash {
		x.warn("pipeline.definition", "`millstream dev` builds it anew from the log; under another --name it runs beside the old one", "pipeline %s stands in the database with another definition", x.Definition.Name)
	}
	x.fine("pipeline.position", "pipeline %s stands at commit %d; Kafka holds all that comes after it", x.Definition.Name, status.Seq)
}
