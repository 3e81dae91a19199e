package line_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

// password stands in settings, and must not stand anywhere that is printed.
const password = "tUrnip-7aQx"

// TestOffLoopback holds that the API answers other machines with a key only.
func TestOffLoopback(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	const key = "0123456789abcdef0123456789abcdef"
	p.write("key", key+"\n")
	p.write("short", "secret\n")
	broker, url := line.Broker(t), pgtest.Database(t)
	args := []string{"run", "pipeline.sql", "--brokers", broker, "--database-url", url, "--listen", "0.0.0.0:0", "--admin-listen", "off", "-o", "json"}
	p.want(3, []string{"0.0.0.0", "MILLSTREAM_API_KEY_FILE", "listen on 127.0.0.1"}, args...)
	p.runWith([]string{"MILLSTREAM_API_KEY_FILE=short"}, "", args...).want(t, 3, "at least 16", "openssl rand -hex 32")
	p.runWith([]string{"MILLSTREAM_API_KEY_FILE=none"}, "", args...).want(t, 3, "none")
	p.runWith([]string{"MILLSTREAM_API_KEY=short"}, "", args...).want(t, 3, "MILLSTREAM_API_KEY", "at least 16")
	p.runWith([]string{"MILLSTREAM_API_KEY=" + key, "MILLSTREAM_API_KEY_FILE=key"}, "", args...).want(t, 3, "keep one of them")

	g := p.startWith([]string{"MILLSTREAM_API_KEY_FILE=key"}, args...)
	r := g.ready()
	_, port, _ := strings.Cut(strings.TrimPrefix(r.API, "http://"), "]:")
	if port == "" {
		port = r.API[strings.LastIndex(r.API, ":")+1:]
	}
	api := "http://127.0.0.1:" + port
	for _, path := range []string{"/v1/tables", "/v1/tables/processed_data", "/v1/pipeline", "/metrics", "/openapi.json", "/no-such-page"} {
		for name, header := range map[string]string{"no key": "", "a wrong key": "Bearer " + key + "0", "another scheme": "Basic " + key} {
			a := get(t, api+path, "Authorization", header)
			if a.code != http.StatusUnauthorized || !strings.Contains(a.body, "MS") || strings.Contains(a.body, key) {
				t.Errorf("GET %s with %s: %d %s", path, name, a.code, a.body)
			}
		}
	}
	if a := ask(t, http.MethodPost, api+"/v1/topics/raw_data", `{}`, "Content-Type", jsonBody); a.code != http.StatusUnauthorized {
		t.Errorf("POST without a key: %d %s", a.code, a.body)
	}
	for _, path := range []string{"/health", "/readyz", "/livez"} {
		if a := get(t, api+path); a.code != http.StatusOK {
			t.Errorf("GET %s without a key: %d %s", path, a.code, a.body)
		}
	}
	for _, header := range [][]string{{"Authorization", "Bearer " + key}, {"X-API-Key", key}} {
		if a := get(t, api+"/v1/tables/processed_data", header...); a.code != http.StatusOK {
			t.Errorf("with %s: %d %s", header[0], a.code, a.body)
		}
	}
	post(t, api+"/v1/topics/raw_data", jsonBody, `{"timestamp": "2024-05-01T12:00:00Z", "type": "a", "value": 1}`, "X-API-Key", key)
	awaitBody(t, api+"/v1/tables/processed_data?select=type,value", `[{"type":"a","value":1}]`, "X-API-Key", key)
	p.judge(ready{Kafka: broker, Postgres: url}, eventsSQL)
	if code := g.stop(); code != 0 {
		t.Errorf("exit code %d\n%s", code, g.err.text())
	}
	if all := g.out.text() + g.err.text(); strings.Contains(all, key) {
		t.Errorf("the key is printed:\n%s", all)
	}
}

// TestSecretsAreNotPrinted gives passwords in each way, and looks for them in
// settings, errors and logs.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	p, broker := newPlace(t), line.Broker(t)
	p.write("pipeline.sql", eventsSQL)
	p.write("secret", password+"\n")
	url := "postgres://somebody:" + password + "@127.0.0.1:1/none?connect_timeout=1"
	p.write("url", url)
	ways := map[string][]string{
		"variables": {"DATABASE_URL=" + url, "KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME=me", "KAFKA_SASL_PASSWORD=" + password},
		"files":     {"DATABASE_URL_FILE=url", "KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME=me", "KAFKA_SASL_PASSWORD_FILE=secret"},
		"parts":     {"POSTGRES_HOST=127.0.0.1", "POSTGRES_PORT=1", "POSTGRES_DB=none", "POSTGRES_USER=somebody", "POSTGRES_PASSWORD=" + password},
		"broken":    {"DATABASE_URL=postgres://somebody:" + password + "@127.0.0.1:port/none"},
	}
	for name, env := range ways {
		t.Run(name, func(t *testing.T) {
			env := append([]string{"KAFKA_BROKERS=" + broker, "MILLSTREAM_LOG_LEVEL=debug"}, env...)
			verbs := [][]string{{"config"}, {"config", "-o", "json"}, {"verify", "pipeline.sql"}}
			if !strings.Contains(strings.Join(env, " "), "SASL") { // the broker knows none
				verbs = append(verbs, []string{"run", "pipeline.sql", "--listen", "127.0.0.1:0", "--admin-listen", "off"})
			}
			for _, args := range verbs {
				r := p.runWith(env, "", args...)
				if strings.Contains(r.out+r.err, password) {
					t.Errorf("the password is printed: %s", r)
				}
				if want := map[bool]int{true: 0, false: 3}[args[0] == "config"]; r.code != want {
					t.Errorf("exit code %d, want %d: %s", r.code, want, r)
				}
				if args[0] == "config" && !strings.Contains(r.out, "***") {
					t.Errorf("no *** in %s", r)
				}
			}
		})
	}
}
