package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

// childVariable makes the test binary a child that starts servers on a
// folder, says so, and waits to be killed.
const childVariable = "MILLSTREAM_LOCAL_TEST_CHILD"

// acknowledged is how many records a child has sent when it is killed.
const acknowledged = 11

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := fillStack(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		select {}
	}
	goleak.VerifyTestMain(m)
}

// fillStack writes something to both servers, as a program would that is killed
// after it was acknowledged.
func fillStack(dir string) error {
	ctx := context.Background()
	p, err := StartPostgres(ctx, PostgresOptions{Dir: filepath.Join(dir, "postgres"), Port: -1})
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, p.URL())
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "CREATE TABLE kept AS SELECT 42 AS n"); err != nil {
		return err
	}
	b, err := StartBroker(BrokerOptions{Dir: filepath.Join(dir, "kafka"), Port: -1})
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation())
	if err != nil {
		return err
	}
	for i := range acknowledged {
		r := &kgo.Record{Topic: "auto", Value: fmt.Append(nil, i)}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return err
		}
	}
	fmt.Println("ready", p.child.process.Pid)
	return nil
}

// kill starts a child on dir, and kills it when it is ready. It gives the
// process id of the child's PostgreSQL.
func kill(t *testing.T, dir string) (pid int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if _, err := fmt.Sscanf(line, "ready %d", &pid); err != nil {
		t.Fatalf("the child says %q", line)
	}
	return pid
}

func value(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var s string
	if err := conn.QueryRow(t.Context(), sql).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestKilled is SIGKILL for the process that holds both servers: what they
// acknowledged is there for the next one, which takes the folders over.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	pid := kill(t, dir)
	p, err := StartPostgres(t.Context(), PostgresOptions{Dir: filepath.Join(dir, "postgres"), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := value(t, p.URL(), "SELECT n::text FROM kept"); got != "42" {
		t.Errorf("the table holds %q", got)
	}
	if readPIDFile(p.cluster.folder).pid == pid {
		t.Error("the left server was not replaced")
	}
	b, err := StartBroker(BrokerOptions{Dir: filepath.Join(dir, "kafka"), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics("auto"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for n := 0; n < acknowledged; {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Value) != fmt.Sprint(n) {
				t.Errorf("record %d holds %q", n, r.Value)
			}
			n++
		})
	}
}

func TestPostgresKeepsItsData(t *testing.T) {
	dir := t.TempDir()
	start := func() *Postgres {
		p, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir, Port: -1, Database: "shop", Settings: map[string]string{"work_mem": "5MB"}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := start()
	for setting, want := range map[string]string{
		"fsync": "on", "track_commit_timestamp": "on", "listen_addresses": "127.0.0.1", "server_encoding": "UTF8",
		"work_mem": "5MB", "TimeZone": "UTC", "unix_socket_directories": "",
	} {
		if got := value(t, p.URL(), "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := value(t, p.URL(), "SELECT current_database() || ' ' || upper('é')"); got != "shop É" {
		t.Errorf("database and upper('é'): %q", got)
	}
	info, err := os.Stat(filepath.Join(dir, passwordName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the password file: %v, %v, want mode 0600", info.Mode(), err)
	}
	_, err = StartPostgres(t.Context(), PostgresOptions{Dir: dir, Port: -1})
	var used *InUseError
	if !errors.As(err, &used) || used.PID != fmt.Sprint(os.Getpid()) {
		t.Errorf("a second server on the folder: %v, want that it is in use, and by whom", err)
	}
	wrong := strings.Replace(p.URL(), p.password, "wrong", 1)
	if conn, err := pgx.Connect(t.Context(), wrong); err == nil {
		conn.Close(t.Context())
		t.Error("a wrong password opens the server")
	}
	value(t, p.URL(), "SELECT set_config('a.b', 'c', false)")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	p = start()
	if got := value(t, p.URL(), "SELECT current_database()"); got != "shop" {
		t.Errorf("after a restart: %q", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTemporaryPostgresGoes(t *testing.T) {
	p, err := StartPostgres(t.Context(), PostgresOptions{Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, p.URL(), "SHOW fsync"); got != "off" {
		t.Errorf("fsync %q", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", p.Dir(), err)
	}
}

func TestPostgresTakesTheNextPort(t *testing.T) {
	l, err := listen("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var taken int
	if _, err := fmt.Sscanf(l.Addr().String(), "127.0.0.1:%d", &taken); err != nil {
		t.Fatal(err)
	}
	p, err := StartPostgres(t.Context(), PostgresOptions{Port: taken})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Port() <= taken || p.Port() > taken+portTries {
		t.Errorf("port %d, want one soon after %d", p.Port(), taken)
	}
}

func TestPostgresErrors(t *testing.T) {
	if _, err := StartPostgres(t.Context(), PostgresOptions{Dir: t.TempDir(), Bin: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no usable PostgreSQL in") {
		t.Errorf("a folder without programs: %v", err)
	}
	dir := t.TempDir()
	_, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir, Port: -1, Settings: map[string]string{"max_connections": "many"}})
	if err == nil || !strings.Contains(err.Error(), "max_connections") {
		t.Errorf("a bad setting: %v, want what the server says of it", err)
	}
	if err := os.Remove(filepath.Join(dir, passwordName)); err != nil {
		t.Fatal(err)
	}
	if _, err := StartPostgres(t.Context(), PostgresOptions{Dir: dir, Port: -1}); err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("no password file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartPostgres(ctx, PostgresOptions{Port: -1}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}
