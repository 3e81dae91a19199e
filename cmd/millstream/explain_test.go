package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/codes"
	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/serve"
	"github.com/millstream-dev/millstream/internal/serve/apikey"
	"github.com/millstream-dev/millstream/test/line"
)

// withoutExample are codes that no example can give here, and where they are
// tested instead.
var withoutExample = map[string]string{
	"MS4006": "a PostgreSQL with other time zone data: internal/postgres compares the rules of each zone",
	"MS7206": "a topic without NOT NULL columns: internal/serve",
	"MS7012": "many slow clients: internal/serve",
	"MS7208": "a Kafka that is slow: internal/serve",
	"MS7209": "an engine that is slow: internal/serve",
	"MS7302": "the page of statements: internal/serve",
	"MS7117": "many live streams: internal/serve",
	"MS7401": "a pipeline that runs on Spark: internal/serve",
}

// TestExplainedExamples: each page's example gives its code.
func TestExplainedExamples(t *testing.T) {
	pages, err := codes.Pages()
	if err != nil {
		t.Fatal(err)
	}
	var api *exampleAPI
	for _, code := range slices.Sorted(maps.Keys(pages)) {
		p := pages[code]
		kind, more, _ := strings.Cut(p.Kind, " ")
		if kind == "request" && api == nil {
			api = startExampleAPI(t)
		}
		t.Run(code, func(t *testing.T) {
			text := expand(p.Example)
			var given []string
			switch kind {
			case "file":
				given = planned(text)
			case "query":
				given = planned(codes.Orders + "\nCREATE MATERIALIZED VIEW v AS " + text + ";")
			case "spark":
				def, err := pipeline.Parse("p.sql", text, "p", "")
				if err != nil {
					t.Fatal(err)
				}
				_, err = pipeline.DescribeSpark(def, "public")
				given = codesOf(err)
			case "test":
				_, err := pipetest.Parse("p.test", "topic raw_data 1\n"+text+"\n")
				given = codesOf(err)
			case "command":
				given = codesIn(runCase(t, surroundings{broker: "no broker", busy: "no port"}, "$ "+text))
			case "database":
				given = deployed(t, text)
			case "request":
				given = codesIn(api.ask(t, text, more))
			case "none":
				if withoutExample[code] == "" {
					t.Error("give an example, or say in withoutExample why there can't be one")
				}
				return
			}
			if !slices.Contains(given, code) {
				t.Errorf("the example gives %v", given)
			}
		})
	}
}

var repeated = regexp.MustCompile(`«([^*»]*)\*(\d+)»`)

// expand writes out what an example repeats.
func expand(text string) string {
	return repeated.ReplaceAllStringFunc(text, func(s string) string {
		m := repeated.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2]) // digits
		return strings.Repeat(m[1], n)
	})
}

func planned(sql string) []string {
	_, err := pipeline.Parse("p.sql", sql, "p", "")
	return codesOf(err)
}

func codesOf(err error) (out []string) {
	for _, d := range diag.From(err) {
		out = append(out, d.Code)
	}
	return out
}

var codePattern = regexp.MustCompile(`MS\d{4}`)

func codesIn(text string) []string { return codePattern.FindAllString(text, -1) }

var step = regexp.MustCompile(`(?m)^-- (by psql|the file)[^:\n]*:\n`)

// deployed takes the steps of an example: what is done by psql, and pipeline
// files that are run one after the other.
func deployed(t *testing.T, text string) []string {
	t.Helper()
	address := pgtest.Database(t)
	starts := step.FindAllStringSubmatchIndex(text, -1)
	var given []string
	for i, at := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		sql := text[at[1]:end]
		if text[at[2]:at[3]] == "by psql" {
			byHand(t, address, sql)
			continue
		}
		def, err := pipeline.Parse("p.sql", sql, "p", "")
		if err != nil {
			t.Fatal(err)
		}
		db, err := postgres.Open(t.Context(), postgres.Config{URL: address, Pipeline: "p"})
		if err != nil {
			t.Fatal(err)
		}
		given = codesOf(db.Deploy(t.Context(), def.Plan, "cluster"))
		db.Close()
	}
	return given
}

func byHand(t *testing.T, address, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // it cleans up, too
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

// exampleAPI is the skeleton's pipeline, running, and what its servers are
// made from.
type exampleAPI struct {
	address string // of the database
	plan    *plan.Pipeline
	main    string // http://host:port of the pipeline's own server
}

func startExampleAPI(t *testing.T) *exampleAPI {
	t.Helper()
	def, err := pipeline.Load(filepath.Join(line.Root(), "examples", "skeleton", "pipeline.sql"), "skeleton", "")
	if err != nil {
		t.Fatal(err)
	}
	api := &exampleAPI{address: pgtest.Database(t), plan: def.Plan}
	c := config.Default()
	c.Kafka.Brokers, c.Database.URL = []string{line.Broker(t)}, config.Secret(api.address)
	c.Serve.Listen, c.Serve.AdminListen = "127.0.0.1:0", "off"
	p, err := pipeline.Open(t.Context(), pipeline.Options{Definition: def, Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		p.Close()
	})
	<-p.Engine.Running()
	api.main = p.Addresses().API
	return api
}

// ask sends a request, as it is written, to the server that it is for, and
// gives the answer.
func (api *exampleAPI) ask(t *testing.T, text, to string) string {
	t.Helper()
	sql := ""
	if rest, ok := strings.CutPrefix(text, "-- by psql:\n"); ok {
		at := regexp.MustCompile(`(?m)^(GET|POST|DELETE) /`).FindStringIndex(rest)
		sql, text = rest[:at[0]], rest[at[0]:]
		byHand(t, api.address, sql)
	}
	base, key, address := api.main, "", api.address
	var edit func(*serve.Config, *pgxpool.Config)
	switch to {
	case "":
		if sql != "" { // it has not seen what was made just now
			edit = func(*serve.Config, *pgxpool.Config) {}
		}
	case "to a process without an engine":
		edit = func(*serve.Config, *pgxpool.Config) {}
	case "with a key set":
		edit = func(c *serve.Config, _ *pgxpool.Config) { c.Key = strings.Repeat("k", 32) }
	case "with a key that may read":
		address, key = api.keyed(t, apikey.Key{Name: "reader", Scopes: apikey.Read})
		edit = func(*serve.Config, *pgxpool.Config) {}
	case "with a key of one request a second, the second at once":
		address, key = api.keyed(t, apikey.Key{Name: "slow", Scopes: apikey.Read, Rate: 1})
		edit = func(*serve.Config, *pgxpool.Config) {}
	case "by a role that may not read all":
		role := "examples_" + filepath.Base(api.address[:strings.IndexByte(api.address, '?')])
		byHand(t, api.address, "CREATE ROLE "+role+"; GRANT USAGE ON SCHEMA millstream TO "+role+"; GRANT SELECT ON ALL TABLES IN SCHEMA millstream TO "+role)
		t.Cleanup(func() { byHand(t, api.address, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
		edit = func(_ *serve.Config, c *pgxpool.Config) { c.ConnConfig.RuntimeParams["role"] = role }
	default:
		t.Fatalf("no server %q", to)
	}
	if edit != nil {
		base = api.serve(t, address, edit)
	}
	answer := send(t, base, text, key)
	if strings.HasSuffix(to, "the second at once") {
		for range 20 { // the first may find a burst
			answer += send(t, base, text, key)
		}
	}
	return answer
}

// keyed makes a database with the pipeline's tables and a key: where there is
// one, nobody is answered without.
func (api *exampleAPI) keyed(t *testing.T, k apikey.Key) (address, key string) {
	t.Helper()
	address = pgtest.Database(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: address, Pipeline: "skeleton"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Deploy(t.Context(), api.plan, "cluster"); err != nil {
		t.Fatal(err)
	}
	key, _, err = apikey.Create(t.Context(), db.Pool(), k)
	if err != nil {
		t.Fatal(err)
	}
	return address, key
}

// serve starts a server over a database of the pipeline, in which no engine runs.
func (api *exampleAPI) serve(t *testing.T, address string, edit func(*serve.Config, *pgxpool.Config)) string {
	t.Helper()
	c := serve.Config{Addr: "127.0.0.1:0", Name: "skeleton", Version: "test", Pipeline: api.plan}
	poolConfig, err := pgxpool.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	edit(&c, poolConfig)
	if c.Pool, err = pgxpool.NewWithConfig(t.Context(), poolConfig); err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(c)
	if err == nil {
		err = s.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		c.Pool.Close()
	})
	return "http://" + s.Addr()
}

func send(t *testing.T, base, text, key string) string {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	first, headers, _ := strings.Cut(head, "\n")
	raw := first + " HTTP/1.1\r\nHost: " + strings.TrimPrefix(base, "http://") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, base+r.RequestURI, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range strings.Split(headers, "\n") {
		if name, value, ok := strings.Cut(h, ": "); ok {
			req.Header.Set(name, value)
			if name == "Host" {
				req.Host = value
			}
		}
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %s", res.Status, answer)
}
