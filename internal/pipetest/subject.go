package pipetest

import (
	"context"
	"fmt"
	"time"
)

// Subject is a running pipeline under test: a broker, a database, an engine
// and a clock that stands still until it is told to go on.
type Subject interface {
	// Send appends records to a partition of a Kafka topic, in order.
	Send(ctx context.Context, topic string, partition int32, records []Record) error
	// Advance lets the clock go on by d.
	Advance(ctx context.Context, d time.Duration) error
	// SetClock sets the clock, also back: what is waited for is then due after as
	// long as before.
	SetClock(ctx context.Context, at time.Time) error
	// Settle waits until every record sent is read, decided and committed, and
	// all that the clock's time decides is decided and committed.
	Settle(ctx context.Context) error
	// Restart stops the engine without a last commit and starts another from
	// the database alone. The clock goes on from where it stands.
	Restart(ctx context.Context) error
	// Crash ends the engine as SIGKILL does and starts another from the database
	// alone: at once, or, with a point, the next time that it passes there,
	// whatever it does then. It needs Setup.Crashes.
	Crash(ctx context.Context, point string) error
	// Cut loses the engine's connections to PostgreSQL: at once, or in the next
	// commit. It needs Setup.Cuts.
	Cut(ctx context.Context, where Cut) error
	// Pending tells whether the crash or cut that was asked for last has not
	// happened yet.
	Pending() bool
	// Replay asks for open rows of a ledger to be sent through again; it fails if
	// there are none, or one can't be.
	Replay(ctx context.Context, r Replay) error
	// DatabaseURL is where the tables and the schema millstream are.
	DatabaseURL() string
	// Brokers are the addresses of the server "kafka".
	Brokers() []string
	// Close stops everything. It may be called twice.
	Close() error
}

// Setup is what a subject is made of.
type Setup struct {
	File           string // names the pipeline in messages
	SQL            string // the pipeline
	Name           string // of the pipeline
	Topics         map[string]int32
	Clock          time.Time
	Workers        int
	MaxRecords     int           // that one poll gives; 0: the engine's default
	CommitInterval time.Duration // 0: the engine's default
	MaxCommitRows  int64         // 0: the engine's default
	Crashes        bool          // Crash is called: the engine runs in a process of its own
	Cuts           bool          // Cut is called: the engine reaches PostgreSQL through a proxy
}

// Opener starts a subject. The topics are made with the given partition
// counts before the engine starts.
type Opener func(ctx context.Context, setup Setup) (Subject, error)

// Mode is a way to run a script. All must give what the script expects.
type Mode struct {
	Name          string
	Workers       int
	MaxRecords    int
	MaxCommitRows int64
	Restarts      bool // after every step
	Finals        bool // look after each step that final rows have not changed
}

// Modes are the ways in which the project's own scripts run.
var Modes = []Mode{
	{Name: "plain", Workers: 1, Finals: true},
	{Name: "restart", Workers: 1, Restarts: true, MaxCommitRows: 2},
	{Name: "workers-2", Workers: 2},
	{Name: "workers-3", Workers: 3},
	{Name: "single", Workers: 1, MaxRecords: 1, MaxCommitRows: 4},
}

// FindMode gives the mode of a name.
func FindMode(name string) (Mode, error) {
	for _, m := range Modes {
		if m.Name == name {
			return m, nil
		}
	}
	return Mode{}, fmt.Errorf("no mode %q: there is %s", name, modeNames())
}

func modeNames() string {
	var s string
	for i, m := range Modes {
		if i > 0 {
			s += ", "
		}
		s += m.Name
	}
	return s
}
