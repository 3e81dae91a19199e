package doctor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/millstream-dev/millstream/internal/doctor"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/pipeline"
)

// brokers starts an embedded cluster.
func brokers(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func admin(t *testing.T, c *kfake.Cluster, opts ...kgo.Opt) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

func makeTopic(t *testing.T, a *kadm.Client, name string, partitions int32, set map[string]string) {
	t.Helper()
	configs := map[string]*string{}
	for k, v := range set {
		configs[k] = &v
	}
	if _, err := a.CreateTopic(t.Context(), partitions, 1, configs, name); err != nil {
		t.Fatal(err)
	}
}

// cluster examines a cluster with the pipeline over topic events; PostgreSQL
// is away.
func cluster(t *testing.T, c *kfake.Cluster, more ...string) findings {
	t.Helper()
	away := closedPort(t)
	environ := append([]string{"KAFKA_BROKERS=" + strings.Join(c.ListenAddrs(), ","), "DATABASE_URL=postgres://x@" + away + "/d"}, more...)
	return examine(t, doctor.Options{Config: load(t, environ...), Definition: parse(t, events)})
}

func TestTopics(t *testing.T) {
	for _, test := range []struct {
		name       string
		partitions int32
		config     map[string]string
		check      string
		state      doctor.State
		text       string
	}{
		{"long enough", 2, map[string]string{"retention.ms": "3900000"}, "kafka.retention", doctor.Fine, "keeps its records for 1h5m0s"},
		{"too short", 2, map[string]string{"retention.ms": "3899999"}, "kafka.retention", doctor.Warning, "retention.ms=3900000"},
		{"names the window", 2, map[string]string{"retention.ms": "60000"}, "kafka.retention", doctor.Warning, "a window of hourly needs them for 1h5m0s"},
		{"for ever", 2, map[string]string{"retention.ms": "-1"}, "kafka.retention", doctor.Fine, "without a limit"},
		{"compacted", 2, map[string]string{"cleanup.policy": "compact"}, "kafka.retention", doctor.Warning, "is compacted"},
		{"partitions", 3, nil, "kafka.topic", doctor.Warning, "the file asks for 2"},
		{"as asked", 2, nil, "kafka.topic", doctor.Fine, "2 partition(s)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := brokers(t)
			makeTopic(t, admin(t, c), "events", test.partitions, test.config)
			f := cluster(t, c)
			f.want(t, "kafka.reach", doctor.Fine, "without TLS")
			f.want(t, "kafka.brokers", doctor.Fine, "")
			f.want(t, "kafka.version", doctor.Fine, "")
			f.want(t, test.check, test.state, test.text)
		})
	}
	t.Run("missing", func(t *testing.T) {
		c := brokers(t)
		f := cluster(t, c)
		f.want(t, "kafka.topic", doctor.Fine, "it is made at the start, with 2 partition(s)")
		if topics, err := admin(t, c).ListTopics(t.Context()); err != nil || len(topics) != 0 {
			t.Errorf("the examination has made %v (%v)", topics.Names(), err)
		}
	})
	t.Run("ahead", func(t *testing.T) {
		c := brokers(t, kfake.SeedTopics(2, "events"))
		send(t, c, &kgo.Record{Topic: "events", Value: []byte("{}"), Timestamp: time.Now().Add(time.Hour)})
		cluster(t, c).want(t, "kafka.clock", doctor.Warning, "ahead of this machine's clock")
	})
}

func send(t *testing.T, c *kfake.Cluster, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestAdvertised: a broker that sends its clients to an address that does not
// answer, as in a container network.
func TestAdvertised(t *testing.T) {
	c := brokers(t)
	host, port, _ := net.SplitHostPort(closedPort(t))
	number, _ := strconv.Atoi(port)
	c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		broker := kmsg.NewMetadataResponseBroker()
		broker.NodeID, broker.Host, broker.Port = 7, host, int32(number)
		resp.Brokers, resp.ControllerID = []kmsg.MetadataResponseBroker{broker}, 7
		return resp, nil, true
	})
	f := examine(t, doctor.Options{Config: load(t, "KAFKA_BROKERS="+c.ListenAddrs()[0], "DATABASE_URL=postgres://x@"+closedPort(t)+"/d")})
	f.want(t, "kafka.brokers", doctor.Failed, "broker 7 advertises "+net.JoinHostPort(host, port))
	f.want(t, "kafka.brokers", doctor.Failed, "advertised.listeners")
}

func TestSecured(t *testing.T) {
	const user, password = "alice", "Kn0ck-kn0ck"
	t.Run("sasl", func(t *testing.T) {
		c := brokers(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "root", "root"),
			kfake.User("PLAIN", user, password, kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "events", Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationDescribe, Allow: true}))
		const wrong = "wr0ng"
		f := cluster(t, c, "KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME="+user, "KAFKA_SASL_PASSWORD="+wrong)
		f.want(t, "kafka.reach", doctor.Failed, "KAFKA_SASL_PASSWORD")
		if strings.Contains(f.String(), wrong) {
			t.Errorf("the password is told: %s", f)
		}
		right := []string{"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME=" + user, "KAFKA_SASL_PASSWORD=" + password}
		cluster(t, c, right...).want(t, "kafka.topic", doctor.Failed, "can't be made")
		makeTopic(t, admin(t, c, kgo.SASL(plain.Auth{User: "root", Pass: "root"}.AsMechanism())), "events", 2, nil)
		f = cluster(t, c, right...)
		f.want(t, "kafka.reach", doctor.Fine, "as "+user)
		f.want(t, "kafka.rights", doctor.Failed, "Read on topic events")
		f.want(t, "kafka.retention", doctor.Unknown, "DescribeConfigs")
	})
	t.Run("tls", func(t *testing.T) {
		pair, ca := certificate(t)
		c := brokers(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
		cluster(t, c).want(t, "kafka.reach", doctor.Failed, "KAFKA_TLS_ENABLED=true")
		cluster(t, c, "KAFKA_TLS_ENABLED=true").want(t, "kafka.reach", doctor.Failed, "KAFKA_TLS_CA_FILE")
		cluster(t, c, "KAFKA_TLS_CA_FILE="+ca).want(t, "kafka.reach", doctor.Fine, "by TLS")
		cluster(t, brokers(t), "KAFKA_TLS_CA_FILE="+ca).want(t, "kafka.reach", doctor.Failed, "KAFKA_TLS_ENABLED=false")
		cluster(t, c, "KAFKA_TLS_CA_FILE=/nowhere.pem").want(t, "kafka.settings", doctor.Failed, "/nowhere.pem")
	})
}

// certificate makes a certificate for loopback that signs itself, and its file.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

// TestPosition: records that were deleted before the pipeline read them.
func TestPosition(t *testing.T) {
	c := brokers(t, kfake.SeedTopics(2, "events"))
	environ := []string{"KAFKA_BROKERS=" + c.ListenAddrs()[0], "DATABASE_URL=" + pgtest.Database(t), "MILLSTREAM_UNTIL_END=true"}
	o := doctor.Options{Config: load(t, environ...), Definition: parse(t, events)}
	examine(t, o).want(t, "pipeline.position", doctor.Fine, "has not run here yet")
	record := func() *kgo.Record {
		return &kgo.Record{Topic: "events", Value: []byte(`{"at": "2024-01-01", "kind": "a"}`)}
	}
	send(t, c, record(), record())
	p, err := pipeline.Open(t.Context(), pipeline.Options{Definition: o.Definition, Config: &o.Config.Config, NoServe: true})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Run(t.Context())
	p.Close()
	if err != nil {
		t.Fatal(err)
	}
	send(t, c, record(), record())
	examine(t, o).want(t, "pipeline.position", doctor.Fine, "Kafka holds all that comes after it")
	var to kadm.Offsets
	to.AddOffset("events", 0, 3, -1)
	if _, err := admin(t, c).DeleteRecords(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	examine(t, o).want(t, "pipeline.position", doctor.Failed, "offsets 2 to 2 of partition 0 of topic events")
}
