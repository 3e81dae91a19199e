package browser

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/test/line"
)

var pictures = flag.String("pictures", "", "folder for pictures of every page; none without")

func TestMain(m *testing.M) { line.Main(m) }

// sensors is the pipeline that most tests run.
const sensors = `CREATE FOREIGN TABLE readings (at timestamptz NOT NULL, sensor text NOT NULL, value double precision)
SERVER kafka OPTIONS (event_time 'at', watermark '1 minute');
CREATE MATERIALIZED VIEW minutely AS
SELECT window_start, sensor, avg(value) AS mean, count(*) AS n
FROM tumble(readings, at, INTERVAL '1 minute') GROUP BY window_start, sensor;
CREATE MATERIALIZED VIEW seconds AS
SELECT window_start, count(*) AS n, max(value) AS most
FROM tumble(readings, at, INTERVAL '1 second') GROUP BY window_start;
CREATE VIEW totals AS SELECT sensor, sum(n) AS n FROM minutely GROUP BY sensor;
COMMENT ON MATERIALIZED VIEW minutely IS 'Mean value by sensor and minute';
`

// program is a run of Millstream with a local broker and database.
type program struct {
	t     testing.TB
	dir   string
	addr  string
	args  []string
	run   *line.Process
	Kafka string `json:"kafka"`
	API   string `json:"api"`
}

// start runs a pipeline, whose data a further start of the program finds.
func start(t testing.TB, sql string) *program {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "plant.sql")
	if err := os.WriteFile(file, []byte(sql), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, dir: dir, addr: freeAddr(t)}
	p.args = []string{"dev", file, "--data", filepath.Join(dir, "data"), "--listen", p.addr, "--no-open", "-o", "json"}
	p.again()
	return p
}

// again starts the program, and waits until it answers.
func (p *program) again() {
	p.t.Helper()
	p.run = line.StartWithin(p.t, 10*time.Minute, []string{"MILLSTREAM_ADMIN_LISTEN=off", "HOME=" + p.dir}, p.args...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ready, err := p.run.Line(ctx)
	if err == nil {
		err = json.Unmarshal([]byte(ready), p)
	}
	if err != nil {
		p.run.Kill()
		p.t.Fatalf("the program is not ready: %v\n%s", err, p.run.Wait())
	}
}

func (p *program) post(topic, body string) {
	p.t.Helper()
	resp, err := http.Post(p.API+"/v1/topics/"+topic, "application/x-ndjson", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode/100 != 2 {
		p.t.Fatalf("POST to %s: %d %s", topic, resp.StatusCode, said)
	}
}

// get gives what the API answers.
func (p *program) get(path string) string {
	p.t.Helper()
	resp, err := http.Get(p.API + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("GET %s: %d %s (%v)", path, resp.StatusCode, body, err)
	}
	return string(body)
}

// produce writes to Kafka what the API would refuse.
func (p *program) produce(topic string, values ...string) {
	p.t.Helper()
	client, err := line.Client(p.Kafka)
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, v := range values {
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			p.t.Fatal(err)
		}
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// reading is a record of the pipeline.
func reading(at time.Time, sensor string, value float64) string {
	return fmt.Sprintf(`{"at": %q, "sensor": %q, "value": %g}`+"\n", at.UTC().Format(time.RFC3339Nano), sensor, value)
}
