package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

// maxImage is what the program's image may weigh, in bytes.
const maxImage = 80 << 20

// TestBase is the life of the stack without profiles.
func TestBase(t *testing.T) {
	s := newStack(t)
	s.up()
	a := s.api()

	t.Run("an event of the producer arrives", func(t *testing.T) {
		a.t = t
		before := a.counted()
		a.follow(func(total int64) bool { return total > before })
		if code, _ := a.ask("/v1/tables", ""); code != 401 {
			t.Errorf("without the key the API answers %d", code)
		}
	})
	t.Run("from this machine", func(t *testing.T) { checkFromHere(t, s, a) })
	t.Run("image", func(t *testing.T) { checkImage(t, s) })
	t.Run("a killed service comes back", func(t *testing.T) {
		for _, name := range []string{"millstream", "kafka", "postgres", "producer"} {
			kill(t, s, name)
			a.t = t
			before := a.counted()
			a.follow(func(total int64) bool { return total > before })
		}
	})
	t.Run("down and up lose nothing", func(t *testing.T) { checkDownAndUp(t, s, a) })
	t.Run("verify", func(t *testing.T) {
		out := s.compose("exec", "-T", "millstream", "millstream", "verify", "/pipeline/pipeline.sql")
		if !strings.Contains(out, "processed_data") {
			t.Errorf("verify says nothing of the view: %s", out)
		}
	})
}

// checkFromHere reaches Kafka and PostgreSQL by their published ports, as
// programs outside of the stack do.
func checkFromHere(t *testing.T, s *stack, a *api) {
	ctx, cancel := context.WithTimeout(context.Background(), arrival)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers("localhost:"+s.env["KAFKA_PORT"]), kgo.DefaultProduceTopic(s.env["KAFKA_TOPIC"]))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	event := fmt.Sprintf(`{"timestamp": %q, "type": "from here", "value": 1}`, time.Now().UTC().Format(time.RFC3339Nano))
	if err := client.ProduceSync(ctx, kgo.StringRecord(event)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	a.t = t
	await(t, "an event sent from this machine", func() (bool, string) {
		_, rows := a.ask("/v1/tables/processed_data?type=eq.from%20here&select=type,value,events", a.key)
		return rows == `[{"type":"from here","value":1,"events":1}]`, rows
	})
	if n := s.query(ctx, t, `SELECT count(*) FROM processed_data WHERE type = 'from here'`); n != 1 {
		t.Errorf("PostgreSQL's port shows %d rows", n)
	}
}

// query asks PostgreSQL for a number, from this machine.
func (s *stack) query(ctx context.Context, t *testing.T, sql string) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://%s:%s@localhost:%s/%s?sslmode=disable",
		s.env["POSTGRES_USER"], s.env["POSTGRES_PASSWORD"], s.env["POSTGRES_PORT"], s.env["POSTGRES_DB"]))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := conn.QueryRow(ctx, sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// checkImage holds what the image and its container promise.
func checkImage(t *testing.T, s *stack) {
	size, err := strconv.ParseInt(docker(t, "image", "inspect", "--format", "{{.Size}}", "millstream:local"), 10, 64)
	if err != nil || size > maxImage {
		t.Errorf("the image has %d bytes, at most %d are promised (%v)", size, maxImage, err)
	}
	t.Logf("the image has %.1f MB", float64(size)/1e6)
	var image []struct {
		Config struct {
			User        string
			Labels      map[string]string
			Healthcheck struct{ Test []string }
		}
	}
	inspect(t, &image, "image", "inspect", "millstream:local")
	c := image[0].Config
	if c.User != "65532:65532" || c.Labels["org.opencontainers.image.licenses"] != "Apache-2.0" ||
		strings.Join(c.Healthcheck.Test, " ") != "CMD millstream healthcheck --quiet" {
		t.Errorf("user, labels or health check of the image: %+v", c)
	}
	var container []struct {
		HostConfig struct {
			ReadonlyRootfs bool
			CapDrop        []string
			SecurityOpt    []string
		}
	}
	inspect(t, &container, "inspect", s.container("millstream"))
	h := container[0].HostConfig
	if !h.ReadonlyRootfs || strings.Join(h.CapDrop, ",") != "ALL" || strings.Join(h.SecurityOpt, ",") != "no-new-privileges:true" {
		t.Errorf("the container may do more than it needs: %+v", h)
	}
	pid := docker(t, "inspect", "--format", "{{.State.Pid}}", s.container("millstream"))
	status, err := exec.Command("grep", "CapEff", "/proc/"+pid+"/status").Output()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(status)), "0000000000000000") {
		t.Errorf("its process has capabilities: %s %v", status, err)
	}
}

func inspect(t *testing.T, v any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(docker(t, args...)), v); err != nil {
		t.Fatal(err)
	}
}

// kill ends a service's process as a crash would, which `docker kill` would
// not: what a person stops is not started again. It waits until Docker tells
// that the service is healthy anew.
func kill(t *testing.T, s *stack, name string) {
	t.Helper()
	id := s.container(name)
	pid, err := strconv.Atoi(docker(t, "inspect", "--format", "{{.State.Pid}}", id))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), arrival)
	defer cancel()
	since := strconv.FormatInt(time.Now().Unix(), 10)
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %s: %v", name, err)
	}
	events := exec.CommandContext(ctx, "docker", "events", "--since", since, "--format", "{{.Status}}", "--filter", "container="+id)
	events.Env = plainEnvironment()
	out, err := events.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := events.Start(); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for line := range lines(out) {
		seen = append(seen, line)
		if line == "health_status: healthy" && len(seen) > 1 && contains(seen, "die") && contains(seen, "start") {
			break
		}
	}
	cancel()
	_ = events.Wait()
	if len(seen) == 0 || seen[len(seen)-1] != "health_status: healthy" || !contains(seen, "start") {
		t.Fatalf("%s does not come back within %s: %q", name, arrival, seen)
	}
	t.Logf("%s is healthy again after %.0f s", name, time.Since(began).Seconds())
}

// checkDownAndUp stops the traffic, takes the stack away and brings it back:
// the same rows, and after that the pipeline goes on.
func checkDownAndUp(t *testing.T, s *stack, a *api) {
	a.t = t
	s.compose("stop", "producer")
	sent := s.sent(t)
	await(t, "all events in the table", func() (bool, string) {
		n := a.counted()
		return n == sent, fmt.Sprintf("%d of %d", n, sent)
	})
	_, before := a.ask("/v1/tables/processed_data", a.key)
	s.compose("down", "--timeout", "40")
	if ids := strings.TrimSpace(s.compose("ps", "--all", "--quiet")); ids != "" {
		t.Fatalf("down leaves containers: %s", ids)
	}
	s.up("millstream")
	if _, after := a.ask("/v1/tables/processed_data", a.key); after != before {
		t.Errorf("the table was\n%s\nand is after down and up\n%s", before, after)
	}
	if n := s.sent(t); n != sent {
		t.Errorf("the topic had %d records, and has %d", sent, n)
	}
	s.up()
	a.follow(func(total int64) bool { return total > sent })
}

// sent counts the records of the topic, by the broker.
func (s *stack) sent(t *testing.T) (n int64) {
	t.Helper()
	var topics []struct {
		Partitions []struct{ Start, End int64 }
	}
	out := s.compose("exec", "-T", "millstream", "millstream", "topics", "describe", s.env["KAFKA_TOPIC"], "-o", "json")
	if err := json.Unmarshal([]byte(out), &topics); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, p := range topics[0].Partitions {
		n += p.End - p.Start
	}
	return n
}
