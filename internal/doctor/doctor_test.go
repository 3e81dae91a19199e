package doctor_test

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/doctor"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/pipeline"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// events is a pipeline with windows of an hour that stay open for five minutes
// more.
const events = `CREATE FOREIGN TABLE events (at timestamptz NOT NULL, kind text) SERVER kafka
    OPTIONS (topic 'events', format 'json', event_time 'at', watermark '5 minutes', partitions '2');
CREATE MATERIALIZED VIEW hourly AS SELECT window_start, kind, count(*) AS n FROM tumble(events, at, INTERVAL '1 hour') GROUP BY window_start, kind;`

// load reads settings from an environment alone.
func load(t *testing.T, environ ...string) *config.Loaded {
	t.Helper()
	c, err := config.Load(config.Sources{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// parse plans a pipeline; "" is none.
func parse(t *testing.T, sql string) *pipeline.Definition {
	t.Helper()
	if sql == "" {
		return nil
	}
	def, err := pipeline.Parse("events.sql", sql, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// findings are what was found, by check; of several of a check the worst.
type findings map[string]doctor.Finding

func examine(t *testing.T, o doctor.Options) findings {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	r := doctor.Run(t.Context(), o)
	if failed := r.Count(doctor.Failed); r.Ready != (failed == 0) {
		t.Errorf("ready is %t with %d failures", r.Ready, failed)
	}
	severity := map[doctor.State]int{doctor.Fine: 0, doctor.Unknown: 1, doctor.Warning: 2, doctor.Failed: 3}
	out := findings{}
	for _, f := range r.Findings {
		if f.Message == "" || strings.Contains(f.Message, "\n") {
			t.Errorf("%s has no message of one line: %q", f.Check, f.Message)
		}
		if f.State == doctor.Failed && f.Cure == "" {
			t.Errorf("%s has failed and no cure: %s", f.Check, f.Message)
		}
		if had, ok := out[f.Check]; !ok || severity[f.State] > severity[had.State] {
			out[f.Check] = f
		}
	}
	return out
}

// want looks for a finding of a state whose message or cure has a text.
func (f findings) want(t *testing.T, check string, state doctor.State, text string) {
	t.Helper()
	got, ok := f[check]
	switch {
	case !ok:
		t.Errorf("nothing is said of %s, want %q; there is %s", check, text, f)
	case got.State != state, !strings.Contains(got.Message+"\n"+got.Cure, text):
		t.Errorf("%s is %+v, want %s with %q", check, got, state, text)
	}
}

func (f findings) String() string {
	text, _ := json.MarshalIndent(map[string]doctor.Finding(f), "", " ") // strings only
	return string(text)
}

// closedPort is an address that refuses connections.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestUnreachable: each part that does not answer is one finding, quickly, and
// the others are examined all the same.
func TestUnreachable(t *testing.T) {
	away := closedPort(t)
	const secret = "p%C3%A4ss"
	f := examine(t, doctor.Options{Definition: parse(t, events),
		Config: load(t, "KAFKA_BROKERS="+away, "DATABASE_URL=postgres://bob:"+secret+"@"+away+"/d?sslmode=disable", "MILLSTREAM_LISTEN=127.0.0.1:0")})
	f.want(t, "kafka.reach", doctor.Failed, "refused")
	f.want(t, "kafka.reach", doctor.Failed, "KAFKA_BROKERS")
	f.want(t, "postgres.reach", doctor.Failed, "bob@"+away+"/d")
	f.want(t, "api.listen", doctor.Fine, "")
	if len(f) != 4 {
		t.Errorf("what is away was asked for more: %s", f)
	}
	for _, leaked := range []string{secret, "päss"} {
		if strings.Contains(f.String(), leaked) {
			t.Errorf("the password is told: %s", f)
		}
	}
}

// TestLocal examines what the embedded broker and database need.
func TestLocal(t *testing.T) {
	dir := t.TempDir()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	f := examine(t, doctor.Options{Config: load(t, "MILLSTREAM_LOCAL=true", "MILLSTREAM_DATA="+dir+"/not/yet", "MILLSTREAM_LISTEN="+busy.Addr().String())})
	if f["local.disk"].Message == "" { // whatever this machine has, it is told
		t.Errorf("the disk was not looked at: %s", f)
	}
	f.want(t, "api.listen", doctor.Warning, "is taken")
	f = examine(t, doctor.Options{Config: load(t, "MILLSTREAM_LOCAL=true", "MILLSTREAM_DATA=/dev/null", "MILLSTREAM_PG_BIN="+dir)})
	f.want(t, "local.data", doctor.Failed, "not a directory")
	f.want(t, "local.postgres", doctor.Failed, "--pg-bin")
	f = examine(t, doctor.Options{Config: load(t, "MILLSTREAM_LOCAL=true", "MILLSTREAM_LISTEN=203.0.113.1:5000", "MILLSTREAM_API_KEY_FILE="+dir+"/none")})
	f.want(t, "local.data", doctor.Warning, "--data DIR")
	f.want(t, "api.listen", doctor.Failed, "--listen")
	f.want(t, "api.key", doctor.Failed, "can't be read")
}

// TestSpark finds a Spark that is not there, and statements that would not
// run on it.
func TestSpark(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("SPARK_HOME", "")
	t.Setenv("JAVA_HOME", "")
	away := closedPort(t)
	f := examine(t, doctor.Options{Spark: true, Definition: parse(t, strings.Replace(events, "watermark", "on_error 'stop', watermark", 1)),
		Config: load(t, "KAFKA_BROKERS="+away, "PGHOST=127.0.0.1", "PGPORT="+away[strings.LastIndexByte(away, ':')+1:])})
	f.want(t, "spark.java", doctor.Failed, "install Java 17")
	f.want(t, "spark.version", doctor.Failed, "pip install pyspark")
	f.want(t, "spark.checkpoint", doctor.Failed, "SPARK_CHECKPOINT_LOCATION")
	f.want(t, "spark.pipeline", doctor.Failed, "on_error 'stop'")
}
