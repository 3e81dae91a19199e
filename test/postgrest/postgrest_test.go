// Package postgrest runs supabase's postgrest-js, the client of PostgREST that
// is used most, against the API.
package postgrest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/serve"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestClient installs the client, of the version that package.json pins, into
// a folder of the user's cache, and runs client.mjs. It needs Node and npm, and is left
// out without them.
func TestClient(t *testing.T) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: postgrest-js can't run", program)
		}
	}
	folder := install(t)
	rows, err := os.ReadFile("rows.sql")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pool, err := pgxpool.New(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, string(rows)); err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Config{Addr: "127.0.0.1:0", Name: "shop", Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	out, err := exec.CommandContext(ctx, "node", filepath.Join(folder, "client.mjs"), "http://"+s.Addr()+"/v1/tables").CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// install puts the client and the script into a folder, where npm keeps what
// it has installed.
func install(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "millstream-test", "postgrest")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"package.json", "client.mjs"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline", "--loglevel=error")
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	return folder
}
