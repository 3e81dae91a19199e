package line

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// runLimit bounds one run of the program, unless a test says otherwise: it is killed when it takes longer,
// and its stacks are printed.
const runLimit = 60 * time.Second

var binary struct {
	sync.Once
	path string
	err  error
}

// Root is the module's folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// tags are the build tags of the test binary: the program gets the same, and
// with them the same parser.
func tags() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-tags" {
				return s.Value
			}
		}
	}
	return ""
}

// Binary builds the program at the first call and gives its path. Main
// removes it.
func Binary(t testing.TB) string {
	t.Helper()
	binary.Do(func() {
		dir, err := os.MkdirTemp("", "millstream-test-") //nolint:usetesting // it outlives the first test that asks
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(dir, "millstream")
		args := []string{"build", "-buildvcs=false", "-tags=" + tags(), "-o", binary.path}
		if raceEnabled {
			args = append(args, "-race")
		}
		cmd := exec.Command("go", append(args, "./cmd/millstream")...)
		cmd.Dir = Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("build the program: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// RemoveBinary takes away what Binary has built: for TestMain.
func RemoveBinary() {
	if binary.path != "" {
		_ = os.RemoveAll(filepath.Dir(binary.path))
	}
}

// Process is a run of the program.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	args   []string
	limit  time.Duration
	out    bytes.Buffer
	err    bytes.Buffer
	lines  chan string // of standard output
	exited chan struct{}
	ended  chan struct{} // result is there
	result Result
}

// Result is how a run of the program ended.
type Result struct {
	Args   []string
	Code   int  // exit code, -1 if it was ended by a signal
	Killed bool // by SIGKILL
	Stdout string
	Stderr string
	// MaxRSS is the most memory that was resident, in bytes; 0 where the
	// system does not tell.
	MaxRSS int64
}

func (r Result) String() string {
	return fmt.Sprintf("millstream %s: exit code %d, killed %t\n%s%s", strings.Join(r.Args, " "), r.Code, r.Killed, r.Stdout, r.Stderr)
}

// Run runs the program to its end.
func Run(t testing.TB, env []string, args ...string) Result {
	t.Helper()
	return Start(t, env, args...).Wait()
}

// Start starts the program in an empty folder, with env added to an
// environment without settings of its own. It is killed when the test ends.
func Start(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	return StartWithin(t, runLimit, env, args...)
}

// StartWithin is Start for runs that may take longer than most.
func StartWithin(t testing.TB, limit time.Duration, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, args: args, limit: limit, lines: make(chan string, 64), exited: make(chan struct{}), ended: make(chan struct{})}
	p.cmd = exec.Command(Binary(t), args...)
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(plainEnvironment(), env...)
	p.cmd.Stdout = &lineWriter{buffer: &p.out, lines: p.lines}
	p.cmd.Stderr = &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.wait()
	t.Cleanup(func() {
		p.Kill()
		<-p.ended
	})
	return p
}

// plainEnvironment is this process' without what would set the program up.
func plainEnvironment() []string {
	var out []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		prefix, _, _ := strings.Cut(name, "_")
		switch {
		case prefix == "MILLSTREAM", prefix == "KAFKA", prefix == "POSTGRES", prefix == "FLASK", prefix == "SPARK",
			name == "DATABASE_URL", strings.HasPrefix(name, "PG"):
			continue
		}
		out = append(out, e)
	}
	return out
}

func (p *Process) wait() {
	defer close(p.ended)
	memory := make(chan int64, 1)
	go func() { memory <- p.watchMemory() }()
	limit := time.AfterFunc(p.limit, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) })
	err := p.cmd.Wait()
	limit.Stop()
	close(p.lines)
	close(p.exited)
	p.result = Result{Args: p.args, Stdout: p.out.String(), Stderr: p.err.String()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.result.Code = -1
		p.result.Stderr += err.Error()
		return
	}
	state := p.cmd.ProcessState
	p.result.Code = state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok {
		p.result.Killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	p.result.MaxRSS = <-memory
}

// memoryEvery is how often the program's memory is looked at: what it takes
// in its last moments goes unseen.
const memoryEvery = 20 * time.Millisecond

var highWater = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// watchMemory gives the most memory that the program took, as Linux tells it.
// (What wait gives counts this process' own memory too, from before exec.)
func (p *Process) watchMemory() (most int64) {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if m := highWater.FindSubmatch(status); err == nil && m != nil {
			n, _ := strconv.ParseInt(string(m[1]), 10, 64) // digits only
			most = max(most, n<<10)
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return most
		}
	}
}

// Wait waits for the program to end.
func (p *Process) Wait() Result {
	<-p.ended
	return p.result
}

// Line gives the next line of the program's standard output.
func (p *Process) Line(ctx context.Context) (string, error) {
	select {
	case line, ok := <-p.lines:
		if !ok {
			return "", fmt.Errorf("the program has ended: %s", p.Wait())
		}
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Kill ends the program as kill -9 does.
func (p *Process) Kill() { _ = p.cmd.Process.Kill() }

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Terminate asks the program to end, if it still runs.
func (p *Process) Terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// lineWriter keeps what is written and passes on whole lines, as many as the
// channel takes.
type lineWriter struct {
	buffer *bytes.Buffer
	rest   []byte
	lines  chan<- string
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.buffer.Write(b)
	w.rest = append(w.rest, b...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		select {
		case w.lines <- string(line):
		default:
		}
		w.rest = rest
	}
}
