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

// Variables that name folders of jars; test/kafka/run sets them.
const (
	kafka4Variable  = "MILLSTREAM_TEST_KAFKA"
	kafka39Variable = "MILLSTREAM_TEST_KAFKA39"
)

const (
	// heap is what one broker needs for the suites, with room.
	heap = "512m"
	// startLimit and stopLimit bound the broker's start and stop.
	startLimit = 3 * time.Minute
	stopLimit  = 20 * time.Second
)

// cluster is what a test reads from.
type cluster struct {
	addr  string // of its first broker, without encryption or password
	nodes []*node
}

// node is a running process of Java.
type node struct {
	addr string
	cmd  *exec.Cmd
	log  *output
	dead chan struct{}
}

// output keeps what a program says, for when it fails.
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

// jars is the folder that a variable names.
func jars(t *testing.T, variable string) string {
	t.Helper()
	libs := os.Getenv(variable)
	if libs == "" {
		t.Skipf("%s does not name a folder with Kafka's jars: test/kafka/run does all that is needed", variable)
	}
	return libs
}

// java is a command of Java's with jars, which logs by a file of this folder.
func java(t *testing.T, libs, logging string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := filepath.Abs(logging)
	if err != nil {
		t.Fatal(err)
	}
	property := "-Dlog4j2.configurationFile=" + path
	if strings.HasSuffix(logging, "log4j.properties") {
		property = "-Dlog4j.configuration=file:" + path
	}
	return exec.Command("java", append([]string{"-Xmx" + heap, property, "-cp", filepath.Join(libs, "*")}, args...)...)
}

// launch starts a process, which is stopped when the test ends.
func launch(t *testing.T, addr string, cmd *exec.Cmd) *node {
	t.Helper()
	n := &node{addr: addr, cmd: cmd, log: &output{}, dead: make(chan struct{})}
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), n.log, n.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start Kafka: %v", err)
	}
	go func() {
		_ = cmd.Wait() // that it has ended is all there is to know
		close(n.dead)
	}()
	t.Cleanup(n.stop)
	return n
}

// kraft starts brokers of Apache Kafka 4 that are controllers too. more gives
// settings of a broker's own; format, arguments of its folder's formatting.
func kraft(t *testing.T, brokers int, format []string, more func(id int) string) *cluster {
	t.Helper()
	libs := jars(t, kafka4Variable)
	id := make([]byte, 16)
	rand.Read(id) // never fails
	ports := freePorts(t, 2*brokers)
	var voters []string
	for i := range brokers {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, ports[2*i+1]))
	}
	const logging = "log4j2.properties"
	c := &cluster{addr: ports[0]}
	configs := make([]string, brokers)
	var formatting sync.WaitGroup
	for i := range brokers {
		dir, plain, controller := t.TempDir(), ports[2*i], ports[2*i+1]
		text := fmt.Sprintf("node.id=%d\ncontroller.quorum.voters=%s\nlog.dirs=%s\n", i+1, strings.Join(voters, ","), filepath.Join(dir, "data"))
		own := fmt.Sprintf("listeners=PLAINTEXT://%s,CONTROLLER://%s\nadvertised.listeners=PLAINTEXT://%[1]s\n", plain, controller)
		if more != nil {
			own += more(i)
		}
		configs[i] = writeConfig(t, dir, "server.properties", text+strings.NewReplacer("@PLAIN@", plain, "@CONTROLLER@", controller).Replace(own))
		args := append([]string{"kafka.tools.StorageTool", "format", "--cluster-id=" + base64.RawURLEncoding.EncodeToString(id), "-c", configs[i]}, format...)
		cmd := java(t, libs, logging, args...)
		formatting.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("format Kafka's folder: %v\n%s", err, out)
			}
		})
	}
	if formatting.Wait(); t.Failed() {
		t.FailNow()
	}
	for i := range brokers {
		c.nodes = append(c.nodes, launch(t, ports[2*i], java(t, libs, logging, "kafka.Kafka", configs[i])))
	}
	for _, n := range c.nodes {
		n.await(t)
	}
	return c
}

// zookeeper starts a broker of Apache Kafka 3.9, and ZooKeeper for it.
func zookeeper(t *testing.T) *cluster {
	t.Helper()
	libs := jars(t, kafka39Variable)
	const logging = "kafka39/log4j.properties"
	ports := freePorts(t, 2)
	dir := t.TempDir()
	_, port, _ := strings.Cut(ports[1], ":")
	config := filepath.Join(dir, "zookeeper.properties")
	text := fmt.Sprintf("dataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n", filepath.Join(dir, "zookeeper"), port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, ports[1], java(t, libs, logging, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config))
	config = writeConfig(t, dir, "kafka39/server.properties", fmt.Sprintf(
		"broker.id=1\nzookeeper.connect=%s\nzookeeper.connection.timeout.ms=%d\nlisteners=PLAINTEXT://%s\nadvertised.listeners=PLAINTEXT://%[3]s\nlog.dirs=%s\n",
		ports[1], startLimit.Milliseconds(), ports[0], filepath.Join(dir, "data")))
	n := launch(t, ports[0], java(t, libs, logging, "kafka.Kafka", config))
	n.await(t)
	return &cluster{addr: n.addr, nodes: []*node{n}}
}

// compaction has the cleaner come soon: tests wait for it.
const compaction = "log.cleaner.backoff.ms=100\nlog.cleaner.dedupe.buffer.size=4194304\n"

// writeConfig writes a file of this folder and further settings as one, in
// which the last of a name counts.
func writeConfig(t *testing.T, dir, base, more string) string {
	t.Helper()
	text, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "broker.properties")
	if err := os.WriteFile(path, []byte(string(text)+compaction+more), 0o600); err != nil {
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
func (n *node) await(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), startLimit, errors.New("Kafka does not answer"))
	defer cancel()
	go func() {
		select {
		case <-n.dead:
			cancel()
		case <-ctx.Done():
		}
	}()
	client, err := kgo.NewClient(kgo.SeedBrokers(n.addr), kgo.RetryTimeout(startLimit), kgo.RequestRetries(1000))
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
			t.Fatalf("start Kafka: %v (%v)\n%s", err, context.Cause(ctx), n.log)
		}
	}
}

// kill ends the process as kill -9 does.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.dead
}

func (n *node) stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.dead:
	case <-time.After(stopLimit):
		n.kill()
	}
}
