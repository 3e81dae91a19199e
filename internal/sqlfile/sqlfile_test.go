package sqlfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStatements(t *testing.T) {
	file, problems := Parse("p.sql", "-- first\nSELECT 'ż', x ; ;\n/* a /* nested */ one */ CREATE VIEW v AS\n  SELECT 1;\n\nSELECT ';'")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := []struct{ text, pos string }{
		{"SELECT 'ż', x", "p.sql:2:1"}, {"CREATE VIEW v AS\n  SELECT 1", "p.sql:3:26"}, {"SELECT ';'", "p.sql:6:1"},
	}
	if len(file.Statements) != len(want) {
		t.Fatalf("%d statements", len(file.Statements))
	}
	for i, s := range file.Statements {
		if s.Text != want[i].text || s.Position(-1).String() != want[i].pos {
			t.Errorf("statement %d: %q at %s, want %q at %s", i, s.Text, s.Position(-1), want[i].text, want[i].pos)
		}
	}
	x := file.Statements[0].Node.GetSelectStmt().GetTargetList()[1].GetResTarget().GetLocation()
	if got := file.Statements[0].Position(x).String(); got != "p.sql:2:13" {
		t.Errorf("x stands at %s: columns count characters", got)
	}
	if got := file.Statements[1].Find("v", 0).String(); got != "p.sql:3:38" {
		t.Errorf("v is found at %s", got)
	}
	if got := file.Statements[1].Find("nowhere", 0).String(); got != "p.sql:3:26" {
		t.Errorf("nowhere is found at %s", got)
	}
}

// TestOffsetsAfterAnError: where one statement doesn't parse, the others keep
// their places.
func TestOffsetsAfterAnError(t *testing.T) {
	file, problems := Parse("p.sql", "SELECT 'ü' FRM x;\nSELECT a,\n  b FROM t;\nSELECT (1;\nSELECT 3")
	if len(problems) != 2 || len(file.Unparsed) != 2 {
		t.Fatalf("%v, unparsed %q", problems, file.Unparsed)
	}
	if got := problems[0].Error(); !strings.HasPrefix(got, "p.sql:1:16 syntax error at or near \"x\"") || !strings.Contains(got, "FROM") {
		t.Error(got)
	}
	if got := problems[1].Pos.String(); got != "p.sql:4:10" {
		t.Error(got)
	}
	if len(file.Statements) != 2 {
		t.Fatalf("%d statements", len(file.Statements))
	}
	b := file.Statements[0].Node.GetSelectStmt().GetTargetList()[1].GetResTarget().GetLocation()
	if got := file.Statements[0].Position(b).String(); got != "p.sql:3:3" {
		t.Errorf("b stands at %s", got)
	}
}

func TestSQLFunctionBodies(t *testing.T) {
	const text = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\nSELECT 3;"
	if file, problems := Parse("p.sql", text); len(problems) > 0 || len(file.Statements) != 2 {
		t.Errorf("%v, %d statements", problems, len(file.Statements))
	}
}

func TestNotText(t *testing.T) {
	for name, text := range map[string]string{
		"nul": "SELECT 1;\nSELECT \x00", "latin": "SELECT '\xe4'", "mark": "\ufeffSELECT 1",
	} {
		file, problems := Parse(name, text)
		if len(problems) != 1 || problems[0].Code != CodeUnreadable || problems[0].Hint == "" || len(file.Statements) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestFolder(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "20_views.sql", "SELECT 2;")
	write(t, folder, "10_topics.sql", "SELECT 1")
	write(t, folder, "notes.txt", "no SQL")
	write(t, folder, ".hidden.sql", "nor this")
	write(t, folder, "30_bad.sql", "SELEC 3")
	file, problems := Load(folder)
	if len(problems) != 1 || filepath.Base(problems[0].Pos.File) != "30_bad.sql" {
		t.Errorf("%v", problems)
	}
	if len(file.Statements) != 2 || file.Statements[0].Text != "SELECT 1" {
		t.Fatalf("%d statements", len(file.Statements))
	}
	if got := file.Text(); !strings.HasPrefix(got, "-- 10_topics.sql\nSELECT 1\n-- 20_views.sql\nSELECT 2;\n") {
		t.Errorf("%q", got)
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	path := write(t, folder, "pipeline.sql", "SELECT 1;")
	if file, problems := Load(path); len(problems) > 0 || file.Text() != "SELECT 1;" {
		t.Errorf("%v", problems)
	}
	empty := filepath.Join(folder, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	large := write(t, folder, "large.sql", strings.Repeat("-- long\n", MaxBytes/8+1))
	for _, c := range []struct{ path, message, hint string }{
		{filepath.Join(folder, "pipelin.sql"), "there is no file or folder", "pipeline.sql"},
		{empty, "there is no .sql file", "name a pipeline file"},
		{large, "at most 8388608", ""},
	} {
		_, problems := Load(c.path)
		if len(problems) != 1 || !strings.Contains(problems[0].Message, c.message) || !strings.Contains(problems[0].Hint, c.hint) {
			t.Errorf("%s: %v", c.path, problems)
		}
	}
}

func TestHints(t *testing.T) {
	for text, hint := range map[string]string{
		"CREATE FOREIGN TABLE t (a int NOT NULL OPTIONS (path '$.x')) SERVER kafka": "right after its type",
		"SELECT 'abc":      "close it",
		"SELECT a, FROM t": "remove the comma",
		"CREATE TABLE t (a int) CREATE TABLE u ()": "semicolon",
		"SELECT f(1":          "bracket",
		"SELECT a FROM order": `"order"`,
	} {
		_, problems := Parse("p.sql", text)
		if len(problems) != 1 || !strings.Contains(problems[0].Hint, hint) {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

// FuzzParse: no text makes it fail other than by a diagnostic with a place.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"SELECT 1;", "SELECT 'x", "/* ", "a;;b", "CREATE FOREIGN TABLE t (a int) SERVER k", "$$;$$", "\x00", "é;("} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, problems := Parse("p.sql", text)
		for _, d := range problems {
			if d.Pos.Line < 1 || d.Pos.Column < 1 || d.Message == "" || d.Code == "" {
				t.Errorf("%+v", d)
			}
		}
		for _, s := range file.Statements {
			if s.Position(-1).Line < 1 || !strings.Contains(text, s.Text) {
				t.Errorf("%q at %s", s.Text, s.Position(-1))
			}
		}
		problems.Sort()
	})
}
