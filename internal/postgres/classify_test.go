package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millstream-dev/millstream/internal/engine"
)

func TestClassify(t *testing.T) {
	state := func(code string) error { return &pgconn.PgError{Code: code, Message: "m"} }
	for _, c := range []struct {
		name string
		err  error
		want Class
	}{
		{"serialization failure", state("40001"), TryAgain},
		{"deadlock", state("40P01"), TryAgain},
		{"transaction outcome unknown", state("40003"), TryAgain},
		{"connection exception", state("08006"), TryAgain},
		{"protocol violation of a pooler", state("08P01"), TryAgain},
		{"too many connections", state("53300"), TryAgain},
		{"disk full", state("53100"), TryAgain},
		{"out of memory", state("53200"), TryAgain},
		{"I/O error", state("58030"), TryAgain},
		{"undefined file", state("58P01"), Fatal},
		{"read only", state("25006"), TryAgain},
		{"failed transaction", state("25P02"), TryAgain},
		{"idle in transaction", state("25P03"), TryAgain},
		{"no transaction", state("25P01"), Fatal},
		{"lock timeout", state("55P03"), TryAgain},
		{"object in use", state("55006"), TryAgain},
		{"not in prerequisite state", state("55000"), Fatal},
		{"statement timeout", state("57014"), TryAgain},
		{"administrator's shutdown", state("57P01"), TryAgain},
		{"crash shutdown", state("57P02"), TryAgain},
		{"starting up", state("57P03"), TryAgain},
		{"database dropped", state("57P04"), Fatal},
		{"invalid text", state("22P02"), Data},
		{"out of range", state("22003"), Data},
		{"not null", state("23502"), Data},
		{"unique", state("23505"), Data},
		{"row twice in one upsert", state("21000"), Data},
		{"index row too large", state("54000"), Data},
		{"no such table", state("42P01"), Fatal},
		{"no such column", state("42703"), Fatal},
		{"no right", state("42501"), Fatal},
		{"wrong password", state("28P01"), Fatal},
		{"no such database", state("3D000"), Fatal},
		{"cached plan", state("0A000"), Fatal},
		{"internal error", state("XX000"), Fatal},
		{"corrupted index", state("XX002"), Fatal},
		{"no SQLSTATE", state(""), Fatal},
		{"wrapped", fmt.Errorf("upsert: %w", state("40001")), TryAgain},

		{"reset by peer", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, TryAgain},
		{"refused", syscall.ECONNREFUSED, TryAgain},
		{"broken pipe", syscall.EPIPE, TryAgain},
		{"no such host", &net.DNSError{Err: "no such host"}, TryAgain},
		{"end of stream", io.EOF, TryAgain},
		{"cut stream", fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), TryAgain},
		{"closed", net.ErrClosed, TryAgain},
		{"time out", os.ErrDeadlineExceeded, TryAgain},
		{"context time out", context.DeadlineExceeded, TryAgain},
		{"cancelled", context.Canceled, TryAgain},
		{"ROLLBACK to COMMIT", fmt.Errorf("commit: %w", errRolledBack), TryAgain},

		{"damaged state", damaged("here"), Fatal},
		{"anything else", errors.New("what"), Fatal},
		{"fenced", engine.ErrFenced, Fatal},
	} {
		if got := Classify(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestLostConnection: what pgx itself says of a connection that is gone.
func TestLostConnection(t *testing.T) {
	d, s := opened(t)
	d.exec(t, fmt.Sprintf("SELECT pg_terminate_backend(%d)", s.session.conn.PgConn().PID()))
	var err error
	until(t, "the loss of the connection", func() bool {
		_, err = s.session.conn.Exec(t.Context(), "SELECT 1")
		return err != nil
	})
	for range 2 { // while the news comes, and after
		if Classify(err) != TryAgain {
			t.Errorf("%v is %s", err, Classify(err))
		}
		_, err = s.session.conn.Exec(t.Context(), "SELECT 1")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	_, err = pgconn.Connect(t.Context(), "postgres://nobody@"+address+"/nothing?sslmode=disable")
	if Classify(err) != TryAgain {
		t.Errorf("%v is %s", err, Classify(err))
	}
}
