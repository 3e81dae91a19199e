package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
)

// queryTables are a pipeline's tables, and what is none of them.
var queryTables = []string{
	`CREATE TABLE sales (id integer PRIMARY KEY, category text, price numeric, "random" text, at timestamptz)`,
	`INSERT INTO sales SELECT i, 'c' || i % 3, i * 1.5, 'r', timestamptz '2024-01-01' + i * interval '1 minute' FROM generate_series(1, 20000) AS i`,
	`CREATE VIEW dear AS SELECT * FROM sales WHERE price > 100`,
	`CREATE FUNCTION mine(x integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT x'`,
	`CREATE FUNCTION lower(x integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT pg_sleep(60)::text$$`,
	`CREATE SEQUENCE numbers`,
	`CREATE SCHEMA elsewhere`, `CREATE TABLE elsewhere.secret AS SELECT 1 AS x`, `GRANT USAGE ON SCHEMA elsewhere TO PUBLIC`, `GRANT SELECT ON elsewhere.secret TO PUBLIC`,
	`CREATE FUNCTION elsewhere.f() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'`,
	`GRANT EXECUTE ON FUNCTION elsewhere.f() TO PUBLIC`,
}

// ask gives status, body and headers of a statement.
func (f *fixture) ask(sql string, more ...string) (int, string, http.Header) {
	f.t.Helper()
	query := url.Values{"sql": {sql}}
	var header []string
	for i := 0; i < len(more); i += 2 {
		if name, ok := strings.CutPrefix(more[i], "?"); ok {
			query.Add(name, more[i+1])
		} else {
			header = append(header, more[i], more[i+1])
		}
	}
	return f.get("/v1/query?"+query.Encode(), header...)
}

func TestQuery(t *testing.T) {
	f := start(t, database(t, queryTables...), nil)
	for _, tt := range []struct {
		sql  string
		more []string
		want string
	}{
		{"SELECT id, price FROM sales ORDER BY id LIMIT 2", nil, "[{\"id\":1,\"price\":1.5},\n{\"id\":2,\"price\":3.0}]\n"},
		{"SELECT count(*) AS n, max(s.random) FROM public.sales AS s; ", nil, "[{\"n\":20000,\"max\":\"r\"}]\n"},
		{"/* a */ SELECT 1 AS a -- b", nil, "[{\"a\":1}]\n"},
		{"VALUES (1, 'x'), (2, NULL)", nil, "[{\"column1\":1,\"column2\":\"x\"},\n{\"column1\":2,\"column2\":null}]\n"},
		{"TABLE dear ORDER BY id LIMIT 1", []string{"?limit", "5"}, "[{\"id\":67,\"category\":\"c1\",\"price\":100.5,\"random\":\"r\",\"at\":\"2024-01-01T01:07:00+00:00\"}]\n"},
		{"WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i, row_number() OVER (ORDER BY i DESC) AS r FROM n ORDER BY i", nil,
			"[{\"i\":1,\"r\":3},\n{\"i\":2,\"r\":2},\n{\"i\":3,\"r\":1}]\n"},
		{"SELECT $1::integer + id AS a, $2 AS b FROM sales WHERE id = $3", []string{"?param", "10", "?param", "x'; DROP TABLE sales", "?param", "1"}, "[{\"a\":11,\"b\":\"x'; DROP TABLE sales\"}]\n"},
		{"SELECT category, percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS median, string_agg(DISTINCT category, ',') FILTER (WHERE id < 9) AS all FROM sales GROUP BY category ORDER BY 1 LIMIT 1", nil,
			"[{\"category\":\"c0\",\"median\":15000.75,\"all\":\"c0\"}]\n"},
		{"SELECT date_trunc('hour', at, 'Europe/Paris') AS h, extract(hour FROM at) AS e, trim(both 'c' from category) AS t, substring(category from 1 for 1) AS s FROM sales WHERE id = 90", nil,
			"[{\"h\":\"2024-01-01T01:00:00+00:00\",\"e\":1,\"t\":\"0\",\"s\":\"c\"}]\n"},
		{"SELECT id, category = 'c1' AS is FROM sales ORDER BY 1 LIMIT 2", []string{"Accept", "text/csv"}, "id,is\n1,true\n2,false\n"},
		{"SELECT id FROM sales ORDER BY 1 LIMIT 2", []string{"Accept", "application/x-ndjson"}, "{\"id\":1}\n{\"id\":2}\n"},
		{"SELECT id FROM sales WHERE id = 5", []string{"Accept", "application/vnd.pgrst.object+json"}, "{\"id\":5}\n"},
		{"SELECT 1 WHERE false", nil, "[]\n"},
		{"EXPLAIN (COSTS off) SELECT * FROM sales WHERE id = $1", []string{"?param", "1"}, "[{\"QUERY PLAN\":\"Index Scan using sales_pkey on sales\"},\n{\"QUERY PLAN\":\"  Index Cond: (id = 1)\"}]\n"},
		{"EXPLAIN (COSTS off) VALUES (1)", []string{"Accept", "text/csv"}, "QUERY PLAN\nResult\n"},
		{"SELECT (ARRAY[1,2])[1] AS a, (s).category FROM sales AS s WHERE id IN (SELECT 1)", nil, "[{\"a\":1,\"category\":\"c1\"}]\n"},
		{"SELECT pg_catalog.lower('X') AS x", nil, "422 MS7301 the function lower is also one of schema public, and such functions are not called here at 8"},
		{"SELECT current_user AS u", nil, "422 MS7301 who is connected is not told here at 8"},
		{"SELECT * FROM sals", nil, `404 MS7101 there is no table or view "sals" at 15`},
		{"SELECT idd FROM sales", nil, `400 MS7105 column "idd" does not exist at 8`},
		{"SELECT FROM WHERE", nil, `400 MS7111 it is not one statement of SQL: syntax error at or near "WHERE" at 13`},
		{"SELECT 1 AS a, 2 AS a", nil, `422 MS7301 two columns are called "a"`},
		{"SELECT 1/(id - 7) AS x FROM sales", nil, `400 MS7108 division by zero`},
		{"SELECT $2::text", []string{"?param", "1"}, "422 MS7301 the statement has the parameter $2, and the request 1 values"},
		{"SELECT id FROM sales", []string{"?limit", "10001"}, `400 MS7006 limit is "10001"`},
		{"SELECT id FROM sales", []string{"?limits", "1"}, `400 MS7006 unknown parameter "limits"`},
		{" ", nil, "400 MS7006 there is no statement"},
		{"SELECT '" + strings.Repeat("x", maxSQLBytes) + "'", nil, "414 MS7103 the statement is longer than 16384 bytes"},
		{"SELECT nosuch(1)", nil, "400 MS7106 PostgreSQL has no function nosuch at 8"},
		{"SELECT id FROM sales", []string{"Accept", "application/vnd.pgrst.object+json"}, "406 MS7115 one row is asked for, and there are several"},
		{"SELECT repeat('x', 20000000) AS x", nil, "422 MS7301 a row is longer than 16777216 bytes"},
	} {
		status, body, _ := f.ask(tt.sql, tt.more...)
		if status >= 300 {
			body = queryProblemLine(t, body)
		}
		if diff := cmp.Diff(tt.want, body); diff != "" {
			t.Errorf("%.200s: %s", tt.sql, diff)
		}
	}
}

func queryProblemLine(t *testing.T, body string) string {
	t.Helper()
	var p Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	line := fmt.Sprintf("%d %s %s", p.Status, p.Code, p.Detail)
	if p.Position > 0 {
		line += fmt.Sprintf(" at %d", p.Position)
	}
	return line
}

// TestQueryLimits asks for more than is given.
func TestQueryLimits(t *testing.T) {
	f := start(t, database(t, queryTables...), nil)
	for _, tt := range []struct {
		sql, limit, truncated string
		rows                  int
	}{
		{"SELECT id FROM sales", "10", "rows", 10},
		{"SELECT id FROM sales", "0", "rows", 0},
		{"SELECT id FROM sales LIMIT 10", "10", "", 10},
		{"SELECT id FROM sales", "", "rows", maxQueryRows},
		{"SELECT id, repeat('x', 100000) AS x FROM sales", "", "bytes", 42},
	} {
		more := []string{"?limit", tt.limit}
		if tt.limit == "" {
			more = nil
		}
		status, body, h := f.ask(tt.sql, more...)
		var rows []any
		if err := json.Unmarshal([]byte(body), &rows); err != nil || status != http.StatusOK || len(rows) != tt.rows || h.Get(headerTruncated) != tt.truncated {
			t.Errorf("%s: %d, %d rows, %q, %v", tt.sql, status, len(rows), h.Get(headerTruncated), err)
		}
	}
	status, body, _ := f.ask("SELECT count(*) FROM sales AS a, sales AS b, sales AS c")
	if status != http.StatusGatewayTimeout {
		t.Errorf("a long statement: %d %s", status, body)
	}
}

// attacks are statements that do more than read the pipeline's tables.
var attacks = []string{
	// Writing.
	"INSERT INTO sales VALUES (0)", "UPDATE sales SET price = 0", "DELETE FROM sales", "TRUNCATE sales", "MERGE INTO sales USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
	"WITH d AS (DELETE FROM sales RETURNING *) SELECT * FROM d", "WITH i AS (INSERT INTO sales VALUES (0) RETURNING id) SELECT id FROM i", "WITH a AS (WITH d AS (UPDATE sales SET price = 0 RETURNING 1) TABLE d) TABLE a",
	"SELECT * INTO stolen FROM sales", "CREATE TABLE x AS SELECT 1", "CREATE TEMP TABLE x (y integer)", "DROP TABLE sales", "ALTER TABLE sales ADD x integer", "CREATE VIEW v AS SELECT 1", "REFRESH MATERIALIZED VIEW dear",
	"SELECT nextval('numbers')", "SELECT setval('numbers', 1)", "COMMENT ON TABLE sales IS 'x'", "GRANT ALL ON sales TO PUBLIC", "EXPLAIN ANALYZE DELETE FROM sales", "EXPLAIN DELETE FROM sales", "EXPLAIN ANALYZE SELECT 1",
	"EXPLAIN (ANALYZE) SELECT 1", "EXPLAIN (COSTS off, analyze true) SELECT 1", "EXPLAIN (SETTINGS) SELECT 1", "EXPLAIN CREATE TABLE x AS SELECT 1", "EXPLAIN EXECUTE p",
	// Several statements, transactions, sessions.
	"SELECT 1; SELECT 2", "SELECT 1; DROP TABLE sales", "COMMIT; DROP TABLE sales", "COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT s", "SET ROLE postgres", "RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT", "SET statement_timeout = 0",
	"SET TRANSACTION READ WRITE", "SHOW ALL", "RESET ALL", "DISCARD ALL", "DO $$BEGIN PERFORM 1; END$$", "CALL f()", "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE ALL", "DECLARE c CURSOR FOR SELECT 1", "FETCH ALL FROM millstream_rows",
	"MOVE ALL IN millstream_rows", "CLOSE millstream_rows", "LISTEN x", "NOTIFY x", "UNLISTEN *", "LOAD 'x'", "VACUUM", "CHECKPOINT", "LOCK TABLE sales", "CLUSTER", "REINDEX TABLE sales", "ANALYZE sales",
	"SELECT set_config('role', 'postgres', false)", "SELECT pg_catalog.set_config('transaction_read_only', 'off', false)", "SELECT current_setting('data_directory')", "SELECT setseed(0.5)",
	// Locking and waiting.
	"SELECT * FROM sales FOR UPDATE", "SELECT * FROM sales FOR KEY SHARE SKIP LOCKED", "SELECT pg_sleep(60)", "SELECT pg_catalog.pg_sleep(60)", "SELECT \"pg_sleep\"(60)", "SELECT (60.0::float8).pg_sleep", "SELECT (CAST(60 AS double precision)).\"pg_sleep\"",
	"SELECT x.pg_sleep FROM (SELECT 60.0::float8) AS x", "SELECT pg_sleep_for('1 minute')", "SELECT pg_sleep_until('infinity')", "SELECT * FROM pg_sleep(60)", "SELECT 1 WHERE pg_sleep(60) IS NULL", "SELECT 1 ORDER BY pg_sleep(60)",
	"SELECT 1 FROM sales GROUP BY pg_sleep(60)", "SELECT 1 LIMIT (SELECT 1 FROM pg_sleep(60))", "SELECT CASE WHEN true THEN pg_sleep(60) END", "SELECT count(*) FILTER (WHERE pg_sleep(60) IS NULL) FROM sales", "SELECT sum(1) OVER (ORDER BY pg_sleep(60))",
	"SELECT ARRAY(SELECT pg_sleep(60))", "VALUES (pg_sleep(60))", "SELECT * FROM ROWS FROM (generate_series(1, 2), pg_sleep(60)) AS x", "SELECT * FROM sales, LATERAL pg_sleep(60)", "SELECT * FROM sales TABLESAMPLE system((SELECT 1 FROM pg_sleep(60)))",
	"EXPLAIN SELECT pg_sleep(60)", "SELECT U&\"pg\\005Fsleep\"(60)", "SELECT lower(5)", "SELECT pg_catalog/**/./**/pg_sleep(60)",
	"SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_lock(1)", "SELECT pg_advisory_xact_lock(1, 2)", "SELECT pg_advisory_unlock_all()", "SELECT pg_terminate_backend(1)", "SELECT pg_cancel_backend(1)", "SELECT pg_notify('a', 'b')",
	// Files, network, programs, large objects.
	"COPY sales TO '/tmp/x'", "COPY sales FROM PROGRAM 'id'", "COPY (SELECT 1) TO STDOUT", "SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "SELECT * FROM pg_ls_logdir()", "SELECT pg_stat_file('/etc/passwd')",
	"SELECT lo_import('/etc/passwd')", "SELECT lo_export(1, '/tmp/x')", "SELECT lo_create(0)", "SELECT lo_get(1)", "SELECT lo_from_bytea(0, 'x')", "SELECT loread(lo_open(1, 1), 9)", "SELECT lo_unlink(1)", "SELECT dblink('host=x', 'SELECT 1')", "SELECT * FROM dblink('x', 'y') AS t (a integer)",
	"CREATE EXTENSION dblink", "CREATE SERVER s FOREIGN DATA WRAPPER f", "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO public", "CREATE FUNCTION f() RETURNS integer LANGUAGE c AS 'libc.so.6', 'system'", "ALTER SYSTEM SET x = 1", "SELECT pg_reload_conf()", "SELECT pg_rotate_logfile()",
	"CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p", "SELECT pg_create_logical_replication_slot('a', 'b')", "SELECT pg_logical_emit_message(true, 'a', 'b')", "SELECT pg_switch_wal()", "SELECT pg_export_snapshot()", "SELECT pg_backup_start('x')",
	// What is none of the pipeline's.
	"SELECT * FROM pg_authid", "SELECT * FROM pg_catalog.pg_authid", "SELECT * FROM pg_shadow", "SELECT * FROM pg_user_mappings", "SELECT * FROM pg_stat_activity", "SELECT * FROM pg_settings", "SELECT * FROM pg_class", "TABLE pg_hba_file_rules", "SELECT * FROM information_schema.tables",
	"SELECT * FROM millstream.commits", "SELECT * FROM millstream.pipelines", "SELECT * FROM elsewhere.secret", "SELECT elsewhere.f()", "SELECT * FROM elsewhere.f()", "SELECT mine(1)", "SELECT public.mine(1)", "SELECT (1).mine", "SELECT s.id.mine FROM sales AS s", "SELECT * FROM numbers",
	"SELECT * FROM pg_authid, (WITH pg_authid AS (SELECT 1) SELECT 1) AS x", "WITH pg_authid AS (SELECT 1) SELECT * FROM pg_authid", "SELECT (SELECT rolpassword FROM pg_authid LIMIT 1)", "SELECT * FROM sales WHERE EXISTS (SELECT FROM pg_authid)", "SELECT * FROM sales JOIN pg_roles ON true",
	"SELECT query_to_xml('SELECT 1', true, true, '')", "SELECT table_to_xml('pg_authid', true, true, '')", "SELECT schema_to_xml('millstream', true, true, '')", "SELECT database_to_xml(true, true, '')", "SELECT cursor_to_xml('millstream_rows', 1, true, true, '')",
	"SELECT * FROM ts_stat('SELECT 1')", "SELECT ts_rewrite('a'::tsquery, 'SELECT 1')", "SELECT xmlparse(document '<a/>')", "SELECT '<a/>'::xml", "SELECT * FROM xmltable('/a' PASSING '<a/>' COLUMNS b text)",
	"SELECT pg_get_viewdef(1)", "SELECT pg_relation_size(1)", "SELECT pg_get_userbyid(10)", "SELECT has_table_privilege('sales', 'SELECT')", "SELECT 'pg_authid'::regclass", "SELECT 1::oid::regrole", "SELECT to_regclass('x')", "SELECT inet_server_addr()", "SELECT version()",
	"SELECT txid_current()", "SELECT pg_current_xact_id()", "SELECT session_user", "SELECT pg_catalog.\"current_user\"()", "SELECT current_query()", "SELECT 1 OPERATOR(elsewhere.+) 2", "SELECT 1 = ANY (SELECT 1) OPERATOR(public.=) true", "SELECT obj_description(1, 'pg_class')",
	"SELECT 1 -- \n; DROP TABLE sales", "SELECT 1) AS r; DROP TABLE sales --", "SELECT 1) AS r UNION ALL SELECT usename FROM (TABLE pg_user", "", ";", "SELECT $$", "SELECT 1 WHERE CURRENT OF millstream_rows", "SELECT DEFAULT",
}

// TestQueryAttacks tries each, and that nothing has changed by it.
func TestQueryAttacks(t *testing.T) {
	f := start(t, database(t, queryTables...), nil)
	if len(attacks) < 60 {
		t.Fatalf("%d attacks", len(attacks))
	}
	before := contents(t, f.pool)
	for _, sql := range attacks {
		status, body, _ := f.ask(sql)
		if status < 400 || status >= 500 {
			t.Errorf("%s: %d %.300s", sql, status, body)
		}
	}
	if diff := cmp.Diff(before, contents(t, f.pool)); diff != "" {
		t.Error(diff)
	}
}

// TestQueryRights runs attacks past the reading of their text: the role and the
// transaction alone refuse to write, to read what is not the pipeline's, and to
// look into files.
func TestQueryRights(t *testing.T) {
	f := start(t, database(t, queryTables...), nil)
	if status, body, _ := f.ask("SELECT 1"); status != http.StatusOK {
		t.Fatal(status, body)
	}
	before := contents(t, f.pool)
	defer func() {
		if diff := cmp.Diff(before, contents(t, f.pool)); diff != "" {
			t.Error(diff)
		}
	}()
	for _, sql := range []string{
		"INSERT INTO sales VALUES (0)", "DELETE FROM sales", "CREATE TABLE x (y integer)", "SELECT nextval('numbers')", "SELECT * INTO stolen FROM sales", "SELECT * FROM sales FOR UPDATE",
		"SELECT * FROM pg_authid", "SELECT * FROM pg_shadow", "SELECT * FROM millstream.commits", "SELECT * FROM millstream.pipelines", "SELECT * FROM numbers",
		"SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "COPY sales TO '/tmp/x'", "COPY sales TO PROGRAM 'id'", "SELECT lo_import('/etc/passwd')", "SELECT pg_reload_conf()",
		"ALTER SYSTEM SET work_mem = '1GB'", "CREATE EXTENSION dblink", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user", "GRANT ALL ON sales TO PUBLIC", "DROP TABLE sales", "CREATE ROLE r SUPERUSER",
		"SET TRANSACTION READ WRITE", "SELECT pg_switch_wal()", "LOCK TABLE sales IN EXCLUSIVE MODE",
	} {
		n, err := f.open(t.Context(), "UTC")
		if err != nil {
			t.Fatal(err)
		}
		if err := n.become(t.Context(), DefaultQueryRole, "public"); err != nil {
			t.Fatal(err)
		}
		if _, err := n.pg.Exec(t.Context(), sql).ReadAll(); err == nil {
			t.Errorf("%s: the role may", sql)
		}
		n.close()
	}
	// PostgreSQL 15 lets a read-only transaction make a large object; that none
	// is ever committed undoes it.
	n, err := f.open(t.Context(), "UTC")
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	if err := n.become(t.Context(), DefaultQueryRole, "public"); err != nil {
		t.Fatal(err)
	}
	_, _ = n.pg.Exec(t.Context(), "SELECT lo_create(0)").ReadAll()
}

// contents are what attacks would change.
func contents(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	var out string
	err := pool.QueryRow(context.Background(), `SELECT concat_ws(' ',
		(SELECT count(*) || ' ' || sum(price) FROM sales), (SELECT last_value || ' ' || is_called FROM numbers),
		(SELECT string_agg(relname || coalesce(relacl::text, ''), ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i' AND relname <> 'sales' AND relname <> 'dear'),
		(SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_extension), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())))`).Scan(&out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestQueryFunctions asks for what people use daily, and looks whether
// operators or casts of PostgreSQL's own could do what functions may not.
func TestQueryFunctions(t *testing.T) {
	f := start(t, database(t, "CREATE TABLE sales (id integer)"), nil)
	var names []string
	for name := range strings.FieldsSeq(`sum avg count min max array_agg string_agg json_agg jsonb_agg json_object_agg bool_and bool_or every stddev variance corr percentile_cont percentile_disc mode
		row_number rank dense_rank lag lead first_value last_value nth_value ntile lower upper length substring substr replace position strpos left right lpad rpad repeat reverse btrim ltrim rtrim split_part concat concat_ws format
		regexp_replace regexp_match regexp_matches regexp_split_to_array starts_with initcap md5 sha256 encode decode ascii chr quote_literal to_char to_date to_timestamp to_number date_trunc date_part date_bin age now make_date make_timestamp make_interval
		extract justify_days generate_series unnest abs round ceil floor trunc sqrt power exp ln log mod div sign greatest_ random width_bucket array_length array_position cardinality array_to_string string_to_array json_build_object jsonb_build_object to_json to_jsonb
		jsonb_each jsonb_each_text jsonb_array_elements jsonb_object_keys jsonb_path_query jsonb_set jsonb_pretty json_array_elements row_to_json num_nulls gen_random_uuid clock_timestamp statement_timestamp pg_typeof pg_size_pretty
		to_tsvector to_tsquery ts_rank ts_headline host network masklen lower_inc isempty range_merge int4range tstzrange isfinite`) {
		names = append(names, name)
	}
	n, err := f.open(t.Context(), "UTC")
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	for _, name := range names {
		if err := n.calls(t.Context(), &parsedQuery{functions: map[string]int{name: 1}}, "public"); err != nil && name != "greatest_" {
			t.Errorf("%s: %v", name, err)
		}
	}
	var volatile []string
	if err := f.pool.QueryRow(t.Context(), `SELECT coalesce(array_agg(p.oid::regprocedure::text), '{}') FROM pg_proc AS p
		WHERE p.provolatile = 'v' AND (p.oid IN (SELECT oprcode FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace) OR p.oid IN (SELECT castfunc FROM pg_cast))`).Scan(&volatile); err != nil || len(volatile) > 0 {
		t.Errorf("operators and casts: %v %v", volatile, err)
	}
}

// TestQueryCancelled lets the client go while a statement runs.
func TestQueryCancelled(t *testing.T) {
	f := start(t, database(t, queryTables...), nil)
	running := func() (n int) {
		if err := f.pool.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'FETCH%'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/v1/query?sql="+url.QueryEscape("SELECT count(*) FROM sales AS a, sales AS b, sales AS c"), nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		gone <- err
	}()
	until(t, func() bool { return running() == 1 })
	began := time.Now()
	leave()
	if err := <-gone; err == nil {
		t.Error("an answer came")
	}
	until(t, func() bool { return running() == 0 })
	if since := time.Since(began); since > statementTimeout/2 {
		t.Errorf("the statement ran on for %s", since)
	}
	if status, body, _ := f.ask("SELECT 1 AS a"); status != http.StatusOK {
		t.Errorf("afterwards: %d %s", status, body)
	}
}

// until asks the database again and again.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not come about")
		}
	}
}

// TestQueryRole refuses roles that may do more, and says what to do where none
// can be made.
func TestQueryRole(t *testing.T) {
	pool := database(t, queryTables...)
	ask := func(role string) string {
		f := start(t, pool, func(c *Config) { c.QueryRole = role })
		status, body, _ := f.ask("SELECT 1 AS a")
		if status == http.StatusOK {
			return body
		}
		return queryProblemLine(t, body)
	}
	own := fmt.Sprintf("millstream_test_%d", time.Now().UnixNano())
	t.Cleanup(func() { exec(t, pool, "DROP OWNED BY "+own, "DROP ROLE "+own) })
	if got := ask("postgres"); got != "503 MS7302 the role postgres may do more than read the pipeline's tables" {
		t.Error(got)
	}
	if got := ask(NoQueries); got != "404 MS7003 this server takes no statements" {
		t.Error(got)
	}
	if got := ask(own); got != "[{\"a\":1}]\n" {
		t.Error(got)
	}
	exec(t, pool, "GRANT pg_read_server_files TO "+own)
	if got := ask(own); got != "503 MS7302 the role "+own+" may do more than read the pipeline's tables" {
		t.Error(got)
	}
}
