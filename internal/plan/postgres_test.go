package plan_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	pg_query "github.com/pganalyze/pg_query_go/v6"
	parser "github.com/wasilibs/go-pgquery"

	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/golden"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// TestTypesAgainstPostgreSQL makes tables of the topics of all good files, runs
// the views' queries as CREATE TABLE AS, and compares the columns' names and
// types. So it also shows that PostgreSQL accepts what is accepted here.
func TestTypesAgainstPostgreSQL(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	paths, _ := filepath.Glob(filepath.Join("testdata", "good", "*.txt"))
	compared := 0
	for _, path := range paths {
		for _, c := range golden.Read(t, path) {
			p, problems := build(c.Input)
			if p == nil {
				t.Fatalf("%s: %s", c.Name, printed(problems))
			}
			tx, err := conn.Begin(ctx)
			if err != nil {
				t.Fatal(err)
			}
			compared += compareTypes(t, tx, c, p)
			if err := tx.Rollback(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d columns were compared", compared)
	}
}

func compareTypes(t *testing.T, tx pgx.Tx, c golden.Case, p *plan.Pipeline) int {
	t.Helper()
	ctx := context.Background()
	run := func(sql string) bool {
		if _, err := tx.Exec(ctx, sql); err != nil {
			t.Errorf("%s: PostgreSQL refuses %s: %v", c.Name, sql, err)
			return false
		}
		return true
	}
	run("SET LOCAL TimeZone = 'UTC'")
	for _, topic := range p.Topics {
		var columns []string
		for _, col := range topic.Columns {
			columns = append(columns, pgx.Identifier{col.Name}.Sanitize()+" "+col.Type.String())
		}
		for _, m := range plan.MetaColumns {
			columns = append(columns, m.Name+" "+m.Type.String())
		}
		run("CREATE TABLE " + pgx.Identifier{topic.Name}.Sanitize() + " (" + strings.Join(columns, ", ") + ")")
	}
	file, _ := sqlfile.Parse("p.sql", c.Input)
	compared := 0
	for _, s := range file.Statements {
		if create := s.Node.GetCreateStmt(); create != nil && slices.ContainsFunc(p.Lookups, func(l *plan.Lookup) bool { return l.Table == create.GetRelation().GetRelname() }) {
			run(deparse(t, s.Node))
		}
		stmt := s.Node.GetCreateTableAsStmt()
		if stmt == nil || stmt.GetObjtype() != pg_query.ObjectType_OBJECT_MATVIEW {
			continue
		}
		replaceTumble(t, stmt.GetQuery().GetSelectStmt())
		stmt.GetInto().Options = nil
		stmt.GetInto().GetRel().Relname += "_pg"
		sql := deparse(t, s.Node)
		name := stmt.GetInto().GetRel().GetRelname()
		if !run(strings.Replace(sql, "CREATE MATERIALIZED VIEW", "CREATE TABLE", 1)) {
			return compared
		}
		at := slices.IndexFunc(p.Views, func(v *plan.View) bool { return v.Name+"_pg" == name })
		compared += compareColumns(t, tx, c.Name, p.Views[at], name)
	}
	return compared
}

func compareColumns(t *testing.T, tx pgx.Tx, caseName string, v *plan.View, table string) int {
	t.Helper()
	rows, err := tx.Query(context.Background(),
		"SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0", table)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	var name, typ string
	if _, err := pgx.ForEachRow(rows, []any{&name, &typ}, func() error { types[name] = typ; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Columns {
		if types[c.Name] != c.Type.String() {
			t.Errorf("%s: column %q of %s is %s, PostgreSQL makes it %q", caseName, c.Name, v.Name, c.Type, types[c.Name])
		}
	}
	return len(v.Columns)
}

// replaceTumble puts date_bin in place of tumble, which PostgreSQL doesn't
// have.
func replaceTumble(t *testing.T, s *pg_query.SelectStmt) {
	if s == nil {
		return
	}
	replaceTumble(t, s.GetLarg())
	replaceTumble(t, s.GetRarg())
	for _, cte := range s.GetWithClause().GetCtes() {
		replaceTumble(t, cte.GetCommonTableExpr().GetCtequery().GetSelectStmt())
	}
	for i := range s.GetFromClause() {
		replaceTumbleIn(t, &s.FromClause[i])
	}
}

func replaceTumbleIn(t *testing.T, at **pg_query.Node) {
	item := *at
	if sub := item.GetRangeSubselect(); sub != nil {
		replaceTumble(t, sub.GetSubquery().GetSelectStmt())
	}
	if j := item.GetJoinExpr(); j != nil {
		replaceTumbleIn(t, &j.Larg)
		replaceTumbleIn(t, &j.Rarg)
	}
	if fn := item.GetRangeFunction(); fn != nil {
		call := fn.GetFunctions()[0].GetList().GetItems()[0].GetFuncCall()
		var args []string
		for _, a := range call.GetArgs() {
			args = append(args, deparseExpr(t, a))
		}
		text := fmt.Sprintf(`SELECT * FROM (SELECT *, date_bin(%[3]s, %[2]s, TIMESTAMPTZ '1970-01-01Z') AS window_start,
			date_bin(%[3]s, %[2]s, TIMESTAMPTZ '1970-01-01Z') + CAST(%[3]s AS interval) AS window_end FROM %[1]s) AS tumble`, args[0], args[1], args[2])
		tree, err := parser.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		sub := tree.Stmts[0].Stmt.GetSelectStmt().GetFromClause()[0]
		if fn.GetAlias() != nil {
			sub.GetRangeSubselect().Alias = fn.GetAlias()
		}
		*at = sub
	}
}

func deparseExpr(t *testing.T, n *pg_query.Node) string {
	t.Helper()
	target := &pg_query.Node{Node: &pg_query.Node_ResTarget{ResTarget: &pg_query.ResTarget{Val: n}}}
	stmt := &pg_query.Node{Node: &pg_query.Node_SelectStmt{SelectStmt: &pg_query.SelectStmt{TargetList: []*pg_query.Node{target}}}}
	return strings.TrimPrefix(deparse(t, stmt), "SELECT ")
}

func deparse(t *testing.T, n *pg_query.Node) string {
	t.Helper()
	version, err := parser.Parse("")
	if err != nil {
		t.Fatal(err)
	}
	text, err := parser.Deparse(&pg_query.ParseResult{Version: version.Version, Stmts: []*pg_query.RawStmt{{Stmt: n}}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestPassThroughRuns runs what the file leaves to PostgreSQL, in its order,
// with tables in the views' places.
func TestPassThroughRuns(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, c := range golden.Read(t, filepath.Join("testdata", "good", "passthrough.txt"))[:1] {
		p, _ := build(c.Input)
		for round := range 2 {
			for _, s := range p.Statements {
				sql := s.SQL
				switch {
				case s.Kind == plan.StatementView && round == 0:
					var columns []string
					for _, col := range s.View.Columns {
						columns = append(columns, pgx.Identifier{col.Name}.Sanitize()+" "+col.Type.String())
					}
					sql = "CREATE TABLE " + s.Relation + " (" + strings.Join(columns, ", ") + ")"
				case s.Kind == plan.StatementView, s.Kind == plan.Once && round > 0, strings.HasPrefix(s.Object, "extension"):
					continue
				}
				if _, err := conn.Exec(ctx, sql); err != nil {
					t.Errorf("round %d: %s: %s: %v", round, s.Object, sql, err)
				}
			}
		}
	}
}

// TestRewriting shows the statements that are not run as they are written.
func TestRewriting(t *testing.T) {
	const topic = "CREATE FOREIGN TABLE t (k text) SERVER kafka; CREATE MATERIALIZED VIEW v AS SELECT k FROM t; "
	for _, c := range []struct{ statement, sql, object string }{
		{"COMMENT ON MATERIALIZED VIEW v IS 'it''s'", "COMMENT ON TABLE v IS 'it''s'", "comment on table v"},
		{"COMMENT ON COLUMN v.k IS 'x'", "COMMENT ON COLUMN v.k IS 'x'", "comment on column v.k"},
		{"CREATE VIEW w AS SELECT k FROM v", "CREATE OR REPLACE VIEW w AS SELECT k FROM v", "view w"},
		{"CREATE VIEW  s.w AS SELECT 1", "CREATE OR REPLACE VIEW s.w AS SELECT 1", "view s.w"},
		{"CREATE  INDEX i ON v (k)", "CREATE  INDEX i ON v (k)", "index i"},
		{"GRANT SELECT ON v TO bob", "GRANT SELECT ON v TO bob", "grant on table v to bob"},
	} {
		p, problems := build(topic + c.statement)
		if p == nil {
			t.Errorf("%s: %s", c.statement, printed(problems))
			continue
		}
		got := p.Statements[len(p.Statements)-1]
		if got.SQL != c.sql || got.Object != c.object {
			t.Errorf("%s\n got %s (%s)\nwant %s (%s)", c.statement, got.SQL, got.Object, c.sql, c.object)
		}
	}
}

// TestHash: formatting and comments don't change it, everything else does.
func TestHash(t *testing.T) {
	hash := func(text string) string {
		p, problems := build(text)
		if p == nil {
			t.Fatalf("%s: %s", text, printed(problems))
		}
		return p.Hash
	}
	const base = "CREATE FOREIGN TABLE t (k text, at timestamptz) SERVER kafka OPTIONS (event_time 'at');" +
		"CREATE MATERIALIZED VIEW v AS SELECT k FROM t WHERE k > 'a'; CREATE VIEW w AS SELECT * FROM v;"
	want := hash(base)
	for _, same := range []string{
		"-- a comment\n" + base + "/* another */",
		strings.NewReplacer(" SELECT", "\n  select", ";", " ;\n").Replace(base),
	} {
		if hash(same) != want {
			t.Errorf("another hash for\n%s", same)
		}
	}
	seen := map[string]string{want: base}
	for _, change := range [][2]string{
		{"'a'", "'b'"}, {"k text", "k varchar(3)"}, {"'at')", "'at', watermark '1 s')"}, {"VIEW v AS", "VIEW v WITH (key = 'k') AS"},
		{"SELECT *", "SELECT k"}, {"SERVER kafka", "SERVER other"}, {"WHERE k > 'a'", ""},
	} {
		text := strings.Replace(base, change[0], change[1], 1)
		if change[1] == "SERVER other" {
			text = "CREATE SERVER other FOREIGN DATA WRAPPER kafka OPTIONS (brokers 'a:1');" + text
		}
		h := hash(text)
		if other, ok := seen[h]; ok {
			t.Errorf("one hash for\n%s\n%s", text, other)
		}
		seen[h] = text
	}
}

func TestZones(t *testing.T) {
	p, problems := build(`CREATE FOREIGN TABLE t (a int, at timestamptz, l timestamp GENERATED ALWAYS AS (at AT TIME ZONE 'Asia/Tokyo') STORED)
		SERVER kafka OPTIONS (event_time 'at');
		CREATE MATERIALIZED VIEW v AS SELECT date_trunc('day', at, 'Europe/Paris') AS d, min(at AT TIME ZONE 'America/New_York') AS m FROM t
		WHERE date_trunc('hour', at) > '2020-01-01' GROUP BY d;`)
	if p == nil {
		t.Fatal(printed(problems))
	}
	want := []string{"America/New_York", "Asia/Tokyo", "Europe/Paris"}
	if got := plan.Zones(p); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestBranches looks at what an engine gets: indexes into the decoded batch
// and the group batch.
func TestBranches(t *testing.T) {
	p, problems := build(`CREATE FOREIGN TABLE t (a int, at timestamptz, b text) SERVER kafka OPTIONS (event_time 'at');
		CREATE MATERIALIZED VIEW v AS SELECT b, count(*) + sum(a) AS n, window_end FROM tumble(t, at, '1 minute') WHERE a > 1 GROUP BY b, window_end HAVING sum(a) > 5;`)
	if p == nil {
		t.Fatal(printed(problems))
	}
	v := p.Views[0]
	b := v.Branches[0]
	if v.Mode != plan.Grouped || len(v.GroupKeys) != 1 || len(v.Aggs) != 2 || len(b.AggArgs) != 2 || b.AggArgs[0] != nil {
		t.Fatalf("%+v", v)
	}
	if got := b.WindowTime.(*expr.Column).Index; got != 1 {
		t.Errorf("the window's time is column %d", got)
	}
	if got := b.Keys[0].(*expr.Column).Index; got != 2 {
		t.Errorf("the key is column %d of the topic", got)
	}
	if got := v.Outputs[0].(*expr.Column).Index; got != 2 {
		t.Errorf("the key is column %d of the group", got)
	}
	if got := v.Outputs[2].(*expr.Column).Index; got != 1 {
		t.Errorf("window_end is column %d of the group", got)
	}
	if !slices.Equal(v.Key, []int{2, 0}) || v.EventTimeColumn != 2 {
		t.Errorf("key %v, event time %d", v.Key, v.EventTimeColumn)
	}
	var used []int
	expr.Walk(v.Having, func(e expr.Expr) bool {
		if c, ok := e.(*expr.Column); ok {
			used = append(used, c.Index)
		}
		return true
	})
	if !slices.Equal(used, []int{4}) {
		t.Errorf("HAVING uses columns %v", used)
	}
}
