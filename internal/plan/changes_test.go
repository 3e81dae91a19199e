package plan

import (
	"testing"

	"github.com/millstream-dev/millstream/internal/sqlfile"
)

func TestAlwaysChanges(t *testing.T) {
	const topic = "CREATE FOREIGN TABLE t (at timestamptz NOT NULL, k text, v int) SERVER kafka OPTIONS (event_time 'at');\nCREATE MATERIALIZED VIEW v "
	for query, want := range map[string]bool{
		"WITH (max_groups = 9) AS SELECT k, count(*) AS n FROM t GROUP BY k":                                        true,
		"WITH (max_groups = 9) AS SELECT k, max(v) AS m, count(*) AS n FROM t GROUP BY k":                           true,
		"AS SELECT window_start, k, count(*) AS n FROM tumble(t, at, INTERVAL '1 minute') GROUP BY window_start, k": true,
		"WITH (max_groups = 9) AS SELECT k, count(*) AS n FROM t GROUP BY k HAVING count(*) > 3":                    true,
		"WITH (max_groups = 9) AS SELECT k, count(*) / 2 AS n FROM t GROUP BY k":                                    false,
		"WITH (max_groups = 9) AS SELECT k, count(*) FILTER (WHERE v > 1) AS n FROM t GROUP BY k":                   false,
		"WITH (max_groups = 9) AS SELECT k, count(v) AS n FROM t GROUP BY k":                                        false,
		"WITH (max_groups = 9) AS SELECT k, sum(v) AS n FROM t GROUP BY k":                                          false,
		"AS SELECT k, v FROM t": false,
	} {
		file, problems := sqlfile.Parse("v.sql", topic+query+";")
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		p, problems := Build(file, Options{})
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		if got := p.Views[0].AlwaysChanges(); got != want {
			t.Errorf("%s: %t", query, got)
		}
	}
}
