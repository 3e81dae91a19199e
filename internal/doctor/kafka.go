package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/plan"
)

// cluster is one Kafka cluster that answers.
type cluster struct {
	name   string // of the server in the file
	label  string // of its checks: kafka, or kafka.NAME
	config kafka.Config
	client *kgo.Client
	admin  *kadm.Client
}

// kafka examines each cluster of the pipeline.
func (x *examination) kafka(ctx context.Context) {
	var p *plan.Pipeline
	if x.Definition != nil {
		p = x.Definition.Plan
	}
	servers := pipeline.KafkaServers(&x.Config.Config, nil, p, "")
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		if p != nil && !slices.ContainsFunc(p.Topics, func(t *plan.Topic) bool { return t.Server == name }) {
			continue // declared, or configured, and not used
		}
		c := &cluster{name: name, label: "kafka", config: servers[name]}
		if name != plan.DefaultServer {
			c.label += "." + name
		}
		x.cluster(ctx, c)
	}
}

func (x *examination) cluster(ctx context.Context, c *cluster) {
	options, err := c.config.ClientOptions()
	if err != nil {
		x.fail(c.label+".settings", "correct the KAFKA_* settings: `millstream config` shows where each comes from", "%v", err)
		return
	}
	failure := &lastFailure{}
	// Somebody waits: an address that refuses is told at once.
	c.client, err = kgo.NewClient(append(options, kgo.RequestRetries(1), kgo.RetryTimeout(x.Timeout), kgo.DialTimeout(x.Timeout), kgo.WithHooks(failure))...)
	if err != nil {
		x.fail(c.label+".settings", "correct the KAFKA_* settings: `millstream config` shows where each comes from", "%v", err)
		return
	}
	defer c.client.Close()
	c.admin = kadm.NewClient(c.client)
	asked, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	m, err := c.admin.BrokerMetadata(asked)
	if err != nil {
		x.unreachable(ctx, c, failure.or(err))
		return
	}
	x.fine(c.label+".reach", "%s answers: cluster %s, %d broker(s), %s", strings.Join(c.config.Brokers, ", "), m.Cluster, len(m.Brokers), security(c.config))
	x.brokers(ctx, c, m.Brokers)
	if x.Definition != nil {
		x.topics(ctx, c)
	}
}

// security says how connections are secured.
func security(c kafka.Config) string {
	parts := []string{"without TLS"}
	if c.TLS.Enabled || c.TLS.CAFile != "" || c.TLS.CertFile != "" {
		parts[0] = "by TLS"
	}
	if c.SASL.User != "" {
		parts = append(parts, "as "+c.SASL.User)
	}
	return strings.Join(parts, ", ")
}

// lastFailure keeps how the last connection failed: what a request ends with
// is often only that its time has passed. The client tells it by hooks, from
// its own goroutines.
type lastFailure struct {
	mu  sync.Mutex
	err error
}

// OnBrokerConnect hears of connections.
func (f *lastFailure) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		f.mu.Lock()
		f.err = err
		f.mu.Unlock()
	}
}

// or gives the failure behind a passed deadline.
func (f *lastFailure) or(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !errors.Is(err, context.DeadlineExceeded) || f.err == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", f.err, err)
}

// unreachable tells why a cluster does not answer, and what would help.
func (x *examination) unreachable(ctx context.Context, c *cluster, err error) {
	where := strings.Join(c.config.Brokers, ", ")
	var unknownAuthority x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var dns *net.DNSError
	tlsOn := c.config.TLS.Enabled || c.config.TLS.CAFile != ""
	cure := "start the broker, or set KAFKA_BROKERS to its host:port; `--local` brings one"
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.IllegalSaslState), errors.Is(err, kerr.UnsupportedSaslMechanism):
		cure = "check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)"
	case errors.As(err, &unknownAuthority):
		cure = "set KAFKA_TLS_CA_FILE to the PEM file of the authority that signed the brokers' certificates"
	case errors.As(err, &wrongName):
		cure = "name the brokers in KAFKA_BROKERS as their certificates do"
	case errors.As(err, &dns):
		cure = "correct the host name in KAFKA_BROKERS; a name of a container network resolves only within it"
	case tlsOn && (strings.Contains(err.Error(), "does not look like a TLS handshake") || strings.Contains(err.Error(), "is TLS misconfigured")):
		cure = "this port seems to speak without TLS: set KAFKA_TLS_ENABLED=false, or name the TLS port in KAFKA_BROKERS"
	case tlsOn && isTimeout(err) && x.accepts(ctx, c.config.Brokers):
		cure = "something answers there, but not by TLS: set KAFKA_TLS_ENABLED=false, or name the TLS port in KAFKA_BROKERS"
	case c.config.SASL.User != "" && errors.Is(err, io.EOF):
		cure = "the broker closes the connection: check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and whether the port speaks SASL"
	case !tlsOn && x.speaksTLS(ctx, c.config.Brokers):
		cure = "this port speaks TLS: set KAFKA_TLS_ENABLED=true (and KAFKA_TLS_CA_FILE for an authority of your own)"
	}
	x.fail(c.label+".reach", cure, "%s does not answer: %v", where, err)
}

// speaksTLS asks whether a broker answers a TLS handshake. Nothing is sent
// over the connection, so no certificate needs to be trusted.
func (x *examination) speaksTLS(ctx context.Context, brokers []string) bool {
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	for _, b := range brokers {
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", withPort(b))
		var alert tls.AlertError
		if err == nil {
			conn.Close()
			return true
		}
		if errors.As(err, &alert) {
			return true // it wants a certificate of ours
		}
	}
	return false
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// accepts asks whether something listens at all.
func (x *examination) accepts(ctx context.Context, brokers []string) bool {
	for _, b := range brokers {
		conn, err := (&net.Dialer{Timeout: x.Timeout}).DialContext(ctx, "tcp", withPort(b))
		if err == nil {
			conn.Close()
			return true
		}
	}
	return false
}

// withPort adds Kafka's own port to an address without one.
func withPort(broker string) string {
	if _, _, err := net.SplitHostPort(broker); err != nil {
		return net.JoinHostPort(broker, "9092")
	}
	return broker
}

// brokers asks each broker at the address that it advertises: clients are
// sent there, whatever address they have begun with.
func (x *examination) brokers(ctx context.Context, c *cluster, brokers kadm.BrokerDetails) {
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	versions, err := c.admin.ApiVersions(ctx)
	if err != nil {
		x.unknown(c.label+".brokers", "", "the brokers can't be asked one by one: %v", err)
		return
	}
	var answered *kadm.BrokerApiVersions
	away := 0
	for _, b := range brokers {
		v := versions[b.NodeID]
		if v.Err != nil {
			away++
			x.fail(c.label+".brokers", "correct advertised.listeners of the broker, so that it names an address that this machine can reach; or start it",
				"broker %d advertises %s, which does not answer: %v", b.NodeID, net.JoinHostPort(b.Host, fmt.Sprint(b.Port)), v.Err)
			continue
		}
		answered = &v
	}
	if away == 0 {
		x.fine(c.label+".brokers", "every broker answers where it says it is")
	}
	if answered != nil {
		x.version(c, *answered)
	}
}

// exactVersion is what the client guesses when what is offered fits a version;
// brokers with patches, and those that only speak like Kafka, fit none.
var exactVersion = regexp.MustCompile(`^(at least )?v\d+\.\d+$`)

// version tells brokers that are too old by what came with Kafka 2.8.
func (x *examination) version(c *cluster, v kadm.BrokerApiVersions) {
	guess := v.VersionGuess()
	if _, ok := v.KeyMaxVersion(kmsg.DescribeCluster.Int16()); !ok {
		x.warn(c.label+".version", "upgrade the brokers", "the brokers are older than Kafka 2.8, which Millstream is made for (%s)", guess)
		return
	}
	if exactVersion.MatchString(guess) {
		x.fine(c.label+".version", "Kafka %s, by what the brokers offer", guess)
		return
	}
	x.fine(c.label+".version", "the brokers offer what Kafka 2.8 and newer do")
}
