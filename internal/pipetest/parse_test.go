package pipetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/millstream-dev/millstream/internal/diag"
)

func TestParse(t *testing.T) {
	got, err := Parse("a.test", `# a comment
pipeline
    CREATE FOREIGN TABLE t (n int)
        SERVER kafka;   -- an SQL comment

    # not SQL
    SELECT 1;
topic t 2
clock 2024-05-01T10:00:00Z
skip restart: because

send t 1 key=k at=2024-01-01 header:h="a b" {"n": 1}
send t 0
    key="x y" {"n": "a | b"}
    # no event
    tombstone
    empty
    bytes 7b 7D
    text "a\x00b"

advance 1m30s
idle
restart
crash
crash at commit.sent
cut
cut before commit
cut after commit
clock 2024-01-02
expect v
    a    | "b c"  | d
    ---- | ------ | ---
    1    | NULL   | x y
    | "" | "NULL" | "p | q" |
expect late none
expect watermark v 2024-01-01 00:00
expect errors v
    sqlstate
    22012
`)
	if err != nil {
		t.Fatal(err)
	}
	want := &Script{
		File: "a.test", SQL: "\n\n    CREATE FOREIGN TABLE t (n int)\n        SERVER kafka;   -- an SQL comment\n\n\n    SELECT 1;\n",
		Topics: map[string]int32{"t": 2}, Clock: time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC), Skip: map[string]string{"restart": "because"},
		Steps: []Step{
			{Send: &Send{Topic: "t", Partition: 1, Records: []Record{{
				Timestamp: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), Key: []byte("k"), Value: []byte(`{"n": 1}`),
				Headers: []Header{{Key: "h", Value: []byte("a b")}},
			}}}},
			{Send: &Send{Topic: "t", Records: []Record{
				{Key: []byte("x y"), Value: []byte(`{"n": "a | b"}`)}, {}, {Value: []byte{}}, {Value: []byte("{}")}, {Value: []byte("a\x00b")},
			}}},
			{Advance: 90 * time.Second},
			{Advance: DefaultIdle},
			{Restart: true},
			{Crash: &Crash{}},
			{Crash: &Crash{Point: "commit.sent"}},
			{Cut: CutNow},
			{Cut: CutBefore},
			{Cut: CutAfter},
			{Clock: time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)},
			{Expect: &Expect{Kind: Rows, Name: "v", Table: &Table{
				Columns: []Cell{{Text: "a"}, {Text: "b c"}, {Text: "d"}},
				Rows: []Row{
					{Cells: []Cell{{Text: "1"}, {Text: "NULL", Null: true}, {Text: "x y"}}},
					{Cells: []Cell{{Text: ""}, {Text: "NULL"}, {Text: "p | q"}}},
				},
			}}},
			{Expect: &Expect{Kind: Late, Table: &Table{}}},
			{Expect: &Expect{Kind: Watermark, Name: "v", Time: "2024-01-01 00:00"}},
			{Expect: &Expect{Kind: Errors, Name: "v", Table: &Table{Columns: []Cell{{Text: "sqlstate"}}, Rows: []Row{{Cells: []Cell{{Text: "22012"}}}}}}},
		},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreTypes(diag.Position{})); d != "" {
		t.Error(d)
	}
	if pos := got.Steps[11].Expect.Table.Rows[0].Cells[2].Pos; pos.Line != 33 || pos.Column != 21 {
		t.Errorf("the cell's place is %v", pos)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no such statement", "sned t 0 {}", `1:1 no statement "sned" (did you mean "send"?)`},
		{"indented without a statement", "   x", "1:1 an indented line that belongs to no statement"},
		{"a declaration too late", "restart\ntopic t 1", "2:1 topic must stand before everything that is run"},
		{"no number of partitions", "topic t x", `1:9 "x" is no number of partitions`},
		{"no time", "clock yesterday", `1:7 "yesterday" is no time`},
		{"no mode", "skip fast: why", `1:6 no mode "fast" (modes are plain, restart, workers-2, workers-3, single)`},
		{"skip without a reason", "skip restart", "1:1 skip takes a mode and a reason"},
		{"two pipelines", "pipeline a.sql\npipeline b.sql", "2:1 a second pipeline"},
		{"an empty pipeline", "pipeline", "1:1 pipeline has neither a file nor SQL"},
		{"send without a partition", "send t {}", `1:8 "{}" is no partition`},
		{"send nothing", "send t 0", "1:1 send has no event"},
		{"events beside and below", "send t 0 {}\n    {}", "2:1 send has an event beside it and more below it"},
		{"bad bytes", "send t 0 bytes 7", `1:1 "7" is not hexadecimal`},
		{"bad text", "send t 0 text abc", "1:1 text takes a quoted string"},
		{"a bad time of a record", "send t 0 at=soon {}", `1:1 "soon" is no time`},
		{"a key without an event", "send t 0\n    key=a", "2:1 no event"},
		{"no such file", "send t 0 file nowhere.ndjson", `1:1 can't read "nowhere.ndjson"`},
		{"no duration", "advance soon", `1:9 "soon" is no duration (write it as in 500ms, 30s, 5m, 1h30m, 48h)`},
		{"advance without a duration", "advance", "1:1 advance takes a duration"},
		{"replay of nothing", "replay late", "1:1 replay takes late or quarantine, a name, and for one record its partition and offset"},
		{"replay of rows", "replay rows v", "1:1 replay takes late or quarantine, a name, and for one record its partition and offset"},
		{"replay without an offset", "replay late v 0", "1:1 replay takes late or quarantine, a name, and for one record its partition and offset"},
		{"replay of an odd offset", "replay late v 0 x", `1:17 "x" is no offset`},
		{"restart with something", "restart now", "1:1 restart takes nothing"},
		{"crash at no point", "crash at commit.snet", `1:10 no point "commit.snet" (did you mean "commit.sent"?)`},
		{"crash at nothing like a point", "crash at noon", `1:10 no point "noon" (points are closing.portion, commit.answered,`},
		{"crash with something", "crash now", "1:1 crash takes nothing, or a point (write crash, or crash at POINT)"},
		{"cut with something", "cut in commit", "1:1 cut takes nothing, or on which side of a commit (write cut, cut before commit, or cut after commit)"},
		{"lines below cut", "cut\n    after commit", "2:1 cut takes no lines below it"},
		{"no time to set", "restart\nclock back", `2:7 "back" is no time`},
		{"lines below restart", "restart\n    now", "2:1 restart takes no lines below it"},
		{"expect nothing said", "expect v", "1:1 v is expected to hold nothing said"},
		{"none and a table", "expect v none\n    a", "2:1 nothing is expected, yet there is a table"},
		{"too much", "expect v w\n    a", `1:10 "w" is too much`},
		{"counts of what", "expect counts none", "1:1 expect counts takes a view"},
		{"a time without a view", "expect floor", "1:1 expect floor takes a view and a time, or none"},
		{"a column twice", "expect v\n    a | a\n    1 | 2", `2:9 column "a" twice`},
		{"values missing", "expect v\n    a | b\n    1", "3:1 1 values for 2 columns"},
		{"a quote not closed", "expect v\n    a\n    \"x", "3:5 a quoted value that is not closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.test", c.text)
			var list diag.List
			if !errors.As(err, &list) {
				t.Fatalf("error is %v", err)
			}
			if got := strings.TrimPrefix(list[0].Error(), "x.test:"); !strings.HasPrefix(got, c.want) {
				t.Errorf("\nis   %s\nwant %s", got, c.want)
			}
			if list[0].Hint == "" || list[0].Code == "" {
				t.Errorf("no hint or code: %+v", list[0])
			}
		})
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	_, err := Parse("x.test", "topic t\nsned\nadvance x\nexpect v\n")
	if list := diag.From(err); len(list) != 4 {
		t.Errorf("%v", err)
	}
}

func TestFilesBesideTheScript(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"e.ndjson": "{\"a\": 1}\n\n{\"a\": 2}\n", "r.csv": "a,b\n1,NULL\n\"x, y\",\n",
		"s.test": "send t 0 key=k file e.ndjson\nexpect v file r.csv\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Load(filepath.Join(dir, "s.test"))
	if err != nil {
		t.Fatal(err)
	}
	records := s.Steps[0].Send.Records
	if len(records) != 2 || string(records[1].Value) != `{"a": 2}` || string(records[1].Key) != "k" {
		t.Errorf("records %+v", records)
	}
	table := s.Steps[1].Expect.Table
	if len(table.Rows) != 2 || !table.Rows[0].Cells[1].Null || table.Rows[1].Cells[0].Text != "x, y" || table.Rows[1].Cells[1].Null {
		t.Errorf("table %+v", table)
	}
}
