package kafka

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

// pythonVariable names a Python with confluent-kafka.
const pythonVariable = "MILLSTREAM_TEST_KAFKA_PYTHON"

// events is how many each client sends.
const events = 70

// TestClients has other programs use the embedded broker, and a pipeline read
// what they have sent.
func TestClients(t *testing.T) {
	for _, c := range []struct {
		name string
		use  func(t *testing.T, broker string)
	}{{"console", consoleTools}, {"kcat", kcat}, {"confluent", confluent}} {
		t.Run(c.name, func(t *testing.T) {
			broker := line.Broker(t)
			c.use(t, broker)
			count(t, broker)
		})
	}
}

// lines are the events with their keys.
func lines() string {
	var b strings.Builder
	for n := range events {
		fmt.Fprintf(&b, "%d\t{\"at\": \"2024-01-01T00:%02d:%02dZ\", \"n\": %d}\n", n, n/60, n%60, n)
	}
	return b.String()
}

// count runs a pipeline over topic "readings", and holds it to all events.
func count(t *testing.T, broker string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "readings.sql")
	if err := os.WriteFile(file, []byte(readingsSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	url := pgtest.Database(t)
	if r := line.Run(t, nil, "run", file, "--until-end", "--brokers", broker, "--database-url", url, "--quiet",
		"--listen", "127.0.0.1:0", "--admin-listen", "off"); r.Code != 0 {
		t.Fatal(r)
	}
	report := oracle.Check(t, oracle.Options{SQL: readingsSQL, Pipeline: "readings", DatabaseURL: url, Brokers: map[string][]string{"kafka": {broker}}})
	if report.Records != events {
		t.Errorf("%d records, want %d", report.Records, events)
	}
}

// do runs a program to its end and gives what it prints.
func do(t *testing.T, cmd *exec.Cmd, input string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out.String(), said.String())
	}
	return out.String()
}

// consoleTools uses what comes with Kafka.
func consoleTools(t *testing.T, broker string) {
	libs := jars(t, kafka4Variable)
	tool := func(input string, args ...string) string {
		t.Helper()
		return do(t, java(t, libs, "log4j2.properties", append(args, "--bootstrap-server", broker)...), input)
	}
	const topics, groups = "org.apache.kafka.tools.TopicCommand", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
	tool("", topics, "--create", "--topic", "readings", "--partitions", "3", "--replication-factor", "1")
	if out := tool("", topics, "--describe", "--topic", "readings"); !strings.Contains(out, "PartitionCount: 3") {
		t.Errorf("describe: %s", out)
	}
	tool(lines(), "org.apache.kafka.tools.ConsoleProducer", "--topic", "readings", "--reader-property", "parse.key=true")
	out := tool("", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", "readings", "--from-beginning", "--max-messages", fmt.Sprint(events),
		"--group", "console", "--formatter-property", "print.key=true")
	sameLines(t, out, lines())
	if out := tool("", "org.apache.kafka.tools.GetOffsetShell", "--topic", "readings"); strings.Count(out, "readings:") != 3 {
		t.Errorf("offsets: %s", out)
	}
	if out := tool("", groups, "--describe", "--group", "console"); strings.Count(out, "readings") != 3 {
		t.Errorf("group: %s", out)
	}
}

func kcat(t *testing.T, broker string) {
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Skip("kcat is not installed")
	}
	line.Fill(t, broker, line.Log{"readings": {nil, nil, nil}})
	tool := func(input string, args ...string) string {
		t.Helper()
		return do(t, exec.Command("kcat", append([]string{"-b", broker}, args...)...), input)
	}
	tool(lines(), "-P", "-t", "readings", "-K", "\t", "-z", "snappy")
	sameLines(t, tool("", "-C", "-t", "readings", "-e", "-q", "-f", "%k\t%s\n"), lines())
	if out := tool("", "-L", "-t", "readings"); !strings.Contains(out, `topic "readings" with 3 partitions`) {
		t.Errorf("metadata: %s", out)
	}
}

func confluent(t *testing.T, broker string) {
	python := os.Getenv(pythonVariable)
	if python == "" {
		t.Skipf("%s does not name a Python with confluent-kafka", pythonVariable)
	}
	t.Log(do(t, exec.Command(python, "clients.py", broker, "readings", fmt.Sprint(events)), ""))
}

func sameLines(t *testing.T, got, want string) {
	t.Helper()
	missing := map[string]int{}
	for l := range strings.Lines(want) {
		missing[l]++
	}
	for l := range strings.Lines(got) {
		if missing[l]--; missing[l] < 0 {
			t.Errorf("not sent: %q", l)
		}
	}
	for l, n := range missing {
		if n > 0 {
			t.Errorf("not read: %q", l)
		}
	}
}
