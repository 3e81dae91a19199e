package kafka

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

const readingsSQL = `
CREATE FOREIGN TABLE readings (at timestamptz NOT NULL, n bigint NOT NULL) SERVER kafka OPTIONS (event_time 'at', partitions '6');
CREATE MATERIALIZED VIEW minutes AS SELECT window_start, count(*) AS events, sum(n) AS n FROM tumble(readings, at, INTERVAL '1 minute') GROUP BY window_start;
`

const (
	partitions = 6
	// share is how many records are sent before and after each disturbance.
	share = 600
	// patience bounds each wait for what must come.
	patience = 2 * time.Minute
)

// three are the settings of one of three brokers: everything is held thrice.
const three = `
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
min.insync.replicas=2
replica.lag.time.max.ms=5000
`

// TestThreeBrokers moves the leaders of a running pipeline's partitions and
// kills one of three brokers: nothing is lost, nothing comes twice. The topic
// is made by the pipeline, with the partitions and replicas that were asked
// for.
func TestThreeBrokers(t *testing.T) {
	c := kraft(t, 3, nil, func(int) string { return three })
	file := filepath.Join(t.TempDir(), "readings.sql")
	if err := os.WriteFile(file, []byte(readingsSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	brokers := c.nodes[0].addr + "," + c.nodes[1].addr + "," + c.nodes[2].addr
	url := pgtest.Database(t)
	p := line.Start(t, []string{"KAFKA_REPLICATION_FACTOR=3"}, "run", file, "--brokers", brokers, "--database-url", url, "-o", "json",
		"--commit-interval", "1ms", "--listen", "127.0.0.1:0", "--admin-listen", "off")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := p.Line(ctx); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.nodes[0].addr, c.nodes[1].addr, c.nodes[2].addr),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequestRetries(1000), kgo.RecordRetries(1000))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	replicas := replicasOf(t, admin)
	for partition, ids := range replicas {
		if len(ids) != 3 {
			t.Fatalf("partition %d is on brokers %v, want three", partition, ids)
		}
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	sent := 0
	send := func() {
		t.Helper()
		var records []*kgo.Record
		for range share {
			records = append(records, &kgo.Record{Topic: "readings", Partition: int32(sent % partitions),
				Value: fmt.Appendf(nil, `{"at": "2024-01-01T%02d:%02d:%02dZ", "n": %d}`, sent/3600, sent/60%60, sent%60, sent)})
			sent++
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	read := func() {
		t.Helper()
		eventually(t, conn, `SELECT sum(read) = $1 FROM millstream.commit_inputs`, sent)
	}
	send()
	read()

	moveLeaders(t, admin, replicas)
	send()
	read()

	c.nodes[2].kill()
	send()
	read()

	oracle.Check(t, oracle.Options{SQL: readingsSQL, Pipeline: "readings", DatabaseURL: url, Brokers: map[string][]string{"kafka": {c.nodes[0].addr, c.nodes[1].addr}}})
	p.Signal(syscall.SIGTERM)
	if r := p.Wait(); r.Code != 0 {
		t.Fatal(r)
	}
}

func replicasOf(t *testing.T, admin *kadm.Client) map[int32][]int32 {
	t.Helper()
	topics, err := admin.ListTopics(t.Context(), "readings")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int32][]int32{}
	for _, p := range topics["readings"].Partitions {
		out[p.Partition] = p.Replicas
	}
	if len(out) != partitions {
		t.Fatalf("%d partitions, want %d", len(out), partitions)
	}
	return out
}

// moveLeaders has the next replica lead each partition, and waits until it
// does.
func moveLeaders(t *testing.T, admin *kadm.Client, replicas map[int32][]int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var moves kadm.AlterPartitionAssignmentsReq
	var set kadm.TopicsSet
	for partition, ids := range replicas {
		moves.Assign("readings", partition, append(append([]int32{}, ids[1:]...), ids[0]))
		set.Add("readings", partition)
	}
	if _, err := admin.AlterPartitionAssignments(ctx, moves); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		if _, err := admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, set); err != nil {
			t.Fatal(err)
		}
		topics, err := admin.ListTopics(ctx, "readings")
		if err != nil {
			t.Fatal(err)
		}
		moved := 0
		for _, p := range topics["readings"].Partitions {
			if p.Leader == replicas[p.Partition][1] {
				moved++
			}
		}
		if moved == partitions {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("only %d leaders have moved", moved)
		}
	}
}

// eventually waits until a query gives true.
func eventually(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		var yes *bool
		if err := conn.QueryRow(ctx, sql, args...).Scan(&yes); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if yes != nil && *yes {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("has not come in %s: %s", patience, sql)
		}
	}
}
