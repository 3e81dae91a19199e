package prometheus_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/telemetry/watch"
	"github.com/millstream-dev/millstream/test/line"
)

// tools names the folder of Prometheus' programs: test/prometheus/run sets it.
const tools = "MILLSTREAM_TEST_PROMETHEUS"

func TestMain(m *testing.M) { line.Main(m) }

// program gives a program of Prometheus.
func program(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv(tools)
	if dir == "" {
		t.Skip(tools + " does not name the folder of Prometheus' programs: test/prometheus/run does")
	}
	return filepath.Join(dir, name)
}

// promtool runs it, in a folder with the files.
func promtool(t *testing.T, files map[string]string, args ...string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program(t, "promtool"), args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// rules is the rule file as it stands in the tree.
func rules(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(line.Root(), "deploy", "prometheus", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// healthy is a pipeline that is well, minute by minute, in promtool's notation
// (`a+bxn` grows by b, n times): it was started again once, has made one
// attempt to commit again, and missed one look at a table.
var healthy = [][2]string{
	{`up{job="millstream",instance="a"}`, "1x60"},
	{`millstream_engine_up{pipeline="shop"}`, "1x60"},
	// One that stands by has no engine, and has made no commit.
	{`millstream_engine_up{pipeline="shop",instance="b"}`, "0x60"},
	{`millstream_last_commit_timestamp_seconds{pipeline="shop",instance="b"}`, "0x60"},
	{`millstream_standby{pipeline="shop",instance="b"}`, "1x60"},
	{`millstream_part_up{pipeline="shop",part="kafka"}`, "1x60"},
	{`millstream_part_up{pipeline="shop",part="postgresql"}`, "1x60"},
	{`millstream_lag_records{pipeline="shop",topic="t",partition="0"}`, "5x60"},
	{`millstream_lag_seconds{pipeline="shop",topic="t",partition="0"}`, "0.2x60"},
	{`millstream_last_commit_timestamp_seconds{pipeline="shop"}`, "0+60x60"},
	{`millstream_watermark_timestamp_seconds{pipeline="shop",view="v"}`, "0+60x60"},
	{`millstream_records_read_total{pipeline="shop",topic="t",view="v"}`, "0+6000x60"},
	{`millstream_records_accepted_total{pipeline="shop",topic="t",view="v"}`, "0+5980x60"},
	{`millstream_records_quarantined_total{pipeline="shop",topic="t",view="v"}`, "0+10x60"},
	{`millstream_records_late_total{pipeline="shop",topic="t",view="v"}`, "0+10x60"},
	{`millstream_ledger_rows{pipeline="shop",ledger="quarantine"}`, "0+10x60"},
	{`millstream_ledger_rows{pipeline="shop",ledger="late_rows"}`, "0+10x60"},
	{`millstream_ledger_rows{pipeline="shop",ledger="group_errors"}`, "0x60"},
	{`millstream_commit_retries_total{pipeline="shop",cause="40001"}`, "0x30 1x30"},
	{`millstream_commit_duration_seconds_bucket{pipeline="shop",le="1"}`, "0+100x60"},
	{`millstream_commit_duration_seconds_bucket{pipeline="shop",le="5"}`, "0+101x60"},
	{`millstream_commit_duration_seconds_bucket{pipeline="shop",le="+Inf"}`, "0+101x60"},
	{`millstream_lookup_refreshed_timestamp_seconds{pipeline="shop",table="public.users"}`, "0+60x60"},
	{`millstream_lookup_failures_total{pipeline="shop",table="public.users"}`, "0x30 1x30"},
	{`millstream_state_bytes{pipeline="shop",view="v"}`, "1e9x60"},
	{`process_start_time_seconds{job="millstream",instance="a"}`, "0x30 1800x30"},
	{`millstream_http_requests_total{pipeline="shop",method="GET",route="/v1/tables",code="200"}`, "0+100x60"},
	{`millstream_http_requests_total{pipeline="shop",method="GET",route="/v1/tables",code="500"}`, "0+1x60"},
}

// situation is a pipeline that is well but for some series, and the alert that
// fires then: that one and no other.
type situation struct {
	name  string
	alert string // empty: none
	at    string
	but   map[string]string // by a part of the series' text: its values
}

var situations = []situation{
	{"all is well", "", "60m", nil},
	{"the process has ended", "MillstreamDown", "32m", map[string]string{`up{job`: "1x28 0x32"}},
	{"the process was away and is back", "", "50m", map[string]string{`up{job`: "1x28 0x12 1x20"}},
	{"the engine does not run", "MillstreamEngineStopped", "32m", map[string]string{"engine_up": "1x28 0x32"}},
	{"PostgreSQL is away", "MillstreamPostgresDown", "32m", map[string]string{`part="postgresql"`: "1x28 0x32"}},
	{"Kafka is away", "MillstreamKafkaDown", "32m", map[string]string{`part="kafka"`: "1x28 0x32"}},
	{"lag, and no commit", "MillstreamNotCommitting", "33m", map[string]string{"last_commit": "0+60x29 1740x31"}},
	{"no commit, and nothing to commit", "", "60m", map[string]string{"last_commit": "0+60x29 1740x31", "lag_records": "0x60"}},
	{"ten minutes behind", "MillstreamLagging", "40m", map[string]string{"lag_seconds": "0.2x28 600x32"}},
	{"behind for two minutes", "", "33m", map[string]string{"lag_seconds": "0.2x30 600x2 0.2x28"}},
	{"a watermark that stands still", "MillstreamWatermarkStuck", "50m", map[string]string{`millstream_watermark`: "0+60x20 1200x40"}},
	{"a watermark that stands still since nothing comes", "", "60m", map[string]string{`millstream_watermark`: "0+60x20 1200x40", "accepted_total": "0+100x20 2000x40"}},
	{"one record in fifty in quarantine", "MillstreamQuarantine", "50m", map[string]string{"quarantined_total": "0x28 0+120x32"}},
	{"one record in ten late", "MillstreamLate", "50m", map[string]string{"late_total": "0x20 0+600x40"}},
	{"a group without a row", "MillstreamGroupErrors", "40m", map[string]string{`ledger="group_errors"`: "0x30 1x30"}},
	{"commits made again and again", "MillstreamCommitRetries", "50m", map[string]string{"commit_retries": "0x28 0+3x32"}},
	{"slow commits", "MillstreamCommitSlow", "60m", map[string]string{`duration_seconds_bucket{pipeline="shop",le="1"}`: "0+10x60"}},
	{"a large ledger", "MillstreamLedgerLarge", "40m", map[string]string{`ledger="late_rows"`: "2e6x60"}},
	{"a table that is not looked at", "MillstreamLookupStale", "50m", map[string]string{"lookup_refreshed": "0+60x29 1740x31"}},
	{"looks at a table that fail", "MillstreamLookupStale", "50m", map[string]string{"lookup_failures": "0x28 0+1x32"}},
	{"a state that has doubled", "MillstreamStateGrowing", "1560m", map[string]string{"": "", "state_bytes": "5e8x1500 2e9x300"}},
	{"a small state that has grown", "", "1560m", map[string]string{"": "", "state_bytes": "5e6x1500 2e8x300"}},
	{"a start each two minutes", "MillstreamRestarting", "40m", map[string]string{"start_time": "0x28 1680 1680 1800 1800 1920 1920 2040 2040 2160 2160 2280 2280 2400x20"}},
	{"one answer in ten an error", "MillstreamAPIErrors", "50m", map[string]string{`code="500"`: "0+20x60"}},
}

// yaml is the situation as promtool reads it. A part "" leaves out all series
// that are not named.
func (s situation) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - name: %q\n    interval: 1m\n    input_series:\n", s.name)
	_, alone := s.but[""]
	for _, series := range healthy {
		values := series[1]
		named := false
		for part, other := range s.but {
			if part != "" && strings.Contains(series[0], part) {
				values, named = other, true
			}
		}
		if named || !alone {
			fmt.Fprintf(&b, "      - {series: '%s', values: '%s'}\n", series[0], values)
		}
	}
	fmt.Fprintf(&b, "    promql_expr_test:\n      - expr: 'count by (alertname) (ALERTS{alertstate=\"firing\"})'\n        eval_time: %s\n", s.at)
	if s.alert == "" {
		b.WriteString("        exp_samples: []\n")
	} else {
		fmt.Fprintf(&b, "        exp_samples:\n          - {labels: '{alertname=\"%s\"}', value: 1}\n", s.alert)
	}
	return b.String()
}

// TestRulesFire has Prometheus' own evaluation find, in each situation, the
// alert that is for it, and no other.
func TestRulesFire(t *testing.T) {
	text := "rule_files: [alerts.yml]\nevaluation_interval: 1m\ntests:\n"
	fired := map[string]bool{}
	for _, s := range situations {
		for part := range s.but {
			if !strings.Contains(fmt.Sprint(healthy), part) {
				t.Errorf("%s: no series has %q", s.name, part)
			}
		}
		text += s.yaml()
		fired[s.alert] = true
	}
	for _, a := range watch.Alerts {
		if !fired[a.Name] {
			t.Errorf("no situation is for %s", a.Name)
		}
	}
	promtool(t, map[string]string{"alerts.yml": rules(t), "situations.yml": text}, "test", "rules", "situations.yml")
}

// TestExpressionsParse has Prometheus read the rules, and the board's
// expressions as rules that record.
func TestExpressionsParse(t *testing.T) {
	fill := strings.NewReplacer("$__rate_interval", "1m", "$pipeline", ".*")
	text, n := "groups:\n  - name: board\n    rules:\n", 0
	for _, r := range watch.Rows {
		for _, p := range r.Panels {
			for _, q := range p.Queries {
				n++
				text += fmt.Sprintf("      - {record: 'board:%d', expr: %q}\n", n, fill.Replace(q.Expr))
			}
		}
	}
	files := map[string]string{"alerts.yml": rules(t), "board.yml": text}
	promtool(t, files, "check", "rules", "alerts.yml")
	promtool(t, files, "check", "rules", "board.yml")
	if regexp.MustCompile(`\$\w`).MatchString(strings.ReplaceAll(text, "$1", "")) {
		t.Error("a variable of the board is not filled in")
	}
}
