package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
)

// An engine that is to crash runs in a process of its own, so that SIGKILL is
// SIGKILL: no deferred call, no goodbye to a server, nothing left in memory.
// The process takes orders from its standard input, one JSON value each, and
// answers each on its standard output. It ends when its input does.

// engineSetup is the first value that the process reads.
type engineSetup struct {
	Setup    pipetest.Setup
	Brokers  []string
	Database string // URL
}

// order is what the process is to do: one of these.
type order struct {
	Settle bool      `json:",omitempty"`
	Clock  time.Time `json:",omitzero"`
	Arm    string    `json:",omitempty"` // a failpoint
}

// reply is its answer; the first one tells that the engine runs.
type reply struct{ Error string }

func replyOf(err error) reply {
	if err != nil {
		return reply{err.Error()}
	}
	return reply{}
}

// RunEngine is the process: it runs one engine under orders until in ends.
func RunEngine(ctx context.Context, in io.Reader, out io.Writer, log *slog.Logger) error {
	orders, replies := json.NewDecoder(in), json.NewEncoder(out)
	var setup engineSetup
	if err := orders.Decode(&setup); err != nil {
		return fmt.Errorf("read what to run: %w", err)
	}
	s := &subject{options: Options{Logger: log}, setup: setup.Setup, clock: NewClock(setup.Setup.Clock), url: setup.Database}
	s.configure(setup.Brokers, setup.Database)
	var err error
	if s.def, err = pipeline.Parse(s.setup.File, s.setup.SQL, s.setup.Name, ""); err == nil {
		err = s.startHere(ctx)
	}
	defer func() { _ = s.abandon() }()
	if sending := replies.Encode(replyOf(err)); sending != nil || err != nil {
		return sending
	}
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			return nil //nolint:nilerr // who gave the orders has ended
		}
		if err := replies.Encode(replyOf(s.obey(ctx, &o))); err != nil {
			return err
		}
	}
}

func (s *subject) obey(ctx context.Context, o *order) error {
	switch {
	case o.Settle:
		return s.settleHere(ctx)
	case !o.Clock.IsZero():
		s.clock.Set(o.Clock)
	case o.Arm != "":
		failpoint.Arm(o.Arm)
	}
	return nil
}

// child is such a process, seen from the one that gives orders.
type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	orders  *json.Encoder
	replies *json.Decoder
	log     bytes.Buffer
}

// errKilled tells that the process has died of SIGKILL.
var errKilled = errors.New("the engine's process was killed")

// startChild starts an engine in a process of its own, with a failpoint armed
// from its first moment on, "" for none.
func (s *subject) startChild(ctx context.Context, armed string) (*child, error) {
	if len(s.options.Engine) == 0 {
		return nil, errors.New("crashes need a program to run the engine in: testbed.Options.Engine")
	}
	c := &child{cmd: exec.Command(s.options.Engine[0], s.options.Engine[1:]...)} //nolint:gosec,noctx // our own program; it ends with its input
	c.cmd.Env = append(os.Environ(), s.options.EngineEnv...)
	if armed != "" {
		c.cmd.Env = append(c.cmd.Env, failpoint.Variable+"="+armed)
	}
	c.cmd.Stderr = &c.log
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the engine's process: %w", err)
	}
	c.orders, c.replies = json.NewEncoder(c.in), json.NewDecoder(out)
	setup := engineSetup{Setup: s.setup, Brokers: s.Brokers(), Database: s.engineURL()}
	setup.Setup.Clock = s.clock.Now()
	return c, c.ask(ctx, setup)
}

// ask gives an order, and waits for its answer.
func (c *child) ask(ctx context.Context, order any) error {
	stop := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	defer stop()
	var answer reply
	err := c.orders.Encode(order)
	if err == nil {
		err = c.replies.Decode(&answer)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return c.wait()
	case answer.Error != "":
		return errors.New(answer.Error)
	}
	return nil
}

// wait waits for the end of a process that does not answer any more.
func (c *child) wait() error {
	err := c.cmd.Wait()
	if wasKilled(c.cmd.ProcessState) {
		return errKilled
	}
	return fmt.Errorf("the engine's process has ended: %w\n%s", err, c.log.String())
}

// killedCode is the exit code of a process that kills itself where there are no
// signals.
const killedCode = 137

func wasKilled(p *os.ProcessState) bool {
	if status, ok := p.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal() == syscall.SIGKILL
	}
	return p.ExitCode() == killedCode
}

// kill ends the process, as SIGKILL does. It may have ended before.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.in.Close()
	_ = c.cmd.Wait() // of a process that was waited for already, it tells just that
}
