package kafka

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// libsVariable names the folder of the broker's jars.
const libsVariable = "MILLSTREAM_TEST_KAFKA"

const (
	// heap is what one broker needs for the suites, with room.
	heap = "512m"
	// startLimit and stopLimit bound the broker's start and stop.
	startLimit = 90 * time.Second
	stopLimit  = 20 * time.Second
)

// server is a running Apache Kafka broker.
type server struct {
	addr string
	cmd  *exec.Cmd
	log  *output
	dead chan struct{}
}

// output keeps what the broker says, for when it fails.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// startBroker formats a folder, starts a broker on free ports and waits until
// it answers. It is stopped when the test ends.
func startBroker(t *testing.T) *server {
	t.Helper()
	libs := os.Getenv(libsVariable)
	if libs == "" {
		t.Skipf("%s does not name a folder with Kafka's jars: test/kafka/run does all that is needed", libsVariable)
	}
	dir := t.TempDir()
	ports := freePorts(t, 2)
	s := &server{addr: ports[0], log: &output{}, dead: make(chan struct{})}
	config := configure(t, dir, ports)
	java := func(args ...string) *exec.Cmd {
		logging, err := filepath.Abs("log4j2.properties")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("java", append([]string{"-Xmx" + heap, "-Dlog4j2.configurationFile=" + logging, "-cp", filepath.Join(libs, "*")}, args...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, s.log, s.log
		return cmd
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	if err := java("kafka.tools.StorageTool", "format", "-t", base64.RawURLEncoding.EncodeToString(id), "-c", config).Run(); err != nil {
		t.Fatalf("format Kafka's folder: %v\n%s", err, s.log)
	}
	s.cmd = java("kafka.Kafka", config)
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start Kafka: %v", err)
	}
	go func() {
		_ = s.cmd.Wait() // that it has ended is all there is to know
		close(s.dead)
	}()
	t.Cleanup(s.stop)
	s.await(t)
	return s
}

func configure(t *testing.T, dir string, ports []string) string {
	t.Helper()
	text, err := os.ReadFile("server.properties")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.Write(text)
	fmt.Fprintf(&b, "controller.quorum.voters=1@%s\n", ports[1])
	fmt.Fprintf(&b, "listeners=PLAINTEXT://%s,CONTROLLER://%s\n", ports[0], ports[1])
	fmt.Fprintf(&b, "advertised.listeners=PLAINTEXT://%s\n", ports[0])
	fmt.Fprintf(&b, "log.dirs=%s\n", filepath.Join(dir, "data"))
	path := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all are held until all are known
		out = append(out, l.Addr().String())
	}
	return out
}

// await waits until the broker answers: the client tries again by itself.
func (s *server) await(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), startLimit, errors.New("Kafka does not answer"))
	defer cancel()
	go func() {
		select {
		case <-s.dead:
			cancel()
		case <-ctx.Done():
		}
	}()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.addr), kgo.RetryTimeout(startLimit), kgo.RequestRetries(1000))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for {
		err := client.Ping(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("start Kafka: %v (%v)\n%s", err, context.Cause(ctx), s.log)
		}
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.dead:
	case <-time.After(stopLimit):
		_ = s.cmd.Process.Kill()
		<-s.dead
	}
}
