package spark

import (
	"fmt"
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
	// viewsVariable says how many views are generated.
	viewsVariable = "MILLSTREAM_TEST_SPARK_VIEWS"
	someViews     = 12
	// together is how many views run in one application.
	together = 60
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
	seed := number(t, seedVariable, 1)
	const partitions = 3
	g := generator{rand.New(rand.NewPCG(1, 5))}
	send(t, broker, "events", partitions, g.values(records, partitions))
	send(t, broker, "others", partitions, g.others(records/2, partitions))
	for left := number(t, viewsVariable, someViews); left > 0; left -= together {
		n := min(left, together)
		t.Run(fmt.Sprintf("generated %d", seed), func(t *testing.T) {
			t.Logf("repeated by %s=%d %s=%d", seedVariable, seed, viewsVariable, n)
			file := filepath.Join(t.TempDir(), "generated.sql")
			d := newDeck(t, generator{rand.New(rand.NewPCG(uint64(seed), 7))})
			if err := os.WriteFile(file, []byte(d.views(n)), 0o600); err != nil {
				t.Fatal(err)
			}
			same(t, broker, file)
		})
		seed++
	}
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
