package spark

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

const (
	// viewsVariable says how many views are generated; they run in one
	// application.
	viewsVariable = "MILLSTREAM_TEST_SPARK_VIEWS"
	someViews     = 12
	// seedVariable repeats a run.
	seedVariable = "MILLSTREAM_TEST_SPARK_SEED"
	records      = 1500
)

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// TestParity runs both engines over the same log and compares every table.
func TestParity(t *testing.T) {
	environment(t)
	broker := startBroker(t)
	t.Run("generated", func(t *testing.T) {
		seed := number(t, seedVariable, 1)
		n := number(t, viewsVariable, someViews)
		g := generator{rand.New(rand.NewPCG(uint64(seed), 5))}
		t.Logf("%s=%d %s=%d", seedVariable, seed, viewsVariable, n)
		const partitions = 3
		send(t, broker, "events", partitions, g.values(records, partitions))
		file := filepath.Join(t.TempDir(), "generated.sql")
		if err := os.WriteFile(file, []byte(g.views(n)), 0o600); err != nil {
			t.Fatal(err)
		}
		same(t, broker, file)
	})
	for name, topic := range map[string]string{"pizza": "pizza_orders", "skeleton": "raw_data"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(line.Root(), "examples", name)
			sample := map[string]string{"pizza": "orders.ndjson", "skeleton": "events.ndjson"}[name]
			content, err := os.ReadFile(filepath.Join(dir, sample))
			if err != nil {
				t.Fatal(err)
			}
			send(t, broker, topic, 1, strings.Split(strings.TrimSpace(string(content)), "\n"))
			same(t, broker, filepath.Join(dir, "pipeline.sql"))
		})
	}
}

// same runs `millstream diff` and fails if a row differs.
func same(t *testing.T, broker, file string) {
	t.Helper()
	args := append([]string{"diff", file, "--log-level", "debug"}, settings()...)
	r := run(t, variables(t, broker, pgtest.Database(t)), args...)
	t.Logf("%s", r.Stdout)
	if r.Code != 0 {
		t.Errorf("diff ends with %d\n%s", r.Code, last(r.Stderr))
	}
}

// last gives the end of what Spark has printed.
func last(s string) string {
	const enough = 8000
	if len(s) > enough {
		return "…" + s[len(s)-enough:]
	}
	return s
}
