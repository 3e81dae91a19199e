package line_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

func TestMain(m *testing.M) { line.Main(m) }

const (
	// patience bounds each wait for something that has to happen.
	patience = 90 * time.Second
	// lookEvery is how often an answer is asked for until it is as awaited.
	lookEvery = 30 * time.Millisecond
)

// place is a folder in which a person works, with a home of its own: programs
// that run in one place find each other.
type place struct {
	t   *testing.T
	dir string
	env []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir()}
	home := t.TempDir()
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"),
	}
	return p
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// command is the program in this place, with more in its environment.
func (p *place) command(env []string, args ...string) *exec.Cmd {
	p.t.Helper()
	cmd := exec.Command(line.Binary(p.t), args...)
	cmd.Dir = p.dir
	cmd.Env = append(append([]string{}, p.env...), env...)
	return cmd
}

// result is how a run of the program ended.
type result struct {
	line     string
	code     int
	out, err string
}

func (r result) String() string { return r.line + "\n" + r.out + r.err }

// run runs the program to its end.
func (p *place) run(args ...string) result { p.t.Helper(); return p.runWith(nil, "", args...) }

// runWith runs it with an environment and standard input.
func (p *place) runWith(env []string, input string, args ...string) result {
	p.t.Helper()
	cmd := p.command(env, args...)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errOut
	limit := make(chan struct{})
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { close(limit); _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	r := result{"millstream " + strings.Join(args, " "), cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
	select {
	case <-limit:
		p.t.Fatalf("still runs after %s: %s", patience, r)
	default:
	}
	return r
}

// want runs the program and holds it to an exit code and to texts that it
// prints, on either stream.
func (p *place) want(code int, texts []string, args ...string) result {
	p.t.Helper()
	r := p.run(args...)
	r.want(p.t, code, texts...)
	return r
}

func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d: %s", r.code, code, r)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.err, text) {
			t.Fatalf("%q is not in: %s", text, r)
		}
	}
}

// program is one that runs on.
type program struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err *transcript
	ended    chan struct{}
}

// start starts the program; it is killed when the test ends.
func (p *place) start(args ...string) *program { p.t.Helper(); return p.startWith(nil, args...) }

func (p *place) startWith(env []string, args ...string) *program {
	p.t.Helper()
	g := &program{t: p.t, cmd: p.command(env, args...), out: newTranscript(), err: newTranscript(), ended: make(chan struct{})}
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.err
	if err := g.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(g.ended)
		_ = g.cmd.Wait() // how it ended stands in ProcessState
		g.out.end()
		g.err.end()
	}()
	p.t.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-g.ended
	})
	return g
}

// ready is the line that programs read.
type ready struct{ API, Dashboard, Kafka, Postgres, Data string }

// ready waits for the ready line of -o json.
func (g *program) ready() ready {
	g.t.Helper()
	text := g.out.await(g.t, g, "\n")
	var r ready
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		g.t.Fatalf("ready line %q: %v", text, err)
	}
	return r
}

// judge has the oracle judge what stands in the tables: every test of an
// engine ends with it. A pipeline.sql is called by its folder's name.
func (p *place) judge(r ready, sql string) {
	p.t.Helper()
	report := oracle.Check(p.t, oracle.Options{SQL: sql, Pipeline: filepath.Base(p.dir), DatabaseURL: r.Postgres, Brokers: map[string][]string{"kafka": {r.Kafka}}})
	if len(report.Unchecked) > 0 {
		p.t.Errorf("the oracle could not check: %q", report.Unchecked)
	}
}

// stop asks the program to end, and gives its exit code.
func (g *program) stop() int {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
	return g.wait()
}

func (g *program) wait() int {
	g.t.Helper()
	select {
	case <-g.ended:
	case <-time.After(patience):
		g.t.Fatalf("the program does not end\n%s%s", g.out.text(), g.err.text())
	}
	return g.cmd.ProcessState.ExitCode()
}

// transcript is what a program has written, for waiting on parts of it.
type transcript struct {
	mu     sync.Mutex
	all    []byte
	seen   int           // how much of it earlier waits have taken
	news   chan struct{} // closed and made anew when something is written
	closed bool
}

func newTranscript() *transcript { return &transcript{news: make(chan struct{})} }

func (w *transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, b...)
	close(w.news)
	w.news = make(chan struct{})
	return len(b), nil
}

func (w *transcript) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	close(w.news)
	w.news = make(chan struct{})
}

func (w *transcript) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.all)
}

// await waits for a text after what earlier waits have taken, and gives what
// came up to its end.
func (w *transcript) await(t *testing.T, g *program, text string) string {
	t.Helper()
	limit := time.After(patience)
	for {
		w.mu.Lock()
		rest, news, closed := w.all[w.seen:], w.news, w.closed
		if i := bytes.Index(rest, []byte(text)); i >= 0 {
			w.seen += i + len(text)
			found := string(rest[:i+len(text)])
			w.mu.Unlock()
			return found
		}
		w.mu.Unlock()
		if closed {
			t.Fatalf("the program has ended without %q\n%s%s", text, g.out.text(), g.err.text())
		}
		select {
		case <-news:
		case <-limit:
			t.Fatalf("no %q in %s\n%s%s", text, patience, g.out.text(), g.err.text())
		}
	}
}

// answer is one of HTTP.
type answer struct {
	code   int
	header http.Header
	body   string
}

// ask sends a request; headers are name and value in turn.
func ask(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	a, err := try(t, method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(t *testing.T, method, url, body string, headers ...string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b)}, err
}

func get(t *testing.T, url string, headers ...string) answer {
	t.Helper()
	return ask(t, http.MethodGet, url, "", headers...)
}

// awaitAnswer asks until the answer is as it has to be.
func awaitAnswer(t *testing.T, url string, is func(answer) bool, headers ...string) answer {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		a, err := try(t, http.MethodGet, url, "", headers...)
		if err == nil && is(a) {
			return a
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("GET %s: not as awaited in %s: %v %d %s", url, patience, err, a.code, a.body)
		}
	}
}

// awaitBody asks until the body is the one wanted.
func awaitBody(t *testing.T, url, want string, headers ...string) answer {
	t.Helper()
	return awaitAnswer(t, url, func(a answer) bool {
		return a.code == http.StatusOK && strings.TrimSpace(a.body) == strings.TrimSpace(want)
	}, headers...)
}

// decode reads a JSON answer.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
