package line_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestVerbsOffline runs verbs that need neither Kafka nor PostgreSQL.
func TestVerbsOffline(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	p.write("broken.sql", strings.ReplaceAll(eventsSQL, "avg(value)", "avg(vlaue)"))

	p.want(0, []string{"millstream "}, "version")
	if v := decode[map[string]string](t, p.want(0, nil, "version", "-o", "json").out); v["version"] == "" || v["go"] == "" {
		t.Errorf("version %v", v)
	}
	for shell, text := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef millstream", "fish": "complete -c millstream", "powershell": "Register-ArgumentCompleter",
	} {
		p.want(0, []string{text}, "completion", shell)
	}
	p.want(0, []string{"processed_data", "raw_data", "avg", "5 minutes"}, "explain", "pipeline.sql")
	if r := p.want(0, nil, "explain", "pipeline.sql", "-o", "json"); !json.Valid([]byte(r.out)) {
		t.Errorf("not JSON: %s", r)
	}
	p.want(0, []string{"1 topic, 1 materialized view"}, "validate", "pipeline.sql")
	if v := decode[struct{ Valid bool }](t, p.want(0, nil, "validate", "pipeline.sql", "-o", "json").out); !v.Valid {
		t.Error("valid is false")
	}
	broken := decode[struct {
		Valid    bool
		Problems []struct {
			Code, File, Message, Hint string
			Line, Column              int
		}
	}](t, p.want(2, nil, "validate", "broken.sql", "-o", "json").out)
	if broken.Valid || len(broken.Problems) != 1 || broken.Problems[0].Line != 8 || broken.Problems[0].File != "broken.sql" ||
		!strings.Contains(broken.Problems[0].Hint, `"value"`) {
		t.Fatalf("%+v", broken)
	}
	p.want(0, []string{broken.Problems[0].Code}, "explain", strings.ToLower(broken.Problems[0].Code))
	p.want(2, []string{"there is no code MS9999"}, "explain", "MS9999")
	p.want(2, []string{"did you mean `millstream verify`?"}, "verfy")
	p.want(2, []string{"did you mean --brokers?"}, "run", "pipeline.sql", "--broker", "x")
	p.want(2, []string{"only text and json"}, "config", "-o", "yaml")
}

// TestPrecedence gives a setting in each place where it can stand, one more
// each time, from the least to the most.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var env, flags []string
	check := func(value, from string) {
		t.Helper()
		r := p.runWith(env, "", append([]string{"config", "-o", "json"}, flags...)...)
		r.want(t, 0)
		for _, s := range decode[[]struct{ Key, Value, From string }](t, r.out) {
			if s.Key == "kafka.brokers" && (s.Value != value || s.From != from) {
				t.Errorf("kafka.brokers is %s from %s, want %s from %s", s.Value, s.From, value, from)
			}
		}
	}
	check("localhost:9092", "default")
	p.write("millstream.yaml", "kafka:\n  brokers: [file:1, file:2]\n")
	check("file:1,file:2", "millstream.yaml")
	p.write(".env", "KAFKA_BROKERS=dotenv:1\n")
	check("dotenv:1", ".env KAFKA_BROKERS")
	env = append(env, "KAFKA_BROKER=alias:1")
	check("alias:1", "environment KAFKA_BROKER")
	env = append(env, "KAFKA_BROKERS=variable:1")
	check("variable:1", "environment KAFKA_BROKERS")
	flags = []string{"--brokers", "flag:1"}
	check("flag:1", "flag --brokers")
}

const (
	passingTest = `pipeline pipeline.sql
send raw_data 0 {"timestamp": "2024-01-01", "type": "a", "value": 1}
expect processed_data
    type | value | events
    a    | 1     | 1
`
	failingTest = `pipeline pipeline.sql
send raw_data 0 {"timestamp": "2024-01-01", "type": "a", "value": 1}
expect processed_data
    type | value | events
    a    | 2     | 1
`
)

// TestTestVerb runs tests that stand beside a pipeline file.
func TestTestVerb(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	p.want(2, []string{"no *.test file", "docs/testing.md"}, "test", "pipeline.sql")
	p.write("good.test", passingTest)
	p.want(0, []string{"✓ good.test (plain", "✓ good.test (restart", "2 passed, 0 failed"}, "test", "pipeline.sql", "--mode", "plain,restart")
	p.write("wrong.test", failingTest)
	p.write("broken.test", "expct x\n")
	p.want(1, []string{"✗ wrong.test (plain)", "wrong.test:3: processed_data is not as expected", "a    | 2 ", "✗ broken.test", "broken.test:1", "1 passed, 2 failed"}, "test", ".")
	results := decode[[]struct {
		Script, Error string
		Passed        bool
	}](t, p.want(1, nil, "test", "wrong.test", "-o", "json").out)
	if len(results) != 1 || results[0].Passed || !strings.Contains(results[0].Error, "wrong.test:3") {
		t.Errorf("%+v", results)
	}
	p.want(2, []string{"plain", "restart"}, "test", "good.test", "--mode", "plian")
}
