package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/diag"
)

// load reads settings from files of a folder (millstream.yaml, .env and
// secrets), an environment and flags.
func load(t *testing.T, files map[string]string, environ []string, flags map[string]string) (*Loaded, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range environ {
		environ[i] = strings.ReplaceAll(environ[i], "$DIR", dir)
	}
	return Load(Sources{Flags: flags, Environ: environ, Dir: dir})
}

func TestPrecedence(t *testing.T) {
	const workers = "engine.workers"
	yaml := map[string]string{FileName: "engine:\n  workers: 1\n"}
	both := map[string]string{FileName: yaml[FileName], ".env": "MILLSTREAM_WORKERS=2\n"}
	variable := []string{"MILLSTREAM_WORKERS=3"}
	for _, c := range []struct {
		files   map[string]string
		environ []string
		flags   map[string]string
		want    int
		from    Origin
	}{
		{nil, nil, nil, 0, "default"},
		{yaml, nil, nil, 1, "millstream.yaml"},
		{both, nil, nil, 2, ".env MILLSTREAM_WORKERS"},
		{both, variable, nil, 3, "environment MILLSTREAM_WORKERS"},
		{both, variable, map[string]string{"workers": "4"}, 4, "flag --workers"},
		{nil, nil, map[string]string{"workers": "4"}, 4, "flag --workers"},
	} {
		l, err := load(t, c.files, c.environ, c.flags)
		if err != nil {
			t.Fatal(err)
		}
		if l.Engine.Workers != c.want || l.Origins[workers] != c.from {
			t.Errorf("%d from %s, want %d from %s", l.Engine.Workers, l.Origins[workers], c.want, c.from)
		}
	}
}

// TestAliases gives the names that other tools use; the name proper wins over
// an alias that stands beside it, a place of more precedence over both.
func TestAliases(t *testing.T) {
	dotenv := map[string]string{".env": "KAFKA_BROKERS=dotenv:1\nPGHOST=dotenv\nFLASK_PORT=5001\n"}
	for _, c := range []struct {
		files   map[string]string
		environ []string
		key     string
		want    string
	}{
		{nil, []string{"KAFKA_BROKER=a:1, b:2"}, "kafka.brokers", "a:1,b:2"},
		{nil, []string{"KAFKA_BOOTSTRAP_SERVERS=a:1"}, "kafka.brokers", "a:1"},
		{nil, []string{"KAFKA_BROKER=alias:1", "KAFKA_BROKERS=proper:1"}, "kafka.brokers", "proper:1"},
		{dotenv, []string{"KAFKA_BROKER=alias:1"}, "kafka.brokers", "alias:1"},
		{nil, []string{"KAFKA_TOPIC=t"}, "produce.topic", "t"},
		{nil, []string{"KAFKA_GROUP_ID=g"}, "kafka.group_id", "g"},
		{nil, []string{"POSTGRES_HOST=h"}, "database.host", "h"},
		{nil, []string{"POSTGRES_HOST=h", "PGHOST=p"}, "database.host", "p"},
		{dotenv, []string{"POSTGRES_HOST=h"}, "database.host", "h"},
		{nil, []string{"POSTGRES_PORT=5433"}, "database.port", "5433"},
		{nil, []string{"POSTGRES_DB=d"}, "database.name", "d"},
		{nil, []string{"POSTGRES_USER=u"}, "database.user", "u"},
		{nil, []string{"SPARK_MASTER=local[2]"}, "spark.master", "local[2]"},
		{nil, []string{"SPARK_CHECKPOINT_LOCATION=/c"}, "spark.checkpoint_location", "/c"},
		{nil, []string{"FLASK_PORT=6000"}, "serve.listen", "127.0.0.1:6000"},
		{nil, []string{"FLASK_PORT=6000", "MILLSTREAM_LISTEN=10.0.0.1:7000"}, "serve.listen", "10.0.0.1:7000"},
		{dotenv, []string{"FLASK_PORT=6000"}, "serve.listen", "127.0.0.1:6000"},
		{map[string]string{FileName: "serve:\n  listen: 10.0.0.1:7000\n"}, []string{"FLASK_PORT=6000"}, "serve.listen", "10.0.0.1:7000"},
	} {
		l, err := load(t, c.files, c.environ, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Value(setting(t, c.key)); got != c.want {
			t.Errorf("%v %v: %s is %q, want %q", c.files, c.environ, c.key, got, c.want)
		}
	}
}

func setting(t *testing.T, key string) Setting {
	t.Helper()
	for _, s := range Settings {
		if s.Key == key {
			return s
		}
	}
	t.Fatalf("no setting %s", key)
	return Setting{}
}

// TestSecrets reads secrets from files, and shows none in any way of
// printing.
func TestSecrets(t *testing.T) {
	const secret = "s3cr3t"
	for _, s := range Settings {
		if !s.Secret {
			continue
		}
		word := secret
		if s.Key == "database.url" {
			word = "postgres://me:" + secret + "@h/d"
		}
		for _, name := range append([]string{s.Env}, s.Aliases...) {
			ways := []string{name + "=" + word}
			if file := s.FileVariable(name); file != "" {
				ways = append(ways, file+"=$DIR/word")
			}
			for _, way := range ways {
				l, err := load(t, map[string]string{"word": word + "\r\n"}, []string{way}, nil)
				if err != nil {
					t.Fatalf("%s: %v", way, err)
				}
				if got := *s.field(&l.Config).(*Secret); got.Reveal() != word {
					t.Errorf("%s: the secret is %q", way, got.Reveal())
				}
				if !strings.HasSuffix(string(l.Origins[s.Key]), strings.SplitN(way, "=", 2)[0]) {
					t.Errorf("%s: it is said to come from %s", way, l.Origins[s.Key])
				}
				printed := fmt.Sprintf("%v %+v %#v %s %s", l.Config, l.Config, l.Config, l.Value(s), *s.field(&l.Config).(*Secret))
				if strings.Contains(printed, secret) || !strings.Contains(printed, "***") {
					t.Errorf("%s: printed as %s", way, printed)
				}
			}
		}
	}
	if got := Secret("").String(); got != "" {
		t.Errorf("no secret prints as %q", got)
	}
}

// TestProblems holds each message with its place and hint, all of them told at
// once.
func TestProblems(t *testing.T) {
	yaml := `kafka:
  brokrs: a:1
engine:
  workers: -1
  commit_interval: fast
local:
  enabled: maybe
serve.listn: x
unheard: of
`
	_, err := load(t, map[string]string{FileName: yaml, ".env": "MILLSTREAM_QUEIT=1\nOTHER=fine\n"},
		[]string{"MILLSTREAM_MAX_EPOCH_ROWS=0", "FLASK_PORT=70000", "MILLSTREAM_LITSEN=x", "PGPASSWORD_FILE=$DIR/none", "PATH=/bin"},
		map[string]string{"workers": "two"})
	var got []string
	for _, d := range diag.From(err) {
		d.Pos.File = filepath.Base(d.Pos.File)
		if d.Pos.File == "." {
			d.Pos.File = ""
		}
		message, _, _ := strings.Cut(d.Message, ": open ")
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s → %s", d.Pos, message, d.Hint)))
		if d.Code != CodeSetting {
			t.Errorf("code %s of %s", d.Code, d.Message)
		}
	}
	want := []string{
		`millstream.yaml:2:3 unknown setting "kafka.brokrs" → did you mean kafka.brokers?`,
		`millstream.yaml:4:3 engine.workers: "-1" is not a number of 0 or more → engine.workers: goroutines that decode and aggregate; 0: one for each core`,
		`millstream.yaml:5:3 engine.commit_interval: "fast" is not a duration such as 50ms or 5m → engine.commit_interval: least time between commits, such as 50ms`,
		`millstream.yaml:7:3 local.enabled: "maybe" is neither true nor false → local.enabled: run an embedded broker and database instead of connecting to configured ones`,
		`millstream.yaml:8:1 unknown setting "serve.listn" → did you mean serve.listen?`,
		"millstream.yaml:9:1 unknown setting \"unheard\" → `millstream config` lists the settings",
		`unknown variable MILLSTREAM_QUEIT in the .env → did you mean MILLSTREAM_QUIET?`,
		`PGPASSWORD_FILE → the file must hold the secret, and be readable`,
		`MILLSTREAM_MAX_EPOCH_ROWS: "0" is not a number of 1 or more → engine.max_epoch_rows: records after which an epoch ends early`,
		`FLASK_PORT: "70000" is not a port → serve.port: port of the API on loopback, where serve.listen is not set`,
		`unknown variable MILLSTREAM_LITSEN in the environment → did you mean MILLSTREAM_LISTEN?`,
		`--workers: "two" is not a number of 0 or more → engine.workers: goroutines that decode and aggregate; 0: one for each core`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestEachSettingIsReadAndShown sets each setting by each of its names, and
// finds the value in what is shown.
func TestEachSettingIsReadAndShown(t *testing.T) {
	values := map[Kind]string{Text: "x", List: "a:1,b:2", Switch: "true", Number: "7", Fraction: "0.5", Duration: (90 * time.Second).String()}
	keys := map[string]bool{}
	for _, s := range Settings {
		if keys[s.Key] || s.Doc == "" || s.Env == "" {
			t.Errorf("setting %s stands twice, or without meaning or variable", s.Key)
		}
		keys[s.Key] = true
		value := values[s.Kind()]
		switch s.Key {
		case "database.url":
			value = "postgres://h/d"
		case "telemetry.otlp_endpoint":
			value = "http://h:4318"
		}
		shown := value
		if s.Secret {
			shown = "***"
		}
		nested := ""
		parts := strings.Split(s.Key, ".")
		for i, part := range parts {
			nested += strings.Repeat("  ", i) + part + ":"
			if i < len(parts)-1 {
				nested += "\n"
			}
		}
		ways := map[string]func() (*Loaded, error){
			"nested file": func() (*Loaded, error) {
				return load(t, map[string]string{FileName: nested + " \"" + value + "\"\n"}, nil, nil)
			},
			"dotted file": func() (*Loaded, error) {
				return load(t, map[string]string{FileName: s.Key + ": " + value + "\n"}, nil, nil)
			},
		}
		for _, name := range append([]string{s.Env}, s.Aliases...) {
			ways[name] = func() (*Loaded, error) { return load(t, nil, []string{name + "=" + value}, nil) }
			ways[".env "+name] = func() (*Loaded, error) {
				return load(t, map[string]string{".env": name + "=" + value + "\n"}, nil, nil)
			}
		}
		if s.Flag != "" {
			ways["--"+s.Flag] = func() (*Loaded, error) { return load(t, nil, nil, map[string]string{s.Flag: value}) }
		}
		for way, read := range ways {
			l, err := read()
			if err != nil {
				t.Errorf("%s by %s: %v", s.Key, way, err)
				continue
			}
			if got := l.Value(s); got != shown || l.Origins[s.Key] == "default" {
				t.Errorf("%s by %s is %q from %s, want %q", s.Key, way, got, l.Origins[s.Key], shown)
			}
		}
	}
}
