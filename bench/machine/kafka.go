package machine

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
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// KafkaHeap is small for a broker: what it doesn't need is page cache.
	KafkaHeap = "512m"
	// kafkaStartLimit and kafkaStopLimit bound the broker's start and stop.
	kafkaStartLimit = 3 * time.Minute
	kafkaStopLimit  = 20 * time.Second
	// keptOutput bounds what is kept of a server's log, for when it fails.
	keptOutput = 64 << 10
)

// Kafka is a running broker.
type Kafka struct {
	Addr    string
	Version string
	PID     int

	cmd  *exec.Cmd
	log  *output
	dead chan struct{}
}

// output keeps the end of what a process says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b.Len()+len(p) > keptOutput {
		o.b.Next(min(o.b.Len(), len(p)))
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

var kafkaVersion = regexp.MustCompile(`<kafka\.version>(.*)</kafka\.version>`)

// StartKafka starts a broker with its data in dir. repository is the root of
// this repository: test/kafka there has the broker's pom and settings. The
// jars are fetched by Maven once.
func StartKafka(ctx context.Context, repository, dir string) (*Kafka, error) {
	k := &Kafka{log: &output{}, dead: make(chan struct{})}
	libs, err := k.jars(ctx, repository)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	config, err := k.configure(repository, dir)
	if err != nil {
		return nil, err
	}
	java := func(args ...string) *exec.Cmd {
		logging := filepath.Join(repository, "test/kafka/log4j2.properties")
		flags := []string{"-Xms" + KafkaHeap, "-Xmx" + KafkaHeap, "-Dlog4j2.configurationFile=" + logging, "-cp", filepath.Join(libs, "*")}
		cmd := exec.Command("java", append(flags, args...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, k.log, k.log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return cmd
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	if err := java("kafka.tools.StorageTool", "format", "--cluster-id="+base64.RawURLEncoding.EncodeToString(id), "-c", config).Run(); err != nil {
		return nil, fmt.Errorf("format Kafka's folder %s: %w\n%s", dir, err, k.log)
	}
	k.cmd = java("kafka.Kafka", config)
	if err := k.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	k.PID = k.cmd.Process.Pid
	go func() {
		_ = k.cmd.Wait() // that it has ended is all there is to know
		close(k.dead)
	}()
	if err := k.await(ctx); err != nil {
		k.Close()
		return nil, err
	}
	return k, nil
}

// jars gives the folder of the broker's jars.
func (k *Kafka) jars(ctx context.Context, repository string) (string, error) {
	pom := filepath.Join(repository, "test/kafka/pom.xml")
	text, err := os.ReadFile(pom)
	if err != nil {
		return "", err
	}
	m := kafkaVersion.FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s names no kafka.version", pom)
	}
	k.Version = string(m[1])
	cache := os.Getenv("MILLSTREAM_KAFKA_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(user, "millstream-test/kafka")
	}
	libs := filepath.Join(cache, k.Version)
	done := filepath.Join(libs, "complete")
	if _, err := os.Stat(done); err == nil {
		return libs, nil
	}
	if err := os.MkdirAll(libs, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "mvn", "--batch-mode", "--quiet", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+libs)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch Kafka's jars with Maven: %w\n%s", err, out)
	}
	return libs, os.WriteFile(done, nil, 0o644)
}

func (k *Kafka) configure(repository, dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(repository, "test/kafka/server.properties"))
	if err != nil {
		return "", err
	}
	ports, err := freeAddresses(2)
	if err != nil {
		return "", err
	}
	k.Addr = ports[0]
	b := bytes.NewBuffer(text)
	fmt.Fprintf(b, "\ncontroller.quorum.voters=1@%s\n", ports[1])
	fmt.Fprintf(b, "listeners=PLAINTEXT://%s,CONTROLLER://%s\n", ports[0], ports[1])
	fmt.Fprintf(b, "advertised.listeners=PLAINTEXT://%s\n", ports[0])
	fmt.Fprintf(b, "log.dirs=%s\n", filepath.Join(dir, "data"))
	path := filepath.Join(dir, "server.properties")
	return path, os.WriteFile(path, b.Bytes(), 0o600)
}

// freeAddresses gives n loopback addresses on which nobody listens.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all are held until all are known
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// FreeAddress gives a loopback address on which nobody listens.
func FreeAddress() (string, error) {
	all, err := freeAddresses(1)
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// await waits until the broker answers.
func (k *Kafka) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, kafkaStartLimit, errors.New("it does not answer"))
	defer cancel()
	go func() {
		select {
		case <-k.dead:
			cancel()
		case <-ctx.Done():
		}
	}()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addr))
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		err := client.Ping(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("start Kafka: %w (%w)\n%s", err, context.Cause(ctx), k.log)
		}
	}
}

// Close stops the broker.
func (k *Kafka) Close() {
	_ = k.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-k.dead:
	case <-time.After(kafkaStopLimit):
		_ = k.cmd.Process.Kill()
		<-k.dead
	}
}
