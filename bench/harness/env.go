package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/millstream-dev/millstream/bench/machine"
	"github.com/millstream-dev/millstream/bench/topics"
)

// Options are what a person chooses.
type Options struct {
	Repository  string // its root
	Binary      string // of the product
	Scratch     string // empty: a temporary folder
	Events      int64  // of each drain; 0: each set's own number
	Repeat      int
	Partitions  int
	Compression topics.Compression
	Timeout     time.Duration // of one run
	Deadline    time.Duration // of everything; what does not fit is left out, and said
	Duration    time.Duration // of one run at a fixed rate
	Rates       []int64
	CheckOnly   bool     // compare tables; a run may be too short to be timed
	Profile     string   // folder for the product's CPU profiles
	Only        []string // contenders whose names begin so; none: all
	Log         io.Writer
}

// Env is the machine that runs are made on.
type Env struct {
	Options
	Kafka    *machine.Kafka
	Postgres *machine.Postgres
	Facts    machine.Facts

	dir    string
	own    bool // the scratch folder goes when we end
	self   string
	until  time.Time
	topics atomic.Int64 // made so far
	spark  string       // Spark's installation, for the set that needs it
}

// Start brings up the servers.
func Start(ctx context.Context, o Options) (*Env, error) {
	e := &Env{Options: o, Facts: machine.Look(), dir: o.Scratch, until: time.Now().Add(o.Deadline)}
	var err error
	if e.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if e.Binary, err = filepath.Abs(o.Binary); err != nil {
		return nil, err
	}
	if _, err := os.Stat(e.Binary); err != nil {
		return nil, fmt.Errorf("the program to measure: %w: make build makes it", err)
	}
	if e.dir == "" {
		e.own = true
		if e.dir, err = os.MkdirTemp("", "millstream-bench-"); err != nil {
			return nil, err
		}
	}
	e.say("starting Kafka and PostgreSQL in %s", e.dir)
	if e.Kafka, err = machine.StartKafka(ctx, o.Repository, filepath.Join(e.dir, "kafka")); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if e.Postgres, err = machine.StartPostgres(ctx, filepath.Join(e.dir, "postgres")); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	e.Facts.Kafka, e.Facts.Postgres = e.Kafka.Version, e.Postgres.Version
	return e, nil
}

// Close stops the servers and removes what was temporary.
func (e *Env) Close() error {
	var err error
	if e.Kafka != nil {
		e.Kafka.Close()
	}
	if e.Postgres != nil {
		err = e.Postgres.Close()
	}
	if e.own {
		err = errors.Join(err, os.RemoveAll(e.dir))
	}
	return err
}

func (e *Env) say(format string, args ...any) {
	fmt.Fprintf(e.Log, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// out tells whether the time for everything is used up.
func (e *Env) out() bool { return time.Now().After(e.until) }

// wants tells whether a contender is among those that were asked for.
func (e *Env) wants(name string) bool {
	for _, prefix := range e.Only {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return len(e.Only) == 0
}

// child is a program that is measured.
type child struct {
	cmd    *exec.Cmd
	stderr *tail
	ended  chan struct{}
	err    error // set when ended is closed
}

// childEnvironment is what a child sees of ours: where programs and temporary
// files are, and no settings of the product.
var childEnvironment = []string{"PATH", "HOME", "TMPDIR", "LANG"}

// spawn starts a program that dies with us.
func (e *Env) spawn(stdin io.Reader, stdout io.Writer, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(program, args...), stderr: &tail{}, ended: make(chan struct{})}
	c.cmd.Dir = e.dir
	for _, name := range childEnvironment {
		if v, ok := os.LookupEnv(name); ok {
			c.cmd.Env = append(c.cmd.Env, name+"="+v)
		}
	}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = stdin, stdout, c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.cmd.WaitDelay = stopLimit
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// stopLimit is how long a child has to end by itself.
const stopLimit = 15 * time.Second

// stop ends the child, by request and then by force.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-c.ended:
		return c.failure()
	case <-time.After(stopLimit):
		c.kill()
		return fmt.Errorf("it did not end within %v of SIGTERM", stopLimit)
	}
}

// kill ends the child as a power cut would.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
}

// failure is why the child ended, if not well.
func (c *child) failure() error {
	if c.err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", c.err, strings.TrimSpace(c.stderr.String()))
}
