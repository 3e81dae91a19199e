// Package pgtest gives tests a real PostgreSQL database of their own.
//
// MILLSTREAM_TEST_DATABASE_URL names the server to make databases on. Without
// it, a server is started for the test binary at the first need, in a
// temporary folder; it ends and its folder goes with the test binary, however
// that ends.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/millstream-dev/millstream/internal/local"
)

// Variable names a running server that tests may make databases on.
const Variable = "MILLSTREAM_TEST_DATABASE_URL"

// Settings are those of a test server: many packages share one.
var Settings = map[string]string{"max_connections": "300"}

// server is the test binary's own, started once.
var server struct {
	sync.Mutex
	url     string
	process *local.Postgres
	err     error
}

// counter numbers this process' databases.
var counter atomic.Int64

// plainLocales are the names of the locale C.UTF-8, on one system or another.
var plainLocales = []string{"C.UTF-8", "C.utf8"}

// errLocale tells that the server lacks a locale.
var errLocale = errors.New("the server does not have this locale")

// Database makes an empty UTF8 database with the C.UTF-8 locale, dropped when
// the test ends, and gives its URL (superuser).
func Database(t testing.TB) string {
	t.Helper()
	for _, locale := range plainLocales {
		u, err := database(t, locale)
		if err == nil {
			return u
		}
		if !errors.Is(err, errLocale) {
			t.Fatal(err)
		}
	}
	t.Fatalf("the server has none of the locales %v: tests need one of them", plainLocales)
	return ""
}

// DatabaseLocale is Database with another locale: "en_US.UTF-8", or
// "icu:en-US" for one of ICU's. The test is skipped where the server lacks it.
func DatabaseLocale(t testing.TB, locale string) string {
	t.Helper()
	u, err := database(t, locale)
	if errors.Is(err, errLocale) {
		t.Skipf("locale %q: %v", locale, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Server is the URL of a server that tests may make databases on.
func Server() (string, error) {
	if u := os.Getenv(Variable); u != "" {
		return u, nil
	}
	server.Lock()
	defer server.Unlock()
	if server.url == "" && server.err == nil {
		server.process, server.err = local.StartPostgres(context.Background(), local.PostgresOptions{Port: -1, Settings: Settings})
		if server.err == nil {
			server.url = server.process.URL()
		}
	}
	if server.err != nil {
		return "", fmt.Errorf("start PostgreSQL for the tests: %w (or set %s)", server.err, Variable)
	}
	return server.url, nil
}

// Stop stops the test binary's own server, if it has one.
func Stop() error {
	server.Lock()
	defer server.Unlock()
	if server.process == nil {
		return nil
	}
	err := server.process.Close()
	server.process, server.url = nil, ""
	return err
}

// Main runs a package's tests, stops the server and checks that no goroutine
// is left: func TestMain(m *testing.M) { pgtest.Main(m) }.
func Main(m *testing.M) {
	code := m.Run()
	if err := Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func database(t testing.TB, locale string) (string, error) {
	t.Helper()
	base, err := Server()
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("mstest_%d_%d", os.Getpid(), counter.Add(1))
	if err := execute(base, create(name, locale)); err != nil {
		return "", fmt.Errorf("make a database with locale %q: %w", locale, err)
	}
	t.Cleanup(func() {
		if err := execute(base, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("%s: %w", Variable, err)
	}
	u.Path = "/" + name
	return u.String(), nil
}

// create is the statement that makes a database. C and C.UTF-8 with the C
// library's provider, whatever the template's.
func create(name, locale string) string {
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	sql := "CREATE DATABASE " + name + " TEMPLATE template0 ENCODING 'UTF8' "
	if icu, ok := strings.CutPrefix(locale, "icu:"); ok {
		return sql + "LOCALE_PROVIDER icu LOCALE 'C' ICU_LOCALE " + quoted(icu)
	}
	return sql + "LOCALE_PROVIDER libc LOCALE " + quoted(locale)
}

func execute(base, sql string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		return fmt.Errorf("connect to the tests' server: %w", err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (strings.Contains(pg.Message, "locale") || strings.Contains(pg.Message, "ICU")) {
		return fmt.Errorf("%w: %s", errLocale, pg.Message)
	}
	return err
}
