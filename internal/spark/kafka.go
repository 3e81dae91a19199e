package spark

import (
	"fmt"
	"os"
	"strings"

	"github.com/millstream-dev/millstream/internal/kafka"
)

// kafkaOptions gives a cluster's address and credentials as options of
// Spark's Kafka source: those of Java's client with kafka. before them.
func kafkaOptions(c kafka.Config) (map[string]string, error) {
	brokers := make([]string, len(c.Brokers))
	for i, b := range c.Brokers {
		if !strings.Contains(b, ":") {
			b += ":9092"
		}
		brokers[i] = b
	}
	out := map[string]string{"kafka.bootstrap.servers": strings.Join(brokers, ",")}
	tls := c.TLS.Enabled || c.TLS.CAFile != "" || c.TLS.CertFile != ""
	sasl := c.SASL.User != ""
	switch {
	case tls && sasl:
		out["kafka.security.protocol"] = "SASL_SSL"
	case tls:
		out["kafka.security.protocol"] = "SSL"
	case sasl:
		out["kafka.security.protocol"] = "SASL_PLAINTEXT"
	}
	if c.TLS.CAFile != "" {
		pem, err := os.ReadFile(c.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the authorities' certificates: %w", err)
		}
		out["kafka.ssl.truststore.type"], out["kafka.ssl.truststore.certificates"] = "PEM", string(pem)
	}
	if c.TLS.CertFile != "" {
		chain, err := os.ReadFile(c.TLS.CertFile)
		if err != nil {
			return nil, fmt.Errorf("read the client's certificate: %w", err)
		}
		key, err := os.ReadFile(c.TLS.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the client's key: %w", err)
		}
		out["kafka.ssl.keystore.type"], out["kafka.ssl.keystore.certificate.chain"], out["kafka.ssl.keystore.key"] = "PEM", string(chain), string(key)
	}
	if sasl {
		mechanism, module := c.SASL.Mechanism, "org.apache.kafka.common.security.scram.ScramLoginModule"
		if mechanism == "" || mechanism == "PLAIN" {
			mechanism, module = "PLAIN", "org.apache.kafka.common.security.plain.PlainLoginModule"
		}
		out["kafka.sasl.mechanism"] = mechanism
		out["kafka.sasl.jaas.config"] = fmt.Sprintf("%s required username=%s password=%s;", module, jaas(c.SASL.User), jaas(c.SASL.Password))
	}
	return out, nil
}

// jaas quotes a value of a JAAS configuration.
func jaas(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
