package doctor_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/doctor"
	"github.com/millstream-dev/millstream/internal/local"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

func exec(t *testing.T, address string, statements ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // it cleans up, too
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// as gives the address of a database for another role.
func as(t *testing.T, address, role, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	return u.String()
}

// database examines a database; Kafka is away.
func database(t *testing.T, address string, more ...string) findings {
	t.Helper()
	environ := append([]string{"KAFKA_BROKERS=" + closedPort(t), "DATABASE_URL=" + address}, more...)
	return examine(t, doctor.Options{Config: load(t, environ...)})
}

func TestPostgres(t *testing.T) {
	address := pgtest.Database(t)
	t.Run("settings", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		var fsync string
		if err := conn.QueryRow(t.Context(), "SHOW fsync").Scan(&fsync); err != nil {
			t.Fatal(err)
		}
		f := database(t, address+"&options=-csynchronous_commit%3Doff")
		f.want(t, "postgres.synchronous_commit", doctor.Warning, "synchronous_commit = on")
		f.want(t, "postgres.fsync", map[string]doctor.State{"on": doctor.Fine, "off": doctor.Warning}[fsync], "fsync is "+fsync)
		f.want(t, "postgres.pooler", doctor.Fine, "")
		f.want(t, "postgres.rights", doctor.Fine, "")
		f.want(t, "postgres.clock", doctor.Fine, "")
		f.want(t, "postgres.collation", doctor.Fine, "")
	})
	t.Run("fsync off", func(t *testing.T) {
		server, err := local.StartPostgres(t.Context(), local.PostgresOptions{Port: -1, Settings: map[string]string{"autovacuum": "off", "max_connections": "10", "full_page_writes": "off"}})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		f := database(t, server.URL())
		f.want(t, "postgres.fsync", doctor.Warning, "ALTER SYSTEM SET fsync = on")
		f.want(t, "postgres.autovacuum", doctor.Warning, "autovacuum = on")
		f.want(t, "postgres.full_page_writes", doctor.Warning, "full_page_writes = on")
		f.want(t, "postgres.connections", doctor.Warning, "raise max_connections")

		const wrong = "not-the-pass:word"
		f = database(t, as(t, server.URL(), "postgres", wrong))
		f.want(t, "postgres.reach", doctor.Failed, "password authentication failed")
		f.want(t, "postgres.reach", doctor.Failed, "check user and password")
		if strings.Contains(f.String(), wrong) || strings.Contains(f.String(), url.QueryEscape(wrong)) {
			t.Errorf("the password is told: %s", f)
		}
		f = database(t, strings.Replace(server.URL(), "/postgres?", "/nowhere?", 1))
		f.want(t, "postgres.reach", doctor.Failed, "make the database")
	})
	t.Run("clock", func(t *testing.T) {
		c := load(t, "KAFKA_BROKERS="+closedPort(t), "DATABASE_URL="+address)
		f := examine(t, doctor.Options{Config: c, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
		f.want(t, "postgres.clock", doctor.Warning, "1h0m0s off")
	})
	t.Run("encoding", func(t *testing.T) {
		name := fmt.Sprintf("latin_%d", time.Now().UnixNano())
		exec(t, address, "CREATE DATABASE "+name+" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
		defer exec(t, address, "DROP DATABASE "+name)
		u, _ := url.Parse(address) // as has parsed one like it
		u.Path = "/" + name
		f := database(t, u.String())
		f.want(t, "postgres.server", doctor.Failed, "encoding is LATIN1")
		f.want(t, "postgres.server", doctor.Failed, "ENCODING 'UTF8'")
	})
}

// TestRights examines roles that lack what a pipeline needs.
func TestRights(t *testing.T) {
	address := pgtest.Database(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	role := "doctor_" + name
	exec(t, address, "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'", "REVOKE TEMPORARY ON DATABASE "+name+" FROM PUBLIC", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	t.Cleanup(func() { exec(t, address, "DROP OWNED BY "+role, "DROP ROLE "+role) })
	steps := []struct {
		lacks, cure string
		grant       []string
	}{
		{"no temporary tables", "GRANT TEMPORARY ON DATABASE", []string{"GRANT TEMPORARY ON DATABASE " + name + " TO " + role}},
		{"can't make schema millstream", "CREATE SCHEMA millstream AUTHORIZATION", []string{"CREATE SCHEMA millstream AUTHORIZATION " + role}},
		{"may make no tables in schema public", "GRANT CREATE ON SCHEMA", []string{"GRANT CREATE ON SCHEMA public TO " + role}},
	}
	for _, s := range steps {
		f := database(t, as(t, address, role, "secret"))
		f.want(t, "postgres.rights", doctor.Failed, s.lacks)
		f.want(t, "postgres.rights", doctor.Failed, s.cure)
		exec(t, address, s.grant...)
	}
	f := database(t, as(t, address, role, "secret"))
	f.want(t, "postgres.rights", doctor.Fine, "role "+role)
	exec(t, address, "CREATE TABLE millstream.pipelines ()")
	f = database(t, as(t, address, role, "secret"))
	f.want(t, "postgres.rights", doctor.Failed, "(pipelines)")
	exec(t, address, "DROP TABLE millstream.pipelines", "ALTER ROLE "+role+" SET default_transaction_read_only = on")
	f = database(t, as(t, address, role, "secret"))
	f.want(t, "postgres.server", doctor.Failed, "default_transaction_read_only is on")
	exec(t, address, "ALTER ROLE "+role+" RESET default_transaction_read_only")
	f = database(t, as(t, address, role, "secret"), "MILLSTREAM_SCHEMA=elsewhere")
	f.want(t, "postgres.rights", doctor.Failed, "there is no schema elsewhere")
}
