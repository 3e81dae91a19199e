package compose

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/joho/godotenv"

	"github.com/millstream-dev/millstream/test/line"
)

const (
	project = "millstream-test"
	// commandLimit bounds one call of docker; services have to become healthy
	// within it.
	commandLimit = 4 * time.Minute
	// arrival is how long what was promised may take to be seen, on a machine
	// that has other work too.
	arrival = 3 * time.Minute
)

// TestMain hands over to the script where nobody has made what the tests need.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_INTEGRATION_TESTS") == "1" && os.Getenv("MILLSTREAM_TEST_COMPOSE") == "" {
		cmd := exec.Command("./run")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "test/compose/run:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// stack is the project of a test, with settings of its own.
type stack struct {
	t        *testing.T
	env      map[string]string
	file     string // its .env
	profiles []string
}

// newStack makes the settings with `make env`, and ends the stack, volumes
// included, with the test.
func newStack(t *testing.T, profiles ...string) *stack {
	t.Helper()
	if os.Getenv("RUN_INTEGRATION_TESTS") != "1" {
		t.Skip("RUN_INTEGRATION_TESTS=1 brings the stack up: test/compose/run")
	}
	s := &stack{t: t, file: filepath.Join(t.TempDir(), "env"), profiles: profiles}
	command := exec.Command("make", "--no-print-directory", "env", "ENV="+s.file)
	command.Dir = line.Root()
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make env: %v\n%s", err, out)
	}
	env, err := godotenv.Read(s.file)
	if err != nil {
		t.Fatal(err)
	}
	s.env = env
	s.freePorts()
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := s.try("logs", "--no-color", "--tail", "60")
			t.Logf("the services said:\n%s", out)
		}
		if out, err := s.try("down", "--volumes", "--timeout", "20"); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
	return s
}

// freePorts keeps the ports of .env.example unless another program has them.
func (s *stack) freePorts() {
	s.t.Helper()
	for name, port := range s.env {
		if !strings.HasSuffix(name, "_PORT") {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				s.t.Fatal(err)
			}
			_, free, _ := net.SplitHostPort(l.Addr().String())
			s.t.Logf("port %s (%s) is taken: %s", port, name, free)
			s.env[name] = free
		}
		_ = l.Close()
	}
	s.write()
}

// set changes settings; an empty value takes one away.
func (s *stack) set(pairs ...string) {
	s.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if s.env[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(s.env, pairs[i])
		}
	}
	s.write()
}

func (s *stack) write() {
	s.t.Helper()
	if err := godotenv.Write(s.env, s.file); err != nil {
		s.t.Fatal(err)
	}
}

// compose runs docker compose with the stack's settings and profiles.
func (s *stack) compose(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("docker compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (s *stack) try(args ...string) (string, error) {
	all := []string{"compose", "--project-name", project, "--project-directory", line.Root(), "--env-file", s.file}
	for _, p := range s.profiles {
		all = append(all, "--profile", p)
	}
	return run(append(all, args...)...)
}

// up brings services up, all of the profiles where none is named, and waits
// until they are healthy. Images are those that `run` has made.
func (s *stack) up(services ...string) {
	s.t.Helper()
	began := time.Now()
	s.compose(append([]string{"up", "--detach", "--wait", "--no-build", "--pull", "never", "--quiet-pull"}, services...)...)
	s.t.Logf("up %s %s: %.0f s", strings.Join(s.profiles, " "), strings.Join(services, " "), time.Since(began).Seconds())
}

// container gives the id of a service's container.
func (s *stack) container(service string) string {
	s.t.Helper()
	id := strings.TrimSpace(s.compose("ps", "--quiet", service))
	if id == "" {
		s.t.Fatalf("service %s has no container", service)
	}
	return id
}

// docker runs the client, and fails the test where it fails.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(args...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// run gives what docker prints, its errors only where it fails.
func run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = plainEnvironment()
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if err != nil {
		return out.String() + problems.String(), err
	}
	return out.String(), nil
}

// plainEnvironment is what docker needs, without settings that would win over
// the stack's.
func plainEnvironment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// await asks again until ok, and tells what was last seen if it never is.
func await(t *testing.T, what string, ask func() (ok bool, seen string)) {
	t.Helper()
	deadline := time.After(arrival)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		ok, seen := ask()
		if ok {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("%s: not within %s; last seen: %.1000s", what, arrival, seen)
		}
	}
}
