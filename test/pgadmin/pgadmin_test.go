package pgadmin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/pgadmin"
)

func TestMain(m *testing.M) { line.Main(m) }

const (
	// limit bounds the whole test; pgAdmin takes ten seconds to set itself up
	// on a quiet machine.
	limit = 4 * time.Minute

	email    = "admin@example.com"
	password = "a-password-of-the-test"
)

// TestServers starts pgAdmin with the servers that compose.yaml registers, moved
// to this machine's addresses: after the login it asks for nothing more, and
// lists the tables of a pipeline.
func TestServers(t *testing.T) {
	python := os.Getenv("MILLSTREAM_TEST_PGADMIN")
	if python == "" {
		t.Skip("MILLSTREAM_TEST_PGADMIN names no Python with pgAdmin: test/pgadmin/run")
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	database := pipeline(ctx, t)
	p := &pgAdmin{t: t, python: python, data: t.TempDir(), port: freePort(t)}
	p.setUp(ctx, database)
	p.start(ctx)

	c, err := pgadmin.Login(ctx, p.url(), email, password)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := c.Tables(ctx, "Millstream", "Millstream", strings.TrimPrefix(database.Path, "/"), "public")
	if err != nil || !slices.Contains(tables, "processed_data") {
		t.Errorf("the tables that pgAdmin lists: %q, %v", tables, err)
	}
	ledgers, err := c.Tables(ctx, "Millstream", "Millstream", strings.TrimPrefix(database.Path, "/"), "millstream")
	if err != nil || !slices.Contains(ledgers, "quarantine") || !slices.Contains(ledgers, "late_rows") {
		t.Errorf("the ledgers that pgAdmin lists: %q, %v", ledgers, err)
	}
	if _, err := pgadmin.Login(ctx, p.url(), email, "another"); err == nil {
		t.Error("pgAdmin takes any password")
	}
}

// pipeline runs the skeleton's pipeline on the local stack, whose PostgreSQL
// asks for a password, and gives the database's address.
func pipeline(ctx context.Context, t *testing.T) *url.URL {
	t.Helper()
	file := filepath.Join(line.Root(), "examples", "skeleton", "pipeline.sql")
	run := line.StartWithin(t, limit, nil, "run", file, "--local", "--listen", "127.0.0.1:0", "-o", "json")
	text, err := run.Line(ctx)
	if err != nil {
		t.Fatalf("%v\n%s", err, run.Wait())
	}
	t.Cleanup(func() {
		run.Terminate()
		run.Wait()
	})
	var stack struct{ Postgres string }
	if err := json.Unmarshal([]byte(text), &stack); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	u, err := url.Parse(stack.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	if pass, ok := u.User.Password(); !ok || pass == "" {
		t.Fatal("the database has no password: nothing would be shown")
	}
	return u
}

type pgAdmin struct {
	t      *testing.T
	python string
	data   string
	port   string
}

func (p *pgAdmin) url() string { return "http://127.0.0.1:" + p.port }

// setUp does what the image's entrypoint does in a new volume.
func (p *pgAdmin) setUp(ctx context.Context, database *url.URL) {
	p.t.Helper()
	p.write("config_local.py", "DATA_DIR = "+strconv.Quote(p.data)+"\nDEFAULT_SERVER = '127.0.0.1'\nDEFAULT_SERVER_PORT = "+p.port+"\nUPGRADE_CHECK_ENABLED = False\n")
	pass, _ := database.User.Password()
	servers, passfile := registered(p.t, database, pass)
	p.write("servers.json", servers)
	storage := filepath.Join("storage", strings.ReplaceAll(email, "@", "_"))
	if err := os.MkdirAll(filepath.Join(p.data, storage), 0o700); err != nil {
		p.t.Fatal(err)
	}
	p.write(filepath.Join(storage, ".pgpass"), passfile)
	for _, args := range [][]string{{"setup-db"}, {"load-servers", filepath.Join(p.data, "servers.json"), "--user", email}} {
		cmd := p.command(ctx, append([]string{"setup.py"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			p.t.Fatalf("pgAdmin's setup.py %s: %v\n%s", args[0], err, out)
		}
	}
}

// registered gives the servers of compose.yaml and their passwords, as compose
// would write them, for another address.
func registered(t *testing.T, database *url.URL, pass string) (servers, passfile string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(line.Root(), "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Configs map[string]struct{ Content string }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"POSTGRES_DB": strings.TrimPrefix(database.Path, "/"), "POSTGRES_USER": database.User.Username(), "POSTGRES_PASSWORD": pass,
	}
	fill := func(config string) string {
		return os.Expand(file.Configs[config].Content, func(v string) string {
			name, _, _ := strings.Cut(v, ":")
			return values[name]
		})
	}
	servers = strings.Replace(fill("pgadmin-servers"), `"Host": "postgres", "Port": 5432`, `"Host": "`+database.Hostname()+`", "Port": `+database.Port(), 1)
	passfile = strings.Replace(fill("pgadmin-pgpass"), "postgres:5432", database.Host, 1)
	if !strings.Contains(servers, database.Port()) || !strings.HasPrefix(passfile, database.Host) {
		t.Fatalf("compose.yaml's servers and passwords name another server:\n%s", servers)
	}
	return servers, passfile
}

// start runs pgAdmin until the test ends, and waits until it answers.
func (p *pgAdmin) start(ctx context.Context) {
	p.t.Helper()
	cmd := p.command(ctx, "pgAdmin4.py")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if p.t.Failed() {
			p.t.Logf("pgAdmin said:\n%s", out.String())
		}
	})
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		if res, err := http.Get(p.url() + "/misc/ping"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-again.C:
		case <-ended:
			p.t.Fatal("pgAdmin has ended")
		case <-ctx.Done():
			p.t.Fatal("pgAdmin does not answer")
		}
	}
}

// command runs a script of pgAdmin's own folder, which imports its settings from
// the test's.
func (p *pgAdmin) command(ctx context.Context, args ...string) *exec.Cmd {
	p.t.Helper()
	home, err := exec.CommandContext(ctx, p.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib') + '/pgadmin4')").Output()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, p.python, args...)
	cmd.Dir = strings.TrimSpace(string(home))
	cmd.Env = append(os.Environ(), "PGADMIN_SETUP_EMAIL="+email, "PGADMIN_SETUP_PASSWORD="+password, "HOME="+p.data, "PYTHONPATH="+p.data)
	return cmd
}

func (p *pgAdmin) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.data, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
