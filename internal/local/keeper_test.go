package local

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// logbook is a log that tests read while it is written.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
	said chan struct{} // gets a value for each line
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said <- struct{}{}
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A server that somebody kills is started again: on its port, with its data.
func TestKilledPostgresIsStartedAgain(t *testing.T) {
	book := &logbook{said: make(chan struct{}, 16)}
	p, err := StartPostgres(t.Context(), PostgresOptions{Dir: t.TempDir(), Port: -1, Log: slog.New(slog.NewTextHandler(book, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	url := p.URL()
	execute(t, url, "CREATE TABLE kept (n integer)")
	for n := range 2 {
		execute(t, url, "INSERT INTO kept VALUES (1)")
		if err := p.Health(); err != nil {
			t.Fatalf("health of a running server: %v", err)
		}
		killServer(t, p)
		for range 2 { // it has ended, it runs again
			select {
			case <-book.said:
			case <-time.After(startTimeout):
				t.Fatalf("not started again after kill %d:\n%s", n+1, book)
			}
		}
		if got := value(t, url, "SELECT count(*)::text FROM kept"); got != []string{"1", "2"}[n] {
			t.Errorf("after kill %d: %s rows", n+1, got)
		}
	}
	if log := book.String(); !strings.Contains(log, "signal: killed") || !strings.Contains(log, "restart=2") || strings.Count(log, "PostgreSQL runs again") != 2 {
		t.Errorf("the log says\n%s", log)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := p.Err(); err != nil {
		t.Errorf("after Close: %v", err)
	}
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		conn.Close(t.Context())
		t.Error("it runs after Close")
	}
}

// A server that does not come up again is given up, with what it says.
func TestPostgresIsGivenUp(t *testing.T) {
	p, err := StartPostgres(t.Context(), PostgresOptions{Dir: t.TempDir(), Port: -1, firstPause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := os.WriteFile(filepath.Join(p.cluster.folder, "postgresql.auto.conf"), []byte("max_connections = many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	killServer(t, p)
	select {
	case <-p.Done():
	case <-time.After(startTimeout):
		t.Fatal("never given up")
	}
	err = p.Err()
	for _, text := range []string{"6 times within 10m0s", "max_connections", p.Log()} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("given up with %v, which lacks %q", err, text)
		}
	}
	if p.Health() == nil {
		t.Error("its health is good")
	}
	// Somebody else's server on the port is not taken for it.
	other, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port())))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if conn, err := p.Dial(t.Context(), "tcp", other.Addr().String()); err == nil {
		conn.Close()
		t.Error("a connection to another server")
	}
}

// Only the starts of the last while count.
func TestRestartsAreCountedInAWindow(t *testing.T) {
	k := &keeper{first: firstPause}
	now := time.Unix(0, 0)
	for i := range restarts {
		if n, ok := k.admit(now.Add(time.Duration(i) * time.Second)); !ok || n != i+1 {
			t.Fatalf("start %d: number %d, %t", i+1, n, ok)
		}
	}
	if _, ok := k.admit(now.Add(restartWindow)); ok {
		t.Error("one more is let through within the window")
	}
	if n, ok := k.admit(now.Add(restartWindow + 2*time.Second)); !ok || n != restarts-1 {
		t.Errorf("when two have gone out of the window: number %d, %t", n, ok)
	}
	if a, b, c := k.pause(1), k.pause(2), k.pause(100); a != 0 || b != firstPause || c > lastPause || c < 0 {
		t.Errorf("pauses %v, %v, %v", a, b, c)
	}
}

func killServer(t *testing.T, p *Postgres) {
	t.Helper()
	process, err := os.FindProcess(readPIDFile(p.cluster.folder).pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatal(errors.Join(errors.New("kill the server"), err))
	}
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
