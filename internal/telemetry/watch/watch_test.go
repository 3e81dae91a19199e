package watch

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/telemetry"
)

var update = flag.Bool("update", false, "write the files")

const root = "../../.."

// TestGenerated holds the files under deploy/ to the tables of this package.
func TestGenerated(t *testing.T) {
	for path, want := range map[string][]byte{
		"deploy/prometheus/alerts.yml":   Rules(),
		"deploy/grafana/millstream.json": Board(),
	} {
		path = filepath.Join(root, filepath.FromSlash(path))
		got, err := os.ReadFile(path)
		if err == nil && bytes.Equal(got, want) {
			continue
		}
		if !*update {
			t.Errorf("%s is not what internal/telemetry/watch says: go test ./internal/telemetry/watch -update", path)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The alerts' explanations stand between these lines of docs/operations.md.
const (
	manualBegin = "<!-- alerts: " + generated + " -->\n"
	manualEnd   = "<!-- end of alerts -->"
)

func TestManual(t *testing.T) {
	path := filepath.Join(root, "docs", "operations.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), manualBegin)
	found, after, ended := strings.Cut(rest, manualEnd)
	if !ok || !ended {
		t.Fatalf("%s: the lines %q and %q must stand around the alerts", path, manualBegin, manualEnd)
	}
	want := "\n" + Manual() + "\n"
	if found == want {
		return
	}
	if !*update {
		t.Fatalf("%s: the alerts are not those of internal/telemetry/watch: go test ./internal/telemetry/watch -update", path)
	}
	if err := os.WriteFile(path, []byte(before+manualBegin+want+manualEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestExpressionsName holds that alerts and panels name metrics and labels
// that exist.
func TestExpressionsName(t *testing.T) {
	families := telemetry.Families()
	for _, a := range Alerts {
		if err := Check(a.Expr, families); err != nil {
			t.Errorf("%s: %v: %s", a.Name, err, a.Expr)
		}
	}
	for _, r := range Rows {
		for _, p := range r.Panels {
			for _, q := range p.Queries {
				if err := Check(q.Expr, families); err != nil {
					t.Errorf("%s: %v: %s", p.Title, err, q.Expr)
				}
			}
		}
	}
}

// TestEveryMetricIsShown holds that the board leaves out none of Millstream's
// metrics.
func TestEveryMetricIsShown(t *testing.T) {
	board := string(Board())
	for _, f := range telemetry.Families() {
		if strings.HasPrefix(f.Name, "millstream_") && !strings.Contains(board, f.Name) {
			t.Errorf("no panel shows %s", f.Name)
		}
	}
}

func TestCheck(t *testing.T) {
	families := telemetry.Families()
	for expr, want := range map[string]string{
		`rate(millstream_commits_total[5m])`:                                              "",
		`rate(millstream_commit_total[5m])`:                                               "no metric millstream_commit_total",
		`millstream_commit_duration_seconds`:                                              "no metric millstream_commit_duration_seconds",
		`sum by (le, pipeline) (rate(millstream_commit_duration_seconds_bucket[5m]))`:     "",
		`sum by (le) (rate(millstream_commits_total[5m]))`:                                "label le",
		`millstream_ledger_rows{ledger="millstream_none"}`:                                "",
		`millstream_ledger_rows{ledge="x"}`:                                               "label ledge",
		`sum without (topic) (millstream_lag_records) / on (tpic) millstream_lag_seconds`: "label tpic",
		`process_resident_memory_bytes + go_goroutine`:                                    "no metric go_goroutine",
		`up{job="x"} == 0`: "",
	} {
		err := Check(expr, families)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", expr, err, want)
		}
	}
}
