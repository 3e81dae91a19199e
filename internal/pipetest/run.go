package pipetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/test/oracle"
)

// pipelineName is what pipelines under test are called; each has a database
// of its own.
const pipelineName = "test"

// Failure is an expectation that does not hold.
type Failure struct {
	Place   string // file:line
	Message string
	Diff    string // "" or lines
}

func (f *Failure) Error() string {
	if f.Diff == "" {
		return f.Place + ": " + f.Message
	}
	return f.Place + ": " + f.Message + "\n" + f.Diff
}

// ErrSkipped is what Run gives for a mode that the script is not for.
var ErrSkipped = errors.New("the script is not for this mode")

// pipelineSQL gives the script's pipeline: its text and what names it.
func (s *Script) pipelineSQL(beside string) (text, file string, err error) {
	switch {
	case s.SQL != "":
		return s.SQL, s.File, nil
	case s.Pipeline != "":
		file = filepath.Join(filepath.Dir(s.File), s.Pipeline)
	case beside != "":
		file = beside
	default:
		return "", "", fmt.Errorf("%s names no pipeline: write pipeline FILE in its first line", s.File)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("read the pipeline of %s: %w", s.File, err)
	}
	return string(b), file, nil
}

// Run runs a script in one mode on a subject of its own. pipeline is the file
// that is tested, for scripts that name none. The error is *Failure or
// Failures for expectations that do not hold, ErrSkipped, or what kept the
// script from being run.
func Run(ctx context.Context, s *Script, pipeline string, open Opener, mode Mode) (err error) {
	if reason, skip := s.Skip[mode.Name]; skip {
		return fmt.Errorf("%w: %s", ErrSkipped, reason)
	}
	text, file, err := s.pipelineSQL(pipeline)
	if err != nil {
		return err
	}
	subject, err := open(ctx, Setup{
		File: file, SQL: text, Name: pipelineName, Topics: s.Topics, Clock: s.Clock,
		Workers: mode.Workers, MaxRecords: mode.MaxRecords, MaxCommitRows: mode.MaxCommitRows,
		Crashes: s.has(func(step Step) bool { return step.Crash != nil }), Cuts: s.has(func(step Step) bool { return step.Cut != "" }),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, subject.Close()) }()
	r := &runner{script: s, mode: mode, subject: subject, clock: s.Clock, verify: oracle.Options{
		SQL: text, Pipeline: pipelineName, DatabaseURL: subject.DatabaseURL(),
		Brokers: map[string][]string{"kafka": subject.Brokers()},
	}}
	if r.conn, err = pgx.Connect(ctx, subject.DatabaseURL()); err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer r.conn.Close(context.WithoutCancel(ctx))
	if _, err := r.conn.Exec(ctx, "SET TIME ZONE 'UTC'; SET DateStyle = 'ISO, MDY'"); err != nil {
		return err
	}
	return r.run(ctx)
}

// has tells whether a step of the script is such a one.
func (s *Script) has(is func(Step) bool) bool { return slices.ContainsFunc(s.Steps, is) }

// Failures are all expectations of a run that do not hold.
type Failures []*Failure

func (f Failures) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.Error()
	}
	return strings.Join(lines, "\n")
}

// run goes through the steps. A failed expectation does not end it: the ones
// after it are looked at too.
func (r *runner) run(ctx context.Context) error {
	var failed Failures
	if err := r.subject.Settle(ctx); err != nil {
		return fmt.Errorf("%s: start the pipeline: %w", r.script.File, err)
	}
	for _, step := range r.script.Steps {
		if step.Expect != nil {
			f, err := r.expect(ctx, step.Expect, step.Pos)
			if err != nil {
				return fmt.Errorf("%s: %w", step.Pos, err)
			}
			if f != nil {
				failed = append(failed, f)
			}
			continue
		}
		if f := r.neverCame(); f != nil && (step.Crash != nil || step.Cut != "") {
			failed = append(failed, f)
		}
		if err := r.act(ctx, step); err != nil {
			return fmt.Errorf("%s: %w", step.Pos, err)
		}
		if f, err := r.finalsHold(ctx, step); err != nil || f != nil {
			if err != nil {
				return fmt.Errorf("%s: look at final rows: %w", step.Pos, err)
			}
			failed = append(failed, f)
		}
	}
	if f := r.neverCame(); f != nil {
		failed = append(failed, f)
	}
	if _, err := oracle.CheckAll(ctx, r.verify); err != nil {
		failed = append(failed, &Failure{Place: r.script.File, Message: "at its end PostgreSQL, as a batch over the same log, disagrees", Diff: err.Error()})
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

type runner struct {
	script  *Script
	mode    Mode
	subject Subject
	conn    *pgx.Conn
	verify  oracle.Options
	finals  oracle.Finals
	clock   time.Time
	awaited *Step // a crash or cut in what follows it
}

// neverCame gives a failure if the last crash or cut has not happened: the
// script shows nothing by it.
func (r *runner) neverCame() *Failure {
	if r.awaited == nil || !r.subject.Pending() {
		return nil
	}
	at := place(r.awaited.Pos)
	if c := r.awaited.Crash; c != nil {
		return &Failure{Place: at, Message: fmt.Sprintf("the engine has not passed %s after it: send what makes it do so, or crash at another point", c.Point)}
	}
	return &Failure{Place: at, Message: "the engine has made no commit after it: send an event that it reads"}
}

// act runs a step that is no expectation and waits until it has taken effect.
func (r *runner) act(ctx context.Context, step Step) error {
	switch {
	case step.Send != nil:
		records := append([]Record(nil), step.Send.Records...)
		for i := range records {
			if records[i].Timestamp.IsZero() {
				records[i].Timestamp = r.clock
			}
		}
		if err := r.subject.Send(ctx, step.Send.Topic, step.Send.Partition, records); err != nil {
			return fmt.Errorf("send to %s partition %d: %w", step.Send.Topic, step.Send.Partition, err)
		}
	case step.Advance > 0:
		r.clock = r.clock.Add(step.Advance)
		if err := r.subject.Advance(ctx, step.Advance); err != nil {
			return fmt.Errorf("advance the clock: %w", err)
		}
	case !step.Clock.IsZero():
		r.clock = step.Clock
		if err := r.subject.SetClock(ctx, step.Clock); err != nil {
			return fmt.Errorf("set the clock: %w", err)
		}
	case step.Crash != nil:
		r.awaited = nil
		if step.Crash.Point != "" {
			r.awaited = &step
		}
		if err := r.subject.Crash(ctx, step.Crash.Point); err != nil {
			return fmt.Errorf("crash: %w", err)
		}
	case step.Cut != "":
		r.awaited = nil
		if step.Cut != CutNow {
			r.awaited = &step
		}
		if err := r.subject.Cut(ctx, step.Cut); err != nil {
			return fmt.Errorf("cut the connection: %w", err)
		}
	case step.SQL != "":
		if _, err := r.conn.Exec(ctx, step.SQL); err != nil {
			return fmt.Errorf("PostgreSQL says: %w", err)
		}
	case step.Replay != nil:
		if err := r.subject.Replay(ctx, *step.Replay); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
	case step.Restart:
		if err := r.subject.Restart(ctx); err != nil {
			return fmt.Errorf("restart: %w", err)
		}
	}
	if err := r.subject.Settle(ctx); err != nil {
		return fmt.Errorf("wait for the pipeline: %w", err)
	}
	if !r.mode.Restarts || step.Restart {
		return nil
	}
	if err := r.subject.Restart(ctx); err != nil {
		return fmt.Errorf("restart after the step: %w", err)
	}
	return r.subject.Settle(ctx)
}

func (r *runner) finalsHold(ctx context.Context, step Step) (*Failure, error) {
	if !r.mode.Finals {
		return nil, nil
	}
	broken, err := r.finals.Observe(ctx, r.verify)
	if err != nil || len(broken) == 0 {
		return nil, err
	}
	lines := make([]string, len(broken))
	for i, d := range broken {
		lines[i] = "    " + d.String()
	}
	return &Failure{Place: place(step.Pos), Message: "rows that were final have changed", Diff: strings.Join(lines, "\n")}, nil
}
