package scaffold

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/parser"
	"github.com/google/go-cmp/cmp"

	"github.com/millstream-dev/millstream/internal/golden"
)

// TestDerived derives a project's containers from this repository's; -update
// writes them.
func TestDerived(t *testing.T) {
	for name, derive := range map[string]func(*testing.T, string) string{"compose.yaml": compose, ".env.example": env, "deploy/make-env": makeEnv} {
		source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		want := derive(t, string(source))
		to := filepath.Join("files", "common", filepath.Base(name))
		if *golden.Update {
			if err := os.WriteFile(to, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s does not follow from %s any more: go test ./internal/scaffold -update\n%s", to, name, diff)
		}
	}
}

// foreign are the profiles whose services need images or files of this
// repository.
var foreign = regexp.MustCompile(`(?m)^    profiles: \[(spark|zookeeper|observability)\]`)

var (
	dependsOn   = regexp.MustCompile(`(?m)^ +([a-z0-9-]+): \{ condition: `)
	serviceName = regexp.MustCompile(`(?m)^  [a-z0-9-]+:`)
	profileNote = regexp.MustCompile(`(?m)^  # Profile (spark|zookeeper|observability)[^\n]*\n(  #[^\n]*\n)*`)
)

func compose(t *testing.T, text string) string {
	t.Helper()
	head, rest, ok := strings.Cut(text, "\nservices:\n")
	body, tail, ok2 := strings.Cut(rest, "\nconfigs:\n")
	if !ok || !ok2 {
		t.Fatal("compose.yaml has other sections than services, configs, volumes")
	}
	var kept []string
	for _, part := range sections(profileNote.ReplaceAllString(body, "")) {
		if !foreign.MatchString(part) {
			kept = append(kept, part)
		}
	}
	out := head + "\nservices:\n" + strings.Join(kept, "")
	out = strings.TrimRight(out, "\n") + "\n\nconfigs:\n" + tail
	for _, r := range [][2]string{
		{"name: millstream\n", "name: @COMPOSE@\n"},
		{"    image: millstream:local\n", "    image: ${MILLSTREAM_IMAGE:-millstream:local}\n"},
		{"  image: millstream:local\n  build: { context: ., target: millstream }\n", "  image: ${MILLSTREAM_IMAGE:-millstream:local}\n"},
		{"${PIPELINE_DIR:-./examples/skeleton}:/pipeline:ro", "./pipeline.sql:/pipeline/pipeline.sql:ro"},
		{"${PIPELINE_NAME:-skeleton}", "${PIPELINE_NAME:-@NAME@}"},
		{"${KAFKA_TOPIC:-raw_data}", "${KAFKA_TOPIC:-@TOPIC@}"},
		{"make env && docker compose", "sh make-env && docker compose"},
		{"make env, or sh deploy/make-env", "sh make-env"},
		{" --profile spark --profile pgadmin", " --profile pgadmin"},
		{"; docs/deploy.md has the\n# profiles", ""},
		{"      kafka39: { condition: service_healthy, required: false }\n", ""},
		{"  api-key:\n    content: ${API_KEY}\n", ""},
	} {
		out = strings.ReplaceAll(out, r[0], r[1])
	}
	for _, volume := range []string{"spark-checkpoint", "zookeeper-data", "kafka39-data", "prometheus-data", "grafana-data"} {
		out = strings.ReplaceAll(out, "\n  "+volume+":\n", "\n")
	}
	check(t, out)
	return out
}

// sections cuts the body of services at their names, the comments before a
// name with it.
func sections(body string) []string {
	var at []int
	for _, m := range serviceName.FindAllStringIndex(body, -1) {
		start := m[0]
		for start > 0 {
			before := strings.LastIndexByte(body[:start-1], '\n') + 1
			if !strings.HasPrefix(body[before:], "  #") {
				break
			}
			start = before
		}
		at = append(at, start)
	}
	var out []string
	for i, start := range at {
		end := len(body)
		if i+1 < len(at) {
			end = at[i+1]
		}
		out = append(out, body[start:end])
	}
	return out
}

// check makes sure that what is left stands by itself.
func check(t *testing.T, text string) {
	t.Helper()
	for _, word := range []string{"spark", "zookeeper", "kafka39", "prometheus", "grafana", "build:", "./deploy", "examples/", "make env"} {
		if strings.Contains(text, word) {
			t.Errorf("the project's compose.yaml still speaks of %q", word)
		}
	}
	if _, err := parser.ParseBytes([]byte(strings.ReplaceAll(text, "@", "")), 0); err != nil {
		t.Fatalf("the project's compose.yaml is no YAML: %v\n%s", err, text)
	}
	_, body, _ := strings.Cut(text, "\nservices:\n")
	body, _, _ = strings.Cut(body, "\nconfigs:\n")
	var names []string
	for _, name := range serviceName.FindAllString(body, -1) {
		names = append(names, strings.Trim(name, " :"))
	}
	if want := []string{"kafka", "postgres", "kafka-init", "millstream", "producer", "pgadmin"}; !slices.Equal(names, want) {
		t.Errorf("the services %v are left, want %v: a new one needs a decision here", names, want)
	}
	for _, m := range dependsOn.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("something depends on %s, which is not there", m[1])
		}
	}
}

// env drops the paragraphs of what is not there.
func env(t *testing.T, text string) string {
	t.Helper()
	var kept []string
	for _, paragraph := range strings.Split(text, "\n\n") {
		if !regexp.MustCompile(`^# Profile (spark|zookeeper|observability)`).MatchString(paragraph) {
			kept = append(kept, strings.TrimRight(paragraph, "\n"))
		}
	}
	out := strings.Join(kept, "\n\n") + "\n"
	for _, r := range [][2]string{
		{"with `make env`, or\n# `sh deploy/make-env`, which", "with\n# `sh make-env`, which"},
		{"# The pipeline: the folder that holds its pipeline.sql, and its name. On the\n# API, requests", "# The pipeline's name. On the API, requests"},
		{"PIPELINE_DIR=./examples/skeleton\n", ""},
		{"PIPELINE_NAME=skeleton", "PIPELINE_NAME=@NAME@"},
		{"KAFKA_TOPIC=raw_data", "KAFKA_TOPIC=@TOPIC@"},
		{"=millstream\n", "=@NAME@\n"},
	} {
		out = strings.ReplaceAll(out, r[0], r[1])
	}
	for _, word := range []string{"SPARK", "KAFKA39", "GRAFANA", "PIPELINE_DIR", "make env", "deploy/"} {
		if strings.Contains(out, word) {
			t.Errorf("the project's .env.example still speaks of %s", word)
		}
	}
	return out
}

// makeEnv finds the example beside itself.
func makeEnv(t *testing.T, text string) string {
	t.Helper()
	if !strings.Contains(text, "/../.env.example") {
		t.Error("make-env finds .env.example in another way")
	}
	return strings.ReplaceAll(text, "/../.env.example", "/.env.example")
}
