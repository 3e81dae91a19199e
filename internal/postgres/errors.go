package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Class says what an error asks for.
type Class uint8

// The classes.
const (
	// Fatal stops the pipeline: the schema changed under us, a right is
	// missing, or we don't know.
	Fatal Class = iota
	// TryAgain heals by itself or by somebody's hand, without a new engine.
	TryAgain
	// Data is a value that PostgreSQL refuses. Values are checked before they
	// are sent, so at a commit it is a bug of ours.
	Data
)

func (c Class) String() string { return [...]string{"fatal", "try again", "data"}[c] }

// states gives SQLSTATEs, and classes of them by their first two characters,
// a Class. What is not in it is Fatal.
var states = map[string]Class{
	"08": TryAgain, // connection exception
	"40": TryAgain, // serialization failure, deadlock
	"53": TryAgain, // too many connections, disk full, out of memory
	"58": TryAgain, // an I/O error of the server: disks come back

	"25006": TryAgain, // read only: a failover is under way
	"25P02": TryAgain, // the transaction was aborted by a statement before
	"25P03": TryAgain, // idle in transaction for too long: we were stopped
	"25P04": TryAgain, // transaction timeout
	"55P03": TryAgain, // lock timeout
	"55006": TryAgain, // object in use
	"57014": TryAgain, // cancelled: a statement timeout or an operator
	"57P01": TryAgain, // terminated by an administrator
	"57P02": TryAgain, // another server process crashed
	"57P03": TryAgain, // starting up or shutting down
	"57P05": TryAgain, // idle session timeout

	"21": Data, // cardinality violation: one key twice in a batch
	"22": Data, // data exception
	"23": Data, // constraint violation
	"54": Data, // program limit exceeded: a row or a key too large

	"58P01": Fatal, // a file of the server is missing
	"58P02": Fatal,
}

// Classify tells what to do about err. An unknown outcome of COMMIT is not
// seen here: it is a matter of when the error came, not of what it is.
func Classify(err error) Class {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		if class, ok := states[pg.Code]; ok {
			return class
		}
		if len(pg.Code) == 5 {
			return states[pg.Code[:2]]
		}
		return Fatal
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, errRolledBack) {
		return TryAgain
	}
	if connectionLost(err) {
		return TryAgain
	}
	return Fatal
}

// errRolledBack: COMMIT was answered with ROLLBACK, since a statement of the
// transaction had failed.
var errRolledBack = errors.New("the server answered COMMIT with ROLLBACK")

// connectionLost tells errors of the network and of a connection that it
// took with it.
func connectionLost(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &network), errors.As(err, &connect),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNREFUSED):
		return true
	}
	return pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed")
}

// hint is what a person can do about a fatal SQLSTATE, "" where the message
// says all.
func hint(err error) string {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return ""
	}
	switch {
	case pg.Code == "42501":
		return "the pipeline's role must own its tables and the schema " + Schema
	case pg.Code == "28P01" || pg.Code == "28000":
		return "check user and password, and pg_hba.conf"
	case pg.Code == "3D000":
		return "make the database, or name another"
	case strings.HasPrefix(pg.Code, "42"):
		return "a table was altered or dropped while the pipeline ran: undo it, or rebuild"
	case Classify(err) == Data:
		return "this is a bug in Millstream: nothing of this commit was stored; please report it with the message"
	}
	return ""
}
