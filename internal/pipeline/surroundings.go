package pipeline

import (
	"fmt"
	"net"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
)

// Connections is how many connections to PostgreSQL a running pipeline has at
// most, its API included.
const Connections = postgres.Connections + readerConnections

// KafkaServers gives how each of the plan's clusters is reached: the
// configured one, or the stack's, as "kafka", others as the file says.
func KafkaServers(c *config.Config, stack *Stack, p *plan.Pipeline, name string) map[string]kafka.Config {
	main := KafkaConfig(c, stack)
	if main.Group == "" && name != "" {
		main.Group = "millstream-" + name
	}
	out := map[string]kafka.Config{plan.DefaultServer: main}
	if p == nil {
		return out
	}
	for _, s := range p.Servers {
		if s.Name != plan.DefaultServer {
			out[s.Name] = kafka.Config{Brokers: s.Brokers, Group: main.Group}
		}
	}
	return out
}

// KafkaConfig gives how the configured cluster, or the stack's, is reached.
func KafkaConfig(c *config.Config, stack *Stack) kafka.Config {
	if stack != nil {
		return kafka.Config{Brokers: []string{stack.Broker.Addr()}, Group: c.Kafka.GroupID}
	}
	k := c.Kafka
	return kafka.Config{
		Brokers: k.Brokers, Group: k.GroupID, Replication: k.Replication,
		TLS:  kafka.TLS{Enabled: k.TLS, CAFile: k.TLSCAFile, CertFile: k.TLSCertFile, KeyFile: k.TLSKeyFile},
		SASL: kafka.SASL{Mechanism: k.SASLMechanism, User: k.SASLUsername, Password: k.SASLPassword.Reveal()},
	}
}

// DatabaseURL gives where PostgreSQL is: the stack's, the configured URL, or
// one made of the configured parts. Empty: what libpq's variables say.
func DatabaseURL(c *config.Config, stack *Stack) string {
	if stack != nil {
		return stack.Postgres.URL()
	}
	d := c.Database
	if d.URL != "" {
		return d.URL.Reveal()
	}
	if d.Host == "" && d.Port == "" && d.Name == "" && d.User == "" && d.Password == "" {
		return ""
	}
	host, port := d.Host, d.Port
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = "5432"
	}
	u := url.URL{Scheme: "postgres", Host: net.JoinHostPort(host, port), Path: "/" + d.Name}
	switch {
	case d.Password != "":
		u.User = url.UserPassword(d.User, d.Password.Reveal())
	case d.User != "":
		u.User = url.User(d.User)
	}
	return u.String()
}

// databaseConn gives the settings of a connection to the database: to the
// local stack's own server, if there is a stack, whoever has its port
// meanwhile.
func databaseConn(c *config.Config, stack *Stack) (*pgx.ConnConfig, error) {
	conn, err := pgx.ParseConfig(DatabaseURL(c, stack))
	if err != nil {
		return nil, fmt.Errorf("%w (a database is named as postgres://user:password@host:5432/name)", err)
	}
	if stack != nil {
		conn.DialFunc = stack.Postgres.Dial
	}
	return conn, nil
}
