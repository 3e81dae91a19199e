package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
)

func TestClassify(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, c := range []struct {
		err  error
		want class
	}{
		{kerr.UnknownTopicOrPartition, identity},
		{kerr.UnknownTopicID, identity},
		{kerr.InconsistentTopicID, identity},
		{kerr.OffsetOutOfRange, outOfRange},
		{kerr.LeaderNotAvailable, passing},
		{kerr.NotLeaderForPartition, passing},
		{kerr.FencedLeaderEpoch, passing},
		{kerr.OffsetNotAvailable, passing},
		{refused, passing},
		{fmt.Errorf("unable to dial: %w", refused), passing},
		{io.EOF, passing},
		{io.ErrUnexpectedEOF, passing},
		{kgo.ErrClientClosed, closed},
		{context.Canceled, ended},
		{context.DeadlineExceeded, ended},
		{kerr.TopicAuthorizationFailed, fatal},
		{kerr.SaslAuthenticationFailed, fatal},
		{kerr.UnsupportedCompressionType, fatal},
		{&engine.LostError{}, fatal},
		{&unreadableError{io.ErrUnexpectedEOF}, fatal},
		{errors.New("crc mismatch"), fatal},
	} {
		if got := classify(c.err); got != c.want {
			t.Errorf("%v: class %d, want %d", c.err, got, c.want)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	b := []string{"localhost:1"}
	empty := t.TempDir() + "/empty.pem"
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{}, "no Kafka brokers are given"},
		{Config{Brokers: b, SASL: SASL{Mechanism: "GSSAPI", User: "u"}}, `unknown SASL mechanism "GSSAPI"`},
		{Config{Brokers: b, SASL: SASL{Mechanism: "scram-sha-256"}}, "needs a user"},
		{Config{Brokers: b, TLS: TLS{CAFile: "/nowhere.pem"}}, "/nowhere.pem"},
		{Config{Brokers: b, TLS: TLS{CAFile: empty}}, "holds no certificate"},
		{Config{Brokers: b, TLS: TLS{CertFile: "c.pem"}}, "both its certificate and its key"},
	} {
		if _, err := NewAdmin(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.want)
		}
	}
}
