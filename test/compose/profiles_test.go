package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/pgadmin"
)

// TestSpark runs the pipeline on a Spark cluster beside the native engine: both
// come to the same tables, also when a worker is killed.
func TestSpark(t *testing.T) {
	s := newStack(t, "spark")
	s.up()
	ctx := context.Background()
	var cluster struct {
		AliveWorkers int
		ActiveApps   []struct{ Name string }
	}
	code, body := get(ctx, "http://localhost:"+s.env["SPARK_MASTER_PORT"]+"/json/", "")
	if err := json.Unmarshal([]byte(body), &cluster); err != nil || code != http.StatusOK || cluster.AliveWorkers != 1 || len(cluster.ActiveApps) != 1 {
		t.Errorf("the master's page: %d %s (%v)", code, body, err)
	}
	await(t, "the job's page", func() (bool, string) {
		code, body := get(ctx, "http://localhost:"+s.env["SPARK_UI_PORT"]+"/api/v1/applications", "")
		return code == http.StatusOK && strings.Contains(body, "millstream"), body
	})
	onSpark := func() int64 {
		return s.query(ctx, t, `SELECT coalesce(sum(events), 0)::bigint FROM spark.processed_data`)
	}
	await(t, "events in Spark's table", func() (bool, string) { return onSpark() > 0, "none" })

	kill(t, s, "spark-worker")
	sent := s.sent(t)
	await(t, "events that were sent after the worker's death", func() (bool, string) {
		n := onSpark()
		return n > sent, fmt.Sprintf("%d of more than %d", n, sent)
	})
	s.compose("stop", "producer")
	sent = s.sent(t)
	await(t, "all events in Spark's table", func() (bool, string) {
		n := onSpark()
		return n == sent, fmt.Sprintf("%d of %d", n, sent)
	})
	// Averages of floats depend on the order of rows in their last digits.
	differ := s.query(ctx, t, `SELECT count(*) FROM public.processed_data p FULL JOIN spark.processed_data s USING ("timestamp", type)
		WHERE p.events IS DISTINCT FROM s.events OR abs(p.value - s.value) > 1e-9 * greatest(abs(p.value), 1)`)
	if differ != 0 {
		t.Errorf("%d rows of the two engines differ", differ)
	}
}

// TestPgAdmin logs in with what .env says: the server is there, and opens
// without another password.
func TestPgAdmin(t *testing.T) {
	s := newStack(t, "pgadmin")
	s.up("pgadmin", "millstream")
	check := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), arrival)
		defer cancel()
		c, err := pgadmin.Login(ctx, "http://localhost:"+s.env["PGADMIN_PORT"], s.env["PGADMIN_DEFAULT_EMAIL"], s.env["PGADMIN_DEFAULT_PASSWORD"])
		if err != nil {
			t.Fatal(err)
		}
		tables, err := c.Tables(ctx, "Millstream", "Millstream", s.env["POSTGRES_DB"], "public")
		if err != nil || !slices.Contains(tables, "processed_data") {
			t.Errorf("pgAdmin lists %q, %v", tables, err)
		}
	}
	check()
	s.compose("down", "--timeout", "20")
	s.up("pgadmin")
	check()
}

// TestZooKeeper has the whole stack read from Kafka 3.9 on ZooKeeper.
func TestZooKeeper(t *testing.T) {
	s := newStack(t, "zookeeper")
	s.set("KAFKA_SERVICE", "kafka39")
	s.up()
	a := s.api()
	a.follow(func(total int64) bool { return total > 0 })
	conn, err := net.DialTimeout("tcp", "localhost:"+s.env["ZOOKEEPER_PORT"], arrival)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(arrival))
	if _, err := conn.Write([]byte("srvr\n")); err != nil {
		t.Fatal(err)
	}
	first := ""
	for text := range lines(conn) {
		first = text
		break
	}
	if !strings.HasPrefix(first, "Zookeeper version: 3.8") {
		t.Errorf("ZooKeeper answers %q", first)
	}
	if out := s.compose("exec", "-T", "millstream", "millstream", "topics", "--brokers", "kafka39:9092"); !strings.Contains(out, s.env["KAFKA_TOPIC"]) {
		t.Errorf("the broker on ZooKeeper has topics %s", out)
	}
	kill(t, s, "zookeeper")
	kill(t, s, "kafka39")
	before := a.counted()
	a.follow(func(total int64) bool { return total > before })
}

// TestObservability has Prometheus scrape the pipeline and the collector, to
// which a program sends by OTLP. Grafana can't be built of registries: what it
// is given to read is tested elsewhere.
func TestObservability(t *testing.T) {
	s := newStack(t, "observability")
	s.up("prometheus", "otel-collector", "producer")
	p := &prometheus{t: t, base: "http://localhost:" + s.env["PROMETHEUS_PORT"]}
	p.await(`millstream_engine_up`, "1")
	p.await(`sum(rate(millstream_records_read_total[1m])) > bool 0`, "1")

	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	p.ask("/api/v1/rules", &rules)
	count := 0
	for _, g := range rules.Data.Groups {
		for _, r := range g.Rules {
			if count++; r.Health == "err" {
				t.Errorf("rule %s: %s", r.Name, r.LastError)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(line.Root(), "deploy", "prometheus", "*alerts.yml"))
	if err != nil || len(files) > 0 && count == 0 {
		t.Errorf("Prometheus knows no rule of %v (%v)", files, err)
	}

	now := time.Now().UnixNano()
	body := fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"sent_by_test","gauge":{"dataPoints":[{"timeUnixNano":"%d","asInt":"7"}]}}]}]}]}`, now)
	res, err := http.Post("http://localhost:"+s.env["OTLP_HTTP_PORT"]+"/v1/metrics", "application/json", bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the collector answers %s", res.Status)
	}
	p.await(`sent_by_test`, "7")
}

type prometheus struct {
	t    *testing.T
	base string
}

func (p *prometheus) ask(path string, answer any) {
	p.t.Helper()
	code, body := get(context.Background(), p.base+path, "")
	if code != http.StatusOK {
		p.t.Fatalf("Prometheus: %s: %d %s", path, code, body)
	}
	if err := json.Unmarshal([]byte(body), answer); err != nil {
		p.t.Fatalf("%v in %s", err, body)
	}
}

// await asks until a query has one value, which is want.
func (p *prometheus) await(query, want string) {
	p.t.Helper()
	await(p.t, query, func() (bool, string) {
		var a struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		p.ask("/api/v1/query?query="+url.QueryEscape(query), &a)
		return len(a.Data.Result) == 1 && a.Data.Result[0].Value[1] == want, fmt.Sprint(a.Data.Result)
	})
}
