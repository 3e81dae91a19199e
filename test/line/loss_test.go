package line

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/oracle"
)

// TestAcceptLoss does what the program says once Kafka has deleted records that
// were not read: it copies the option from the message.
func TestAcceptLoss(t *testing.T) {
	broker, url := Broker(t), pgtest.Database(t)
	file := filepath.Join(t.TempDir(), "orders.sql")
	if err := os.WriteFile(file, []byte(`
CREATE FOREIGN TABLE orders (at timestamptz NOT NULL, id bigint) SERVER kafka OPTIONS (event_time 'at');
CREATE MATERIALIZED VIEW counts AS SELECT window_start, count(*) AS n FROM tumble(orders, at, INTERVAL '1 hour') GROUP BY window_start;
`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(more ...string) Result {
		return Run(t, nil, append([]string{"run", file, "--brokers", broker, "--database-url", url, "--until-end", "--listen", "127.0.0.1:0", "--admin-listen", "off"}, more...)...)
	}
	client, err := Client(broker)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	send := func(ids ...int) {
		for _, id := range ids {
			if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: fmt.Appendf(nil, `{"at": "2024-05-01T12:00:00Z", "id": %d}`, id)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	Fill(t, broker, Log{"orders": {nil}})
	send(0, 1, 2)
	if r := run(); r.Code != 0 {
		t.Fatal(r)
	}
	send(3, 4, 5, 6)
	var offsets kadm.Offsets
	offsets.AddOffset("orders", 0, 5, -1)
	if _, err := kadm.NewClient(client).DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	r := run()
	if r.Code != 1 || !strings.Contains(r.Stderr, `topic "orders" partition 0: 2 records, offsets 3 to 4, are lost: retention has passed the position`) {
		t.Fatal(r)
	}
	_, option, _ := strings.Cut(r.Stderr, "→ `")
	option, _, _ = strings.Cut(option, "`")
	if option != "--accept-loss orders/0:3-4" {
		t.Fatalf("it advises %q: %s", option, r)
	}
	if r := run("--accept-loss", "orders/0:3"); r.Code != 2 || !strings.Contains(r.Stderr, "TOPIC/PARTITION:FIRST-LAST") {
		t.Errorf("a range that is none: %s", r)
	}
	if r := run(strings.Fields(option)...); r.Code != 0 || !strings.Contains(r.Stderr, "records are lost, as was accepted") {
		t.Errorf("with the option: %s", r)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT sum(n) FROM counts").Scan(&n); err != nil || n != 5 {
		t.Errorf("three orders of before and two of after are counted as %d (%v)", n, err)
	}
	broken, err := oracle.Invariants(t.Context(), url, "orders")
	if err != nil || len(broken) > 0 {
		t.Errorf("invariants: %v %v", err, broken)
	}
}
