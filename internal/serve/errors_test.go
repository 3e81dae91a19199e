package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
)

// problemLine writes a problem as one line.
func problemLine(t *testing.T, status int, body string, h http.Header) string {
	t.Helper()
	var p Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		return fmt.Sprintf("%d, not a problem: %.200s", status, body)
	}
	if p.Status != status || p.Title != http.StatusText(status) || p.Type != "urn:millstream:error:"+p.Code || h.Get("Content-Type") != "application/problem+json" {
		t.Errorf("not well formed: %d %s %s", status, body, h.Get("Content-Type"))
	}
	line := fmt.Sprintf("%d %s", status, p.Code)
	if p.Parameter != "" || p.Position != 0 {
		line += fmt.Sprintf(" %s:%d", p.Parameter, p.Position)
	}
	line += " " + p.Detail
	if p.SQLState != "" {
		line += " [" + p.SQLState + "]"
	}
	if p.Hint != "" {
		line += " (" + p.Hint + ")"
	}
	return line
}

func TestProblems(t *testing.T) {
	pool := database(t, `CREATE TABLE orders (id integer PRIMARY KEY, amount numeric, at timestamptz, note text, raw json, ok boolean);
		INSERT INTO orders VALUES (1, 2, now(), 'x', '{}', true);
		CREATE VIEW divided AS SELECT 1 / (id - 1) AS d FROM orders`)
	f := start(t, pool, nil)
	tests := []struct{ method, path, want string }{
		{"GET", "/v1/tables/order", `404 MS7101 there is no table or view "order" (did you mean "orders"?)`},
		{"GET", "/v1/tables/zzz.csv", `404 MS7101 there is no table or view "zzz" (GET /v1/tables lists them)`},
		{"GET", "/v1/tables/orders?amout=eq.1", `400 MS7105 amout:0 orders has no column "amout" (did you mean "amount"?)`},
		{"GET", "/v1/tables/orders?or=(id.eq.1,zzzzzz.eq.2)", `400 MS7105 or:10 orders has no column "zzzzzz" (its columns are id, amount, at, note, raw, ok)`},
		{"GET", "/v1/tables/orders?select=id,nte", `400 MS7105 select:4 orders has no column "nte" (did you mean "note"?)`},
		{"GET", "/v1/tables/orders?order=id,atx.desc", `400 MS7105 order:4 orders has no column "atx" (did you mean "at"?)`},
		{"GET", "/v1/tables/orders?select=id,id", `400 MS7102 select:4 select gives "id" twice (give one an alias: other:id)`},
		{"GET", "/v1/tables/orders?id=1", `400 MS7102 id:1 "1" has no operator (did you mean id=eq.1?)`},
		{"GET", "/v1/tables/orders?limit=1e9", `400 MS7102 limit:2 limit is "1e9", want a whole number of rows`},
		{"GET", "/v1/tables/orders?limit=1000000000", `400 MS7104 limit:1 limit is 1000000000, at most 10000000 (leave limit out to get all rows)`},
		{"GET", "/v1/tables/orders?" + strings.Repeat("a", 8193), `414 MS7103 the query string has 8193 bytes, at most 8192 are read`},
		{"GET", "/v1/tables/orders?id=like.1*", `400 MS7106 id:6 like is for text, and "id" is integer (compare with eq, gt, lt, …)`},
		{"GET", "/v1/tables/orders?id=is.true", `400 MS7106 id:4 is.true is for booleans, and "id" is integer (use is.null or is.not_null)`},
		{"GET", "/v1/tables/orders?final=true", `400 MS7107 final:1 orders is no windowed view, so its rows are not told final (final and _final are for materialized views with a window)`},
		{"GET", "/v1/tables/orders?id=eq.x", `400 MS7108 id:4 invalid input syntax for type integer: "x" [22P02]`},
		{"GET", "/v1/tables/orders?id=eq.99999999999", `400 MS7108 id:4 value "99999999999" is out of range for type integer [22003]`},
		{"GET", "/v1/tables/orders?at=gt.yesterdy", `400 MS7108 at:4 invalid input syntax for type timestamp with time zone: "yesterdy" [22007]`},
		{"GET", "/v1/tables/orders?raw=eq.{}", `400 MS7106 operator does not exist: json = json [42883] (No operator matches the given name and argument types. You might need to add explicit type casts.)`},
		{"GET", "/v1/tables/orders?order=raw", `400 MS7106 could not identify an ordering operator for type json [42883] (Use an explicit ordering operator or modify the query.)`},
		{"GET", "/v1/tables/orders?select=ok::date", `400 MS7111 cannot cast type boolean to date [42846]`},
		{"GET", "/v1/tables/orders?select=note::integer", `400 MS7108 invalid input syntax for type integer: "x" [22P02]`},
		{"GET", "/v1/tables/divided", `400 MS7108 division by zero [22012]`},
		{"GET", "/v2/tables", `404 MS7003 there is no route /v2/tables (GET /openapi.json lists them)`},
		{"GET", "/v1/tables/orders/nothing", `404 MS7003 there is no route /v1/tables/orders/nothing (GET /openapi.json lists them)`},
		{"DELETE", "/v1/tables/orders", `405 MS7004 /v1/tables/orders has no method DELETE (its methods are GET, HEAD)`},
		{"GET", "/v1/topics/orders", `405 MS7004 /v1/topics/orders has no method GET (its methods are POST)`},
		{"POST", "/v1/topics/orders", `503 MS7008 nothing can be posted to this server (it has no connection to Kafka)`},
		{"GET", "/v1/pipeline", `503 MS7008 no engine runs in this process (ask the server of the process that runs the pipeline)`},
	}
	for _, tt := range tests {
		resp := f.do(tt.method, tt.path, nil)
		body := readAll(t, resp)
		if diff := cmp.Diff(tt.want, problemLine(t, resp.StatusCode, body, resp.Header)); diff != "" {
			t.Errorf("%s %.80s: %s", tt.method, tt.path, diff)
		}
		switch resp.StatusCode {
		case http.StatusMethodNotAllowed:
			if resp.Header.Get("Allow") == "" {
				t.Errorf("%s: no Allow header", tt.path)
			}
		case http.StatusServiceUnavailable:
			if resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After header", tt.path)
			}
		}
	}
}

// TestCodesAreDocumented holds docs/api.md to the codes.
func TestCodesAreDocumented(t *testing.T) {
	source, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`"(MS7\d{3})"`).FindAllStringSubmatch(string(source), -1)
	if len(codes) < 20 {
		t.Fatalf("only %d codes found", len(codes))
	}
	for _, c := range codes {
		if !strings.Contains(string(page), "\n| "+c[1]+" |") {
			t.Errorf("docs/api.md does not list %s", c[1])
		}
	}
}

func TestPrivileges(t *testing.T) {
	pool := database(t, `CREATE TABLE open (x integer); CREATE TABLE hidden (x integer);
		DROP ROLE IF EXISTS millstream_serve_test; CREATE ROLE millstream_serve_test; GRANT USAGE ON SCHEMA public TO millstream_serve_test; GRANT SELECT ON open TO millstream_serve_test;
		GRANT USAGE ON SCHEMA millstream TO millstream_serve_test; GRANT SELECT ON millstream.api_keys TO millstream_serve_test;
		CREATE FUNCTION peek() RETURNS integer LANGUAGE sql AS 'SELECT x FROM hidden'; CREATE VIEW peeks AS SELECT peek() AS x; GRANT SELECT ON peeks TO millstream_serve_test`)
	t.Cleanup(func() {
		exec(t, pool, `DROP OWNED BY millstream_serve_test; DROP ROLE millstream_serve_test`)
	})
	config := pool.Config()
	config.ConnConfig.RuntimeParams["role"] = "millstream_serve_test"
	limited := newPool(t, config)
	f := start(t, limited, nil)
	for path, want := range map[string]int{"open": http.StatusOK, "hidden": http.StatusNotFound, "peeks": http.StatusForbidden} {
		if status, body, _ := f.get("/v1/tables/" + path); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
}

func TestSQLStates(t *testing.T) {
	for code, want := range map[string]struct {
		status int
		code   string
	}{
		"57014": {504, codeTimeout}, "42501": {403, codeDenied}, "42P01": {404, codeTable}, "3F000": {404, codeTable}, "42703": {400, codeColumn},
		"42883": {400, codeOperator}, "42804": {400, codeOperator}, "42725": {400, codeOperator}, "0A000": {400, codeOperator}, "42P22": {400, codeOperator},
		"25006": {400, codeSQL}, "25P02": {503, codeUnavailable}, "40001": {503, codeUnavailable}, "40P01": {503, codeUnavailable}, "55P03": {503, codeUnavailable},
		"22P02": {400, codeValue}, "22003": {400, codeValue}, "22012": {400, codeValue}, "22007": {400, codeValue},
		"42601": {400, codeSQL}, "42846": {400, codeSQL}, "P0001": {400, codeSQL}, "38000": {400, codeSQL}, "21000": {400, codeSQL},
		"28P01": {503, codeUnavailable}, "28000": {503, codeUnavailable},
		"08006": {503, codeUnavailable}, "53300": {503, codeUnavailable}, "53100": {503, codeUnavailable}, "57P01": {503, codeUnavailable}, "57P03": {503, codeUnavailable}, "58030": {503, codeUnavailable}, "3D000": {503, codeUnavailable},
		"54001": {400, codeTooMuch}, "54023": {400, codeTooMuch},
		"XX000": {500, codeInternal}, "23514": {500, codeInternal}, "F0000": {500, codeInternal}, "": {500, codeInternal},
	} {
		p := sqlProblem(fmt.Errorf("read: %w", &pgconn.PgError{Code: code, Message: "m"}))
		if p.Status != want.status || p.Code != want.code || p.SQLState != code {
			t.Errorf("%s: %d %s %s", code, p.Status, p.Code, p.SQLState)
		}
	}
	if p := sqlProblem(context.DeadlineExceeded); p.Status != 504 {
		t.Errorf("deadline: %v", p)
	}
	if p := sqlProblem(&pgconn.ConnectError{}); p.Status != 503 {
		t.Errorf("no connection: %v", p)
	}
}

// TestDatabaseAway asks with PostgreSQL gone: reasons, not stack traces, and
// the process is alive.
func TestDatabaseAway(t *testing.T) {
	pool := database(t, "CREATE TABLE a (x integer)")
	config := pool.Config()
	config.ConnConfig.Port = 1 // nobody listens there
	config.ConnConfig.Host = "127.0.0.1"
	f := start(t, newPool(t, config), nil)
	// Whether it has keys was never read: what asks for one stays closed.
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/health": 503, "/v1/tables": 503, "/v1/tables/a": 503, "/openapi.json": 503, "/": 200, "/metrics": 503, "/style.css": 200} {
		status, body, _ := f.get(path)
		if status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
		if path == "/readyz" && !strings.Contains(body, `"part":"postgresql","ok":false,"reason":"no answer`) {
			t.Errorf("no reason: %s", body)
		}
	}
}
