package kafka

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

func TestMain(m *testing.M) { line.Main(m) }

const (
	name         = "shop"
	perPartition = 300
)

// codecs are all that Kafka has; each sends a part of the log.
var codecs = []kgo.CompressionCodec{
	kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
}

// TestKafka runs the same on each kind of broker.
func TestKafka(t *testing.T) {
	for _, kind := range []struct {
		name  string
		start func(*testing.T) *cluster
	}{
		{"embedded", func(t *testing.T) *cluster { return &cluster{addr: line.Broker(t)} }},
		{"KRaft", func(t *testing.T) *cluster { return kraft(t, 1, nil, nil) }},
		{"ZooKeeper", zookeeper},
	} {
		t.Run(kind.name, func(t *testing.T) {
			c := kind.start(t) // takes longer than all the rest
			t.Run("whole line", c.wholeLine)
			t.Run("source conformance", c.conformance)
			if kind.name != "embedded" { // which compacts nothing
				t.Run("compacted topic", c.compacted)
			}
		})
	}
}

// conformance runs the suite that every engine.Source passes.
func (s *cluster) conformance(t *testing.T) {
	cmd := exec.Command("go", "test", "-count=1", "-run", "^TestSource$", "./internal/kafka")
	cmd.Dir = line.Root()
	cmd.Env = append(os.Environ(), "MILLSTREAM_TEST_KAFKA_BROKERS="+s.addr)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// wholeLine sends a log in three parts, with all codecs, keys, headers,
// tombstones and transactions, and runs the program after each; between the
// second and third it is killed.
func (s *cluster) wholeLine(t *testing.T) {
	log := line.Shop(7, perPartition)
	s.makeTopics(t, log)
	file := filepath.Join(t.TempDir(), name+".sql")
	if err := os.WriteFile(file, []byte(line.ShopSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	url := pgtest.Database(t)
	const parts = 3
	for part := range parts {
		s.send(t, slice(log, part, parts))
		if part > 0 {
			s.transaction(t, log, part == 1)
			if r := s.run(t, file, url, failpoint.Variable+"=commit.sent:2"); !r.Killed {
				t.Fatalf("not killed: %s", r)
			}
		}
		if r := s.run(t, file, url); r.Code != 0 {
			t.Fatal(r)
		}
		report := oracle.Check(t, oracle.Options{SQL: line.ShopSQL, Pipeline: name, DatabaseURL: url, Brokers: map[string][]string{"kafka": {s.addr}}})
		if want := int64(5*perPartition/parts) * int64(part+1); report.Records < want {
			t.Errorf("part %d: %d records in Kafka, at least %d were sent", part, report.Records, want)
		}
	}
	s.skipped(t, url)
}

func (s *cluster) run(t *testing.T, file, url string, env ...string) line.Result {
	t.Helper()
	return line.Run(t, env, "run", file, "--until-end", "--brokers", s.addr, "--database-url", url, "--name", name,
		"--commit-interval", "1ms", "--max-epoch-rows", "100", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--quiet")
}

// slice gives one of several parts of a log.
func slice(log line.Log, part, parts int) line.Log {
	out := line.Log{}
	for topic, partitions := range log {
		for _, records := range partitions {
			n := len(records) / parts
			out[topic] = append(out[topic], records[part*n:(part+1)*n])
		}
	}
	return out
}

func (s *cluster) makeTopics(t *testing.T, log line.Log) {
	t.Helper()
	client, err := line.Client(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for topic, partitions := range log {
		if _, err := kadm.NewClient(client).CreateTopic(t.Context(), int32(len(partitions)), 1, nil, topic); err != nil {
			t.Fatalf("make topic %s: %v", topic, err)
		}
	}
}

// send sends a log, a share of each partition by each codec.
func (s *cluster) send(t *testing.T, log line.Log) {
	t.Helper()
	for i, codec := range codecs {
		client, err := kgo.NewClient(kgo.SeedBrokers(s.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec))
		if err != nil {
			t.Fatal(err)
		}
		var records []*kgo.Record
		for topic, partitions := range slice(log, i, len(codecs)) {
			for p, list := range partitions {
				for _, r := range list {
					r.Topic, r.Partition = topic, int32(p)
					records = append(records, r)
				}
			}
		}
		err = client.ProduceSync(t.Context(), records...).FirstErr()
		client.Close()
		if err != nil {
			t.Fatalf("send with codec %d: %v", i, err)
		}
	}
}

// transaction sends some records of the log again in a transaction, which is
// committed or aborted.
func (s *cluster) transaction(t *testing.T, log line.Log, commit bool) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("test"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for p, records := range log["orders"] {
		for _, r := range slices.Backward(records[len(records)-20:]) {
			again := &kgo.Record{Topic: "orders", Partition: int32(p), Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}
			if err := client.ProduceSync(t.Context(), again).FirstErr(); err != nil {
				t.Fatalf("send in a transaction: %v", err)
			}
		}
	}
	if err := client.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)); err != nil {
		t.Fatalf("end the transaction: %v", err)
	}
}

// skipped checks that control records and the aborted transaction were
// skipped and counted: three partitions, with 20 records and two markers each.
func (s *cluster) skipped(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var skipped, read int64
	if err := conn.QueryRow(t.Context(), `SELECT sum(skipped), sum(read) FROM millstream.commit_inputs WHERE view_name = 'sales'`).Scan(&skipped, &read); err != nil {
		t.Fatal(err)
	}
	if skipped != 3*(20+2) || read != 3*(perPartition+20) {
		t.Errorf("skipped %d and read %d; expected %d and %d", skipped, read, 3*(20+2), 3*(perPartition+20))
	}
}
