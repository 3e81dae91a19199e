package pgtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// one gives the single value of a query.
func one(t *testing.T, url, sql string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var s string
	if err := conn.QueryRow(ctx, sql).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, url, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

func TestDatabasesAreApart(t *testing.T) {
	a, b := pgtest.Database(t), pgtest.Database(t)
	if a == b {
		t.Fatalf("two databases at one URL: %s", a)
	}
	for _, url := range []string{a, b} {
		if got := one(t, url, "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'"); got != "0" {
			t.Fatalf("a fresh database has %s tables", got)
		}
		run(t, url, "CREATE TABLE only_here ()")
	}
	if got := one(t, a, "SELECT pg_encoding_to_char(encoding) || ' ' || upper('é') FROM pg_database WHERE datname = current_database()"); got != "UTF8 É" {
		t.Errorf("encoding and upper('é'): %q, want UTF8 É", got)
	}
}

// TestServerOfItsOwn starts one although the environment names another.
func TestServerOfItsOwn(t *testing.T) {
	t.Setenv(pgtest.Variable, "")
	url := pgtest.Database(t)
	if got := one(t, url, "SHOW fsync"); got != "off" {
		t.Errorf("fsync %q, want off in a temporary folder", got)
	}
}

func TestLocale(t *testing.T) {
	for _, locale := range []string{"en_US.UTF-8", "icu:en-US", "C"} {
		t.Run(locale, func(t *testing.T) {
			url := pgtest.DatabaseLocale(t, locale)
			want := "false" // 'a' < 'B' by bytes
			if locale != "C" {
				want = "true"
			}
			if got := one(t, url, "SELECT ('a' < 'B')::text"); got != want {
				t.Errorf("'a' < 'B' is %s, want %s", got, want)
			}
		})
	}
}

// TestMissingLocale must be skipped, not failed: the inner test says so.
func TestMissingLocale(t *testing.T) {
	skipped := false
	t.Run("inner", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		pgtest.DatabaseLocale(t, "xx_XX.UTF-8")
		t.Error("a locale that is nowhere was taken")
	})
	if !skipped {
		t.Error("the test was not skipped")
	}
}
