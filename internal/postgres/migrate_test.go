package postgres

import (
	"fmt"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

func TestMigrateTogether(t *testing.T) {
	url := pgtest.Database(t)
	const processes = 4
	done := make(chan error, processes)
	for range processes {
		db := openDatabase(t, url)
		go func() { done <- db.Migrate(t.Context()) }()
	}
	for range processes {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	d := &testDatabase{conn: superuser(t, url)}
	files, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0|1"}
	for i := range files {
		want = append(want, fmt.Sprintf("%d|1", i+1))
	}
	equalLines(t, d.lines(t, "SELECT version_id, count(*) FROM millstream.migrations GROUP BY 1 ORDER BY 1"), want)
}

func TestNewerSchemaIsRefused(t *testing.T) {
	d := newDatabase(t, build(t, pipelineSQL))
	d.exec(t, "INSERT INTO millstream.migrations (version_id, is_applied) VALUES (999, true)")
	wantError(t, d.Deploy(t.Context(), d.plan, testCluster), "its version is 999", "newer Millstream")
}

// TestMigrationIsWhole: a migration that fails halfway leaves nothing.
func TestMigrationIsWhole(t *testing.T) {
	url := pgtest.Database(t)
	d := &testDatabase{Database: openDatabase(t, url), conn: superuser(t, url)}
	d.exec(t, "CREATE SCHEMA millstream; CREATE TABLE millstream.replays ()")
	if err := d.Migrate(t.Context()); err == nil {
		t.Fatal("a migration over a table that is in its way succeeded")
	}
	equalLines(t, d.lines(t, "SELECT to_regclass('millstream.pipelines') IS NULL"), []string{"t"})
	d.exec(t, "DROP TABLE millstream.replays")
	if err := d.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesServers(t *testing.T) {
	url := pgtest.Database(t)
	d := &testDatabase{conn: superuser(t, url)}
	name := d.lines(t, "SELECT quote_ident(current_database())")[0]
	d.exec(t, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	_, err := Open(t.Context(), Config{URL: url, Pipeline: "p"})
	wantError(t, err, "default_transaction_read_only is on")
	_, err = Open(t.Context(), Config{URL: "postgres://%zz", Pipeline: "p"})
	wantError(t, err, "postgres://user:password@host")
	_, err = Open(t.Context(), Config{URL: url})
	wantError(t, err, "needs a name")
}
