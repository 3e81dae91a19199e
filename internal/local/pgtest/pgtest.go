// Package pgtest gives tests a real PostgreSQL database of their own.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Variable names a running server that tests may make databases on. Without
// it a server is started for the test binary and stopped with it.
const Variable = "MILLSTREAM_TEST_DATABASE_URL"

var counter atomic.Int64

// Database makes an empty UTF8 database with the C.UTF-8 locale, dropped when
// the test ends, and gives its URL (superuser).
func Database(t testing.TB) string {
	t.Helper()
	ctx := context.Background()
	base := os.Getenv(Variable)
	if base == "" {
		t.Fatalf("no PostgreSQL: set %s", Variable)
	}
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		t.Fatalf("connect to %s: %v", Variable, err)
	}
	defer conn.Close(ctx)
	name := fmt.Sprintf("mstest_%d_%d", os.Getpid(), counter.Add(1))
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"); err != nil {
		t.Fatalf("create database: %v", err)
	}
	t.Cleanup(func() {
		conn, err := pgx.Connect(ctx, base)
		if err != nil {
			t.Errorf("drop database: %v", err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
