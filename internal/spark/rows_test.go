package spark

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

func compilePlan(t *testing.T, sql string) *plan.Pipeline {
	t.Helper()
	file, problems := sqlfile.Parse("test.sql", sql)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	p, problems := plan.Build(file, plan.Options{Schema: "public"})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

const topicSQL = `CREATE FOREIGN TABLE e (at timestamptz NOT NULL, k text, n integer, x numeric(6, 2), f double precision, d date, j jsonb)
SERVER kafka OPTIONS (topic 'e', event_time 'at', watermark '5 minutes');
`

// frame writes a request as the job does.
func frame(query, input uint16, offset int64, key, value []byte, headers ...[2]string) []byte {
	var b []byte
	b = binary.BigEndian.AppendUint16(b, query)
	b = binary.BigEndian.AppendUint16(b, input)
	b = binary.BigEndian.AppendUint32(b, 3) // partition
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	b = binary.BigEndian.AppendUint64(b, 1_767_607_200_000_000)
	field := func(f []byte) {
		if f == nil {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			return
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	field(key)
	field(value)
	b = binary.BigEndian.AppendUint32(b, uint32(len(headers)))
	for _, h := range headers {
		field([]byte(h[0]))
		field([]byte(h[1]))
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// ask sends requests and gives the answers as JSON texts.
func ask(t *testing.T, sql string, requests ...[]byte) []string {
	t.Helper()
	p := compilePlan(t, topicSQL+sql)
	job, err := Describe(p, Options{Name: "p", Schema: "public"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Rows(job, p, bytes.NewReader(bytes.Join(requests, nil)), &out); err != nil {
		t.Fatal(err)
	}
	var answers []string
	for b := out.Bytes(); len(b) > 0; {
		n := binary.BigEndian.Uint32(b)
		answers = append(answers, string(b[4:4+n]))
		b = b[4+n:]
	}
	return answers
}

func record(fields string) []byte { return []byte(`{"at":"2026-01-05T10:02:00Z"` + fields + `}`) }

// equal compares answers.
func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d answers for %d: %v", len(got), len(want), got)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("answer %d:\n got %s\nwant %s", i, got[i], want[i])
		}
	}
}

func TestGroupedRows(t *testing.T) {
	got := ask(t, `CREATE MATERIALIZED VIEW v AS SELECT window_start, k, count(*) AS c, sum(n) FILTER (WHERE n > 2) AS s, max(d) AS d, sum(x) AS x
FROM tumble(e, at, INTERVAL '5 minutes') WHERE k <> 'no' GROUP BY window_start, k;`,
		frame(0, 0, 1, nil, record(`,"k":"a","n":5,"d":"2026-01-02","x":"1.5"`)),
		frame(0, 0, 2, nil, record(`,"k":"a","n":1`)),
		frame(0, 0, 3, nil, record(`,"k":"no"`)),
		frame(0, 0, 4, nil, []byte(`{`)),
		frame(0, 0, 5, nil, nil),
		frame(0, 0, 6, nil, record(`,"k":"a","x":"NaN"`)))
	const start, key = `"1767607320000000","t","820922400000000","1767607500000000","`, `AMBaTKHqAgABAWE=`
	for i, a := range got {
		got[i] = strings.Replace(a, keyOf(a), key, 1)
	}
	equal(t, got,
		"["+start+key+`","a","t","5","9498","1.50"]`,
		"["+start+key+`","a","t",null,null,null]`,
		`["1767607320000000","f"]`, `[]`, `[]`, `["1767607320000000","f"]`)
}

// keyOf gives the group's canonical key, whose form is not this test's.
func keyOf(answer string) string {
	var cells []*string
	if json.Unmarshal([]byte(answer), &cells) != nil || len(cells) <= groupCell {
		return "\x00"
	}
	return *cells[groupCell]
}

func TestEqualKeysHaveOneText(t *testing.T) {
	got := ask(t, `CREATE MATERIALIZED VIEW v WITH (max_groups = 9) AS SELECT f, j, count(*) AS c FROM e GROUP BY f, j;`,
		frame(0, 0, 1, nil, record(`,"f":0,"j":1.0`)), frame(0, 0, 2, nil, record(`,"f":"-0","j":1.00`)), frame(0, 0, 3, nil, record(`,"f":1,"j":1`)))
	if keyOf(got[0]) != keyOf(got[1]) || keyOf(got[0]) == keyOf(got[2]) {
		t.Errorf("keys of %v", got)
	}
}

func TestRowsOfSingleEvents(t *testing.T) {
	got := ask(t, `CREATE MATERIALIZED VIEW v AS SELECT 10 / n AS q, j, _key AS key, _offset AS place FROM e;`,
		frame(0, 0, 7, []byte("key"), record(`,"n":3,"j":{"b":1,"a":[ ]}`)), frame(0, 0, 8, nil, record(`,"n":0`)))
	equal(t, got, `["1767607320000000","t","3","{\"a\": [], \"b\": 1}","key","7"]`, `["1767607320000000","f"]`)
}

func TestRefusals(t *testing.T) {
	got := ask(t, `CREATE MATERIALIZED VIEW v AS SELECT 10 / n AS q FROM e; CREATE MATERIALIZED VIEW w AS SELECT k::integer AS q FROM e WHERE n > 0;`,
		frame(2, 0, 1, nil, record(`,"n":0,"k":"x"`)), frame(2, 0, 2, nil, []byte(`[]`), [2]string{"h", "\xff"}), frame(2, 0, 3, nil, record(`,"n":1,"k":"x"`)), frame(2, 0, 4, nil, record("")))
	for i, want := range []string{"v 22012", "- 22023", "w 22P02", ""} {
		var texts, found []string
		if err := json.Unmarshal([]byte(got[i]), &texts); err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			var r struct {
				View *string `json:"view_name"`
				Code string  `json:"sqlstate"`
			}
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			view := "-"
			if r.View != nil {
				view = *r.View
			}
			found = append(found, view+" "+r.Code)
		}
		if s := strings.Join(found, ", "); s != want {
			t.Errorf("record %d: refused %q, want %q", i, s, want)
		}
	}
	if !strings.Contains(got[1], `{\"base64\":\"/w==\"}`) {
		t.Errorf("headers of %s", got[1])
	}
}

func TestBadRequests(t *testing.T) {
	p := compilePlan(t, topicSQL+"CREATE MATERIALIZED VIEW v AS SELECT n FROM e;")
	job, err := Describe(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := frame(0, 0, 1, []byte("k"), []byte(`{}`), [2]string{"a", "b"})
	for n := 1; n < len(good); n++ {
		var out bytes.Buffer
		cut := append([]byte(nil), good[:n]...)
		if err := Rows(job, p, bytes.NewReader(cut), &out); err == nil {
			t.Errorf("%d of %d bytes: no error", n, len(good))
		}
		if n < 4 {
			continue
		}
		binary.BigEndian.PutUint32(cut, uint32(n-4))
		if err := Rows(job, p, bytes.NewReader(cut), &out); err == nil {
			t.Errorf("a request of %d of %d bytes: no error", n, len(good))
		}
	}
	for _, other := range [][]byte{frame(9, 0, 1, nil, nil), frame(0, 9, 1, nil, nil)} {
		if err := Rows(job, p, bytes.NewReader(other), &bytes.Buffer{}); err == nil {
			t.Error("a query that is not there: no error")
		}
	}
}

func TestPortability(t *testing.T) {
	p := compilePlan(t, topicSQL+`
CREATE MATERIALIZED VIEW plain AS SELECT n FROM e;
CREATE MATERIALIZED VIEW floats AS SELECT window_start, sum(f) AS s FROM tumble(e, at, INTERVAL '1 hour') GROUP BY 1;
CREATE MATERIALIZED VIEW wide AS SELECT window_start, sum(x * x) AS s FROM tumble(e, at, INTERVAL '1 hour') GROUP BY 1;
CREATE MATERIALIZED VIEW moving AS SELECT window_start, count(*) AS n FROM hop(e, at, '1 minute', '1 hour') GROUP BY 1;
CREATE MATERIALIZED VIEW spread AS SELECT window_start, stddev(f) AS s, first_value(n) AS first FROM tumble(e, at, '1 hour') GROUP BY 1;
CREATE MATERIALIZED VIEW several AS SELECT DISTINCT window_start, n FROM tumble(e, at, '1 hour');
CREATE VIEW through AS SELECT count(*) FROM plain;`)
	var got []string
	for _, l := range Portability(p) {
		got = append(got, fmt.Sprintf("%d %s: %s", l.Line, l.Statement, l.Verdict))
	}
	want := []string{"1 CREATE FOREIGN TABLE e: same but", "4 CREATE MATERIALIZED VIEW plain: same", "5 CREATE MATERIALIZED VIEW floats: same but",
		"6 CREATE MATERIALIZED VIEW wide: not portable", "7 CREATE MATERIALIZED VIEW moving: not portable",
		"8 CREATE MATERIALIZED VIEW spread: not portable", "9 CREATE MATERIALIZED VIEW several: same but", "10 view through: same"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if _, err := Describe(p, Options{}); err == nil || !strings.Contains(err.Error(), "sum of a numeric without precision") {
		t.Errorf("Describe: %v", err)
	}
}

// TestNothingSecretOnTheCommandLine: addresses and passwords go through the
// environment.
func TestNothingSecretOnTheCommandLine(t *testing.T) {
	o := SubmitOptions{DatabaseURL: "postgres://u:secret@h/d", Jars: ""}
	args, err := (&Spark{Version: "4.2.0", Scala: "2.13"}).Arguments(Files{Main: "main.py"}, o)
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.Join(args, " "); strings.Contains(line, "secret") || !strings.Contains(line, "spark-sql-kafka-0-10_2.13:4.2.0") {
		t.Error(line)
	}
}

// TestProgramKeepsItsName: Spark ships a file by the name of what a symbolic
// link leads to, and the job looks for one called millstream.
func TestProgramKeepsItsName(t *testing.T) {
	files, err := Unpack(t.TempDir(), &Job{Version: jobVersion})
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(files.Program)
	if err != nil || filepath.Base(real) != "millstream" {
		t.Errorf("the program is %s (%v)", real, err)
	}
	if _, err := ReadJob(files.Job); err != nil {
		t.Error(err)
	}
}
