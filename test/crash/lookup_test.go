package crash

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

// lookedUp joins the shop's orders with a table.
const lookedUp = `
CREATE TABLE customers (id integer PRIMARY KEY, name text, rank numeric);
CREATE FOREIGN TABLE orders (
    at       timestamptz NOT NULL,
    customer integer OPTIONS (path '$.customer.id') NOT NULL,
    price    numeric(12,2)
) SERVER kafka OPTIONS (event_time 'at', watermark '5 minutes', partitions '3');

CREATE MATERIALIZED VIEW named AS
SELECT customer, name, price FROM orders LEFT JOIN customers c ON c.id = orders.customer AND c.rank > 1;

CREATE MATERIALIZED VIEW sales AS
SELECT window_start, name, count(*) AS orders, sum(price) AS revenue
FROM tumble(orders, at, INTERVAL '5 minutes') o JOIN customers c ON c.id = o.customer GROUP BY window_start, name;
`

// TestKilledWhileATableChanges kills the program at each point of a commit and
// of its start while the table that its views join changes between the runs:
// each record has met one version, that of its commit, and no other.
func TestKilledWhileATableChanges(t *testing.T) {
	s := &shop{broker: line.Broker(t), file: filepath.Join(t.TempDir(), name+".sql"), sql: lookedUp, epochRows: epochRows}
	if err := os.WriteFile(s.file, []byte(lookedUp), 0o600); err != nil {
		t.Fatal(err)
	}
	line.Fill(t, s.broker, line.Shop(1, perPartition))
	t.Run("points", func(t *testing.T) {
		for _, point := range points(t) {
			if there := elsewhere[point]; there != "" && !strings.HasPrefix(t.Name(), there) {
				continue
			}
			if !strings.HasPrefix(point, "commit.") && !strings.HasPrefix(point, "start.offsets") && !strings.HasPrefix(point, "start.state_read") && point != "ingest.applied" {
				continue
			}
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				s.chainWithTable(t, point)
			})
		}
	})
	t.Logf("%d kills", s.kills.Load())
}

func (s *shop) chainWithTable(t *testing.T, point string) {
	url := pgtest.Database(t)
	change := func(round int) {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), fmt.Sprintf(`CREATE TABLE IF NOT EXISTS customers (id integer PRIMARY KEY, name text, rank numeric);
			DELETE FROM customers WHERE id %% 3 = %[1]d %% 3;
			INSERT INTO customers SELECT g, 'name ' || g || ' of round %[1]d', g %% 4 FROM generate_series(1, 40) g WHERE g %% 3 = (%[1]d + 1) %% 3
			ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name`, round))
		if err != nil {
			t.Fatal(err)
		}
	}
	for pass := 1; pass <= passes; pass++ {
		if r := s.run(t, url, fmt.Sprintf("%s:%d", point, pass)); !r.Killed {
			if pass == 1 {
				t.Fatalf("%s is never passed", point)
			}
			break
		}
		invariants(t, url)
		change(pass)
	}
	s.finish(t, url)
	s.judge(t, url)
}
