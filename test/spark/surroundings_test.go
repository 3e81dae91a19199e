package spark

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/test/line"
)

func TestMain(m *testing.M) { line.Main(m) }

// What test/spark/run says.
const (
	environmentVariable = "MILLSTREAM_TEST_SPARK"      // folder of a Python environment with pyspark and pytest
	jarsVariable        = "MILLSTREAM_TEST_SPARK_JARS" // folder of the connector's and the driver's jars
	kafkaVariable       = "MILLSTREAM_TEST_KAFKA"      // folder of the broker's jars
)

// The limits bound what never ends: on a machine that has much to do, Spark
// takes minutes for what else takes seconds.
const (
	brokerLimit  = 5 * time.Minute
	sessionLimit = 15 * time.Minute
)

// run runs the program with a Spark session in it.
func run(t *testing.T, env []string, args ...string) line.Result {
	t.Helper()
	return line.StartWithin(t, sessionLimit, env, args...).Wait()
}

// environment gives Spark's folders, or skips the test.
func environment(t *testing.T) (python, jars string) {
	t.Helper()
	python, jars = os.Getenv(environmentVariable), os.Getenv(jarsVariable)
	if python == "" || jars == "" {
		t.Skipf("%s and %s do not say where Spark is: test/spark/run does all that is needed", environmentVariable, jarsVariable)
	}
	return python, jars
}

// variables are the environment of a program that submits to Spark.
func variables(t *testing.T, broker, database string) []string {
	python, jars := environment(t)
	return []string{
		"PATH=" + filepath.Join(python, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"SPARK_LOCAL_IP=127.0.0.1", "SPARK_MASTER=local[2]", "MILLSTREAM_SPARK_JARS=" + jars,
		"KAFKA_BROKERS=" + broker, "DATABASE_URL=" + database,
	}
}

// settings keep Spark small: the logs of these tests are short, and a session
// ends before much of what the second compiler makes would pay.
func settings() []string {
	return []string{
		"--spark-conf", "spark.sql.shuffle.partitions=2", "--spark-conf", "spark.ui.showConsoleProgress=false",
		"--spark-conf", "spark.driver.memory=1g", "--spark-conf", "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
		"--spark-conf", "spark.log.level=WARN",
	}
}

// startBroker runs Apache Kafka on loopback until the test ends.
func startBroker(t *testing.T) string {
	t.Helper()
	libs := os.Getenv(kafkaVariable)
	if libs == "" {
		t.Skipf("%s does not name a folder with Kafka's jars: test/spark/run does all that is needed", kafkaVariable)
	}
	dir, addresses := t.TempDir(), loopback(t, 2)
	shared, err := os.ReadFile(filepath.Join(line.Root(), "test", "kafka", "server.properties"))
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "server.properties")
	text := fmt.Sprintf("%s\ncontroller.quorum.voters=1@%[3]s\nlisteners=PLAINTEXT://%[2]s,CONTROLLER://%[3]s\nadvertised.listeners=PLAINTEXT://%[2]s\nlog.dirs=%[4]s\n",
		shared, addresses[0], addresses[1], filepath.Join(dir, "data"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	logged, err := os.Create(filepath.Join(dir, "kafka.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logged.Close() })
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command("java", append([]string{"-Xmx384m", "-Dlog4j2.configurationFile=" + filepath.Join(line.Root(), "test", "kafka", "log4j2.properties"), "-cp", filepath.Join(libs, "*")}, args...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, logged, logged
		return cmd
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	if err := command("kafka.tools.StorageTool", "format", "--cluster-id="+base64.RawURLEncoding.EncodeToString(id), "-c", config).Run(); err != nil {
		t.Fatalf("format Kafka's folder: %v", err)
	}
	broker := command("kafka.Kafka", config)
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = broker.Process.Signal(syscall.SIGTERM)
		_ = broker.Wait() // it was told to end
	})
	ctx, cancel := context.WithTimeout(t.Context(), brokerLimit)
	defer cancel()
	client := newClient(t, addresses[0])
	defer client.Close()
	for client.Ping(ctx) != nil {
		if ctx.Err() != nil {
			log, _ := os.ReadFile(logged.Name())
			t.Fatalf("Kafka does not answer:\n%s", log)
		}
	}
	return addresses[0]
}

func loopback(t *testing.T, n int) []string {
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

func newClient(t *testing.T, broker string) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequestRetries(1000), kgo.RetryTimeout(brokerLimit))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// send makes a topic of a number of partitions, and puts values there in
// order: value i into partition i modulo their number.
func send(t *testing.T, broker, topic string, partitions int, values []string) {
	t.Helper()
	client := newClient(t, broker)
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), int32(partitions), 1, nil, topic); err != nil && !strings.Contains(err.Error(), "TOPIC_ALREADY_EXISTS") {
		t.Fatal(err)
	}
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: []byte(v)}
		if v == "" { // a tombstone
			records[i].Key, records[i].Value = []byte("k"), nil
		}
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
