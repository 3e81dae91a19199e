package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/golden"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

func TestMain(m *testing.M) { line.Main(m) }

// leastCases is how many bad pipelines, command lines and settings there are
// at least.
const leastCases = 40

// The golden files hold command lines and what they print:
//
//	=== name
//	$ NAME=value millstream verb arguments
//	< a line of standard input
//	-- file --
//	its text
//	---
//	exit code
//	standard output, then standard error
//
// They run in an empty folder that holds the case's files, in an environment
// without settings. $BROKER is an embedded broker whose topic "few" has the
// records of fewRecords, $DATABASE an empty database, $BUSY an address that is
// taken. Times of the test itself are $NOW. Package golden tells more.
func TestGolden(t *testing.T) {
	s := openSurroundings(t)
	golden.Run(t, "testdata", leastCases, func(t *testing.T, input string) string { return runCase(t, s, input) })
}

// settingNames are variables that would set the program up.
var settingNames = regexp.MustCompile(`^(MILLSTREAM_|KAFKA_|POSTGRES_|PG|SPARK_|FLASK_|DATABASE_URL)`)

// nows are times of the test itself: what the records tell lies before them.
var nows = regexp.MustCompile(`20(2[6-9]|[3-9]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z`)

// word is a part of a command line; single quotes hold spaces together.
var word = regexp.MustCompile(`'[^']*'|[^ ']+`)

// runCase runs a case and gives its exit code and what it printed.
func runCase(t *testing.T, s surroundings, input string) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for _, e := range os.Environ() {
		name, value, _ := strings.Cut(e, "=")
		if settingNames.MatchString(name) && !strings.HasPrefix(name, "MILLSTREAM_TEST_") {
			t.Setenv(name, value) // so that it is put back
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	command, files, _ := strings.Cut("\n"+input, "\n-- ")
	writeFiles(t, dir, files)
	places := map[string]string{"BROKER": s.broker, "BUSY": s.busy, "DIR": dir}
	if strings.Contains(command, "$DATABASE") {
		places["DATABASE"] = pgtest.Database(t)
	}
	var out bytes.Buffer
	for _, line := range strings.Split(command, "\n") {
		words, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		args, stdin := environment(t, words, places), standardInput(command)
		var stdout, stderr bytes.Buffer
		code := execute(args[1:], strings.NewReader(stdin), &stdout, &stderr)
		fmt.Fprintf(&out, "exit %d\n%s%s", code, stdout.String(), stderr.String())
	}
	text := nows.ReplaceAllString(out.String(), "$$NOW")
	for name, place := range places {
		text = strings.ReplaceAll(text, place, "$"+name)
	}
	return text
}

// environment splits a command line, sets the variables before its first word
// and gives its words.
func environment(t *testing.T, line string, places map[string]string) []string {
	t.Helper()
	args := word.FindAllString(line, -1)
	for i, a := range args {
		args[i] = os.Expand(strings.Trim(a, "'"), func(name string) string { return places[name] })
	}
	for len(args) > 0 && args[0] != "millstream" {
		name, value, ok := strings.Cut(args[0], "=")
		if !ok {
			t.Fatalf("%q is neither a variable nor millstream", args[0])
		}
		t.Setenv(name, value)
		args = args[1:]
	}
	return args
}

func standardInput(command string) string {
	var b strings.Builder
	for _, l := range strings.Split(command, "\n") {
		if text, ok := strings.CutPrefix(l, "< "); ok {
			b.WriteString(text + "\n")
		}
	}
	return b.String()
}

func writeFiles(t *testing.T, dir, files string) {
	t.Helper()
	for _, part := range strings.Split("\n"+files, "\n-- ") {
		name, text, ok := strings.Cut(strings.TrimPrefix(part, "\n"), " --\n")
		if !ok {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
