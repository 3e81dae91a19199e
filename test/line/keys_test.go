package line_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

// TestKeys makes keys, serves others with them, revokes them, and looks for
// them, and for passwords, in all that the program says.
func TestKeys(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	broker, url := line.Broker(t), pgtest.Database(t)
	keys := func(code int, want []string, args ...string) string {
		t.Helper()
		return p.want(code, want, append(append([]string{"keys"}, args...), "--database-url", url)...).out
	}
	keys(0, []string{"ID", "STATE"}, "list")
	reader := strings.TrimSpace(keys(0, nil, "create", "reader"))
	writer := strings.TrimSpace(keys(0, nil, "create", "writer", "--scopes", "ingest", "--expires", "90d", "--rate", "1000"))
	var made struct{ Key, State string }
	if err := json.Unmarshal([]byte(keys(0, nil, "create", "third", "--scopes", "read,ingest,admin", "-o", "json")), &made); err != nil || !strings.HasPrefix(made.Key, "ms_") || made.State != "valid" {
		t.Errorf("%+v, %v", made, err)
	}
	keys(2, []string{"a key of that name", "keys revoke reader"}, "create", "reader")
	keys(2, []string{`no scope "write"`, "ingest, read, admin"}, "create", "x", "--scopes", "write")
	keys(2, []string{"12h or 90d"}, "create", "x", "--expires", "soon")
	keys(2, []string{"that is over"}, "create", "x", "--expires", "2001-01-01")
	keys(2, []string{"a million"}, "create", "x", "--rate", "-1")
	keys(2, []string{"keys list"}, "revoke", "nobody")

	g := p.startWith([]string{"MILLSTREAM_LOG_LEVEL=debug"}, "run", "pipeline.sql", "--brokers", broker, "--database-url", url, "--listen", "0.0.0.0:0", "-o", "json")
	r := g.ready()
	api := "http://127.0.0.1:" + r.API[strings.LastIndex(r.API, ":")+1:]
	code := func(key, method, path string) int {
		t.Helper()
		a := ask(t, method, api+path, "", "X-API-Key", key, "Content-Type", ndjsonBody)
		if strings.Contains(a.body, reader) || strings.Contains(a.body, writer) || strings.Contains(a.body, made.Key) {
			t.Errorf("%s %s repeats a key", method, path)
		}
		return a.code
	}
	for _, tt := range []struct {
		key, method, path string
		want              int
	}{
		{"", "GET", "/v1/tables", 401}, {reader, "GET", "/v1/tables", 200}, {writer, "GET", "/v1/tables", 403}, {made.Key, "GET", "/v1/tables", 200},
		{reader, "POST", "/v1/topics/raw_data", 403}, {reader[:len(reader)-1], "GET", "/v1/tables", 401},
	} {
		if got := code(tt.key, tt.method, tt.path); got != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
	post(t, api+"/v1/topics/raw_data", jsonBody, `{"timestamp": "2024-05-01T12:00:00Z", "type": "a", "value": 1}`, "X-API-Key", writer)
	awaitBody(t, api+"/v1/tables/processed_data?select=type,value", `[{"type":"a","value":1}]`, "X-API-Key", reader)

	said := ""
	for _, path := range []string{"/", "/docs", "/openapi.json", "/metrics", "/health", "/v1/session", "/v1/pipeline", "/v1/tables", "/v1/tables/processed_data"} {
		said += get(t, api+path, "X-API-Key", reader).body
	}
	keys(0, []string{"(reader) is revoked"}, "revoke", "reader")
	for code(reader, "GET", "/v1/tables") != http.StatusUnauthorized {
	}
	said += keys(0, []string{"revoked", "valid", "1000/s"}, "list") + keys(0, nil, "list", "-o", "json")
	p.judge(ready{Kafka: broker, Postgres: url}, eventsSQL)
	if code := g.stop(); code != 0 {
		t.Errorf("exit code %d\n%s", code, g.err.text())
	}
	said += g.out.text() + g.err.text()
	env := []string{"MILLSTREAM_API_KEY=" + made.Key, "DATABASE_URL=" + url}
	for _, args := range [][]string{{"config"}, {"config", "-o", "json"}} {
		r := p.runWith(env, "", args...)
		said += r.out + r.err
	}
	for name, key := range map[string]string{"reader": reader, "writer": writer, "third": made.Key} {
		if strings.Contains(said, key) || strings.Contains(said, key[len("ms_")+11:]) {
			t.Errorf("the key %s is shown again", name)
		}
	}
}
