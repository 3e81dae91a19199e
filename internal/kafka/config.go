// Package kafka reads and writes Kafka by franz-go: the engine's Source, a
// producer, and what the verbs ask of a cluster.
//
// What holds for a Source:
//
//  1. Partitions are assigned directly, at offsets that the caller gives. No
//     consumer group decides where reading begins.
//  2. A position never jumps by itself. Offsets that are gone, a topic that is
//     gone or was made again, end Poll with *engine.LostError.
//  3. What lies between the end of one chunk and the next was control records,
//     aborted transactions or holes left by compaction, and nothing else.
//  4. Memory is bounded: by the bytes of a fetch per broker, and by what one
//     batch may grow to when it is decompressed.
//
// What heals by itself (a broker away, a leader moving) is tried again with
// back-off, and shows in Health meanwhile.
package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	// fetchBytes bounds one broker's fetch: enough that a fetch takes far
	// longer than its round trip. Of one broker three are held at most: one
	// that is walked, one that waits, one that is read.
	fetchBytes = 8 << 20
	// partitionBytes bounds one partition's share of a fetch, so that several
	// partitions move together. A larger batch still comes, alone.
	partitionBytes = 2 << 20
	// responseBytes bounds any response: a fetch with one batch over its limit.
	responseBytes = 128 << 20
	// batchBytes bounds a batch after decompression. The library's default of
	// 1 GiB would let a few kilobytes take all memory.
	batchBytes = 64 << 20
	// fetchWait is how long a broker holds a fetch that it has nothing for;
	// also how long a partition that is resumed may wait for its first fetch.
	fetchWait = 500 * time.Millisecond
	// metadataMinAge and metadataMaxAge: how often the cluster's layout is
	// asked for at most, after errors, and at least.
	metadataMinAge = 250 * time.Millisecond
	metadataMaxAge = 30 * time.Second
	dialTimeout    = 5 * time.Second
)

// Config says how to reach a cluster.
type Config struct {
	// Brokers are host:port of some of its brokers; the port is 9092 if it is
	// left out.
	Brokers []string
	// ClientID is what brokers log. Empty: "millstream".
	ClientID string
	// Group is the consumer group whose offsets tell lag tools how far the
	// pipeline is. Empty: none. Reading never depends on it.
	Group string
	// Replication of topics that are made. 0: the cluster's default.
	Replication int
	TLS         TLS
	SASL        SASL
	// Dial replaces the dialling of brokers, for tests. nil: TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// TLS says how to encrypt connections. Any field but ServerName and
// SkipVerify that is set turns it on.
type TLS struct {
	Enabled    bool
	CAFile     string // PEM; empty: the system's certificates
	CertFile   string // PEM, of the client
	KeyFile    string // PEM, of the client
	ServerName string // empty: the host that is dialled
	SkipVerify bool   // take any certificate: for tests only
}

// SASL says who we are.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; empty: PLAIN if there is a user
	User      string
	Password  string
}

// ClientOptions are franz-go's options for this cluster, for clients that are
// not ours to make.
func (c Config) ClientOptions() ([]kgo.Opt, error) { return c.options() }

// options are the client's, common to reading and writing.
func (c Config) options() ([]kgo.Opt, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("no Kafka brokers are given: set --brokers or KAFKA_BROKERS to host:port, or use --local")
	}
	id := c.ClientID
	if id == "" {
		id = "millstream"
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(id),
		kgo.SoftwareNameAndVersion("millstream", "1"),
		kgo.DialTimeout(dialTimeout),
		kgo.MetadataMinAge(metadataMinAge),
		kgo.MetadataMaxAge(metadataMaxAge),
		kgo.BrokerMaxReadBytes(responseBytes),
		kgo.MaxDecompressBatchBytes(batchBytes),
		kgo.DisableClientMetrics(),
	}
	if c.Dial != nil {
		opts = append(opts, kgo.Dialer(c.Dial))
	}
	t, err := c.TLS.config()
	if err != nil {
		return nil, err
	}
	if t != nil {
		opts = append(opts, kgo.DialTLSConfig(t))
	}
	m, err := c.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	if m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

func (t TLS) config() (*tls.Config, error) {
	if !t.Enabled && t.CAFile == "" && t.CertFile == "" && t.KeyFile == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.SkipVerify}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read Kafka's CA certificate: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("a client certificate for Kafka needs both its certificate and its key file")
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate for Kafka: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	name := strings.ToUpper(s.Mechanism)
	if name == "" {
		if s.User == "" {
			return nil, nil
		}
		name = "PLAIN"
	}
	if s.User == "" {
		return nil, fmt.Errorf("SASL mechanism %s for Kafka needs a user", name)
	}
	auth := scram.Auth{User: s.User, Pass: s.Password}
	switch name {
	case "PLAIN":
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return auth.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return auth.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("unknown SASL mechanism %q for Kafka: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
}
