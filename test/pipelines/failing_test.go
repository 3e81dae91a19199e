package pipelines

import (
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/pipetest"
)

// What a script expects wrongly is told with its line and a diff, and all of
// it at once.
func TestWrongExpectationsAreTold(t *testing.T) {
	script, err := pipetest.Parse("wrong.test", `pipeline
    CREATE FOREIGN TABLE t (at timestamptz NOT NULL, n integer) SERVER kafka OPTIONS (event_time 'at');
    CREATE MATERIALIZED VIEW v AS SELECT window_start, sum(n) AS n FROM tumble(t, at, INTERVAL '1 day') GROUP BY window_start;
send t 0
    {"at": "2024-01-01", "n": 1}
    {"at": "2024-01-02", "n": 2}
expect v
    window_start | n
    2024-01-01   | 1
    2024-01-02   | 3
expect v
    window_strt
    2024-01-01
expect v
    n
    one
expect w none
expect watermark v 2024-01-01
expect late none
`)
	if err != nil {
		t.Fatal(err)
	}
	err = pipetest.Run(t.Context(), script, "", opener(t), pipetest.Modes[0])
	if err == nil {
		t.Fatal("nothing is told")
	}
	for _, want := range []string{
		"wrong.test:7: v is not as expected: 1 row missing, 1 row not expected, 1 as expected",
		"+ 2024-01-02 00:00:00+00 | 2", "- 2024-01-02 00:00:00+00 | 3", "  2024-01-01 00:00:00+00 | 1",
		`wrong.test:12: v has no column "window_strt" (did you mean "window_start"?)`,
		`wrong.test:16: "one" can't be a value of column n: invalid input syntax for type bigint`,
		`wrong.test:17: can't look at w: relation "w" does not exist`,
		"wrong.test:18: watermark of v is 2024-01-02 00:00:00+00, expected 2024-01-01 00:00:00+00",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "wrong.test:19") || strings.Contains(err.Error(), "disagrees") {
		t.Errorf("too much is told:\n%v", err)
	}
}

// A crash or a cut that never comes shows nothing, and is told.
func TestCrashesThatDoNotComeAreTold(t *testing.T) {
	script, err := pipetest.Parse("never.test", `pipeline
    CREATE FOREIGN TABLE t (at timestamptz NOT NULL, n integer) SERVER kafka OPTIONS (event_time 'at');
    CREATE MATERIALIZED VIEW v AS SELECT window_start, sum(n) AS n FROM tumble(t, at, INTERVAL '1 day') GROUP BY window_start;
crash at closing.portion
send t 0 {"at": "2024-01-01", "n": 1}
crash
send t 0 {"at": "2024-01-01", "n": 2}
cut after commit
expect v
    n
    3
`)
	if err != nil {
		t.Fatal(err)
	}
	err = pipetest.Run(t.Context(), script, "", opener(t), pipetest.Modes[0])
	if err == nil {
		t.Fatal("nothing is told")
	}
	for _, want := range []string{
		"never.test:4: the engine has not passed closing.portion after it",
		"never.test:8: the engine has made no commit after it",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "disagrees") || strings.Contains(err.Error(), "not as expected") || strings.Contains(err.Error(), "never.test:6") {
		t.Errorf("too much is told:\n%v", err)
	}
}
