package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one thing that can be set.
type Setting struct {
	Key     string   // in millstream.yaml, dots for nesting
	Env     string   // environment variable; NAME_FILE is accepted for secrets
	Aliases []string // other variables that mean the same
	Flag    string   // long flag without dashes, empty if there is none
	Doc     string   // one line: meaning, unit, special values
	Secret  bool

	set   func(*Config, string) error
	get   func(*Config) string
	field func(*Config) any // nil where the setting is no field of its own
}

// FileVariable is the variable that names a file with the secret that name, one
// of the setting's variables, would hold. It is empty where there is none, and
// where a setting by itself takes the file's name.
func (s Setting) FileVariable(name string) string {
	if !s.Secret || slices.ContainsFunc(Settings, func(o Setting) bool { return o.Env == name+"_FILE" }) {
		return ""
	}
	return name + "_FILE"
}

// Kind says what a setting's value looks like.
type Kind string

// The kinds of settings. A Switch's flag may stand alone.
const (
	Text     Kind = "string"
	List     Kind = "list"
	Switch   Kind = "bool"
	Number   Kind = "int"
	Fraction Kind = "float"
	Duration Kind = "duration"
)

// Kind gives the kind of a setting.
func (s Setting) Kind() Kind {
	if s.field == nil {
		return Number // a port
	}
	switch s.field(&Config{}).(type) {
	case *[]string:
		return List
	case *bool:
		return Switch
	case *int, *int64:
		return Number
	case *float64:
		return Fraction
	case *time.Duration:
		return Duration
	}
	return Text
}

// Settings is the table of all settings, in the order of documentation.
var Settings = slices.Concat([]Setting{
	text("kafka.brokers", "KAFKA_BROKERS", []string{"KAFKA_BROKER", "KAFKA_BOOTSTRAP_SERVERS"}, "brokers", "Kafka's addresses, host:port, separated by commas", func(c *Config) any { return &c.Kafka.Brokers }),
	text("kafka.sasl.mechanism", "KAFKA_SASL_MECHANISM", nil, "", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for none", func(c *Config) any { return &c.Kafka.SASLMechanism }),
	text("kafka.sasl.username", "KAFKA_SASL_USERNAME", nil, "", "user for SASL", func(c *Config) any { return &c.Kafka.SASLUsername }),
	text("kafka.sasl.password", "KAFKA_SASL_PASSWORD", nil, "", "password for SASL", func(c *Config) any { return &c.Kafka.SASLPassword }),
	text("kafka.tls.enabled", "KAFKA_TLS_ENABLED", nil, "", "speak TLS with Kafka", func(c *Config) any { return &c.Kafka.TLS }),
	text("kafka.tls.ca_file", "KAFKA_TLS_CA_FILE", nil, "", "PEM file of the authorities that sign the brokers' certificates", func(c *Config) any { return &c.Kafka.TLSCAFile }),
	text("kafka.tls.cert_file", "KAFKA_TLS_CERT_FILE", nil, "", "PEM file of the client's certificate", func(c *Config) any { return &c.Kafka.TLSCertFile }),
	text("kafka.tls.key_file", "KAFKA_TLS_KEY_FILE", nil, "", "PEM file of the client's key", func(c *Config) any { return &c.Kafka.TLSKeyFile }),
	text("kafka.group_id", "KAFKA_GROUP_ID", nil, "", "consumer group under which lag tools see the position", func(c *Config) any { return &c.Kafka.GroupID }),
	text("kafka.replication", "KAFKA_REPLICATION_FACTOR", nil, "", "replicas of the topics that are made; 0: the cluster's default", func(c *Config) any { return &c.Kafka.Replication }),

	text("database.url", "DATABASE_URL", nil, "database-url", "PostgreSQL's address, postgres://user:password@host:port/name", func(c *Config) any { return &c.Database.URL }),
	text("database.host", "PGHOST", []string{"POSTGRES_HOST"}, "", "PostgreSQL's host, where no URL is given", func(c *Config) any { return &c.Database.Host }),
	text("database.port", "PGPORT", []string{"POSTGRES_PORT"}, "", "PostgreSQL's port", func(c *Config) any { return &c.Database.Port }),
	text("database.name", "PGDATABASE", []string{"POSTGRES_DB"}, "", "database", func(c *Config) any { return &c.Database.Name }),
	text("database.user", "PGUSER", []string{"POSTGRES_USER"}, "", "PostgreSQL's role", func(c *Config) any { return &c.Database.User }),
	text("database.password", "PGPASSWORD", []string{"POSTGRES_PASSWORD"}, "", "its password", func(c *Config) any { return &c.Database.Password }),

	text("name", "MILLSTREAM_NAME", nil, "name", "the pipeline's name; default: the file's base name", func(c *Config) any { return &c.Name }),
	text("schema", "MILLSTREAM_SCHEMA", nil, "schema", "PostgreSQL schema of the result tables", func(c *Config) any { return &c.Schema }),

	text("engine.commit_interval", "MILLSTREAM_COMMIT_INTERVAL", nil, "commit-interval", "least time between commits, such as 50ms", func(c *Config) any { return &c.Engine.CommitInterval }),
	text("engine.max_epoch_rows", "MILLSTREAM_MAX_EPOCH_ROWS", nil, "max-epoch-rows", "records after which an epoch ends early", func(c *Config) any { return &c.Engine.MaxEpochRows }),
	text("engine.max_commit_rows", "MILLSTREAM_MAX_COMMIT_ROWS", nil, "max-commit-rows", "result rows of a commit, about; more follow with the next ones", func(c *Config) any { return &c.Engine.MaxCommitRows }),
	text("engine.workers", "MILLSTREAM_WORKERS", nil, "workers", "goroutines that decode and aggregate; 0: one for each core", func(c *Config) any { return &c.Engine.Workers }),
	text("engine.lookup_refresh", "MILLSTREAM_LOOKUP_REFRESH", nil, "", "how often tables that views join with are looked at for changes, where the view does not say", func(c *Config) any { return &c.Engine.LookupRefresh }),
	text("engine.lookup_max_rows", "MILLSTREAM_LOOKUP_MAX_ROWS", nil, "", "most rows of one such table, which is held in memory", func(c *Config) any { return &c.Engine.LookupMaxRows }),
	text("engine.lookup_max_bytes", "MILLSTREAM_LOOKUP_MAX_BYTES", nil, "", "most bytes of its columns that views read", func(c *Config) any { return &c.Engine.LookupMaxBytes }),
	text("engine.until_end", "MILLSTREAM_UNTIL_END", nil, "until-end", "read to the ends of the partitions as they stand now, commit, exit", func(c *Config) any { return &c.Engine.UntilEnd }),
	text("engine.accept_loss", "MILLSTREAM_ACCEPT_LOSS", nil, "accept-loss", "go on without these records where Kafka no longer has them: TOPIC/PARTITION:FIRST-LAST, separated by commas", func(c *Config) any { return &c.Engine.AcceptLoss }),
	text("engine.standby", "MILLSTREAM_STANDBY", nil, "standby", "wait until no other process runs the pipeline, then take over", func(c *Config) any { return &c.Engine.Standby }),

	text("serve.listen", "MILLSTREAM_LISTEN", nil, "listen", "address of the API, host:port; default: port 5000 on loopback, or the next free one", func(c *Config) any { return &c.Serve.Listen }),
	text("serve.admin_listen", "MILLSTREAM_ADMIN_LISTEN", nil, "admin-listen", "address for metrics and profiles; off for none", func(c *Config) any { return &c.Serve.AdminListen }),
	text("serve.advertise", "MILLSTREAM_ADVERTISE", nil, "", "where processes that stand by reach this one's API, http://host:port; default: at the address of the API, if that names a host", func(c *Config) any { return &c.Serve.Advertise }),
	text("serve.api_key", "MILLSTREAM_API_KEY", nil, "", "an API key with all scopes, where no file holds one", func(c *Config) any { return &c.Serve.APIKey }),
	text("serve.api_key_file", "MILLSTREAM_API_KEY_FILE", nil, "api-key-file", "file that holds one API key with all scopes; needed off loopback", func(c *Config) any { return &c.Serve.APIKeyFile }),

	text("ingest.max_records", "MILLSTREAM_INGEST_MAX_RECORDS", nil, "", "most records of a body that is posted to a topic", func(c *Config) any { return &c.Ingest.MaxRecords }),
	text("ingest.max_record_bytes", "MILLSTREAM_INGEST_MAX_RECORD_BYTES", nil, "", "most bytes of one record that is posted; the topic's max.message.bytes should be more", func(c *Config) any { return &c.Ingest.MaxRecordBytes }),
	text("query.role", "MILLSTREAM_QUERY_ROLE", nil, "", "PostgreSQL's role that statements of GET /v1/query run as: made where it is missing; off takes no statements", func(c *Config) any { return &c.Query.Role }),

	text("local.enabled", "MILLSTREAM_LOCAL", nil, "local", "run an embedded broker and database instead of connecting to configured ones", func(c *Config) any { return &c.Local.Enabled }),
	text("local.data", "MILLSTREAM_DATA", nil, "data", "folder for the embedded broker's and database's data", func(c *Config) any { return &c.Local.Data }),
	text("local.pg_bin", "MILLSTREAM_PG_BIN", nil, "pg-bin", "folder with PostgreSQL's programs", func(c *Config) any { return &c.Local.PGBin }),
	text("local.host", "MILLSTREAM_LOCAL_HOST", nil, "local-host", "host that the embedded broker listens on and advertises", func(c *Config) any { return &c.Local.Host }),

	text("log.level", "MILLSTREAM_LOG_LEVEL", nil, "log-level", "debug, info, warn or error", func(c *Config) any { return &c.Log.Level }),
	text("log.format", "MILLSTREAM_LOG_FORMAT", nil, "log-format", "auto, text or json", func(c *Config) any { return &c.Log.Format }),
	text("telemetry.otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", nil, "", "OpenTelemetry collector that gets traces and metrics over HTTP, http://host:4318; empty: none does", func(c *Config) any { return &c.Telemetry.Endpoint }),
	text("telemetry.otlp_headers", "OTEL_EXPORTER_OTLP_HEADERS", nil, "", "headers of each request to it, name=value separated by commas", func(c *Config) any { return &c.Telemetry.Headers }),
	text("telemetry.trace_ratio", "MILLSTREAM_TRACE_RATIO", nil, "", "part of the epochs that are followed by a trace, 0 to 1; OTEL_TRACES_SAMPLER wins", func(c *Config) any { return &c.Telemetry.Ratio }),
	text("quiet", "MILLSTREAM_QUIET", nil, "quiet", "no banner, no progress bars", func(c *Config) any { return &c.Log.Quiet }),

	text("produce.topic", "KAFKA_TOPIC", nil, "", "topic that `produce` sends to where none is named", func(c *Config) any { return &c.Produce.Topic }),
	flaskPort(),
	text("spark.master", "SPARK_MASTER", nil, "spark-master", "Spark's master: local[*] by default, spark://host:7077, yarn, k8s://…", func(c *Config) any { return &c.Spark.Master }),
	text("spark.checkpoint_location", "SPARK_CHECKPOINT_LOCATION", nil, "spark-checkpoint", "folder of Spark's position and state, which driver and executors see; keep it", func(c *Config) any { return &c.Spark.Checkpoint }),
	text("spark.jars", "MILLSTREAM_SPARK_JARS", nil, "spark-jars", "folder with the jars of Spark's Kafka connector and PostgreSQL's driver; default: fetched from Maven", func(c *Config) any { return &c.Spark.Jars }),
	text("spark.trigger", "MILLSTREAM_SPARK_TRIGGER", nil, "", "least time between Spark's micro-batches", func(c *Config) any { return &c.Spark.Trigger }),
	text("spark.max_offsets", "MILLSTREAM_SPARK_MAX_OFFSETS", nil, "", "most records of a topic in one micro-batch; 0: no limit", func(c *Config) any { return &c.Spark.MaxOffsets }),
}, serveSettings)

// flaskPort is the skeleton's name for the API's port: it means loopback's.
func flaskPort() Setting {
	return Setting{
		Key: "serve.port", Env: "FLASK_PORT", Doc: "port of the API on loopback, where serve.listen is not set",
		set: func(c *Config, v string) error {
			n, err := strconv.ParseUint(v, 10, 16)
			if err != nil {
				return fmt.Errorf("%q is not a port", v)
			}
			c.Serve.Port = strconv.FormatUint(n, 10)
			return nil
		},
		get: func(c *Config) string { return c.Serve.Port },
	}
}

// text makes a setting of a field, which is read and printed by its type.
func text(key, env string, aliases []string, flag, doc string, field func(*Config) any) Setting {
	_, secret := field(&Config{}).(*Secret)
	return Setting{
		Key: key, Env: env, Aliases: aliases, Flag: flag, Doc: doc, Secret: secret,
		set: func(c *Config, v string) error {
			if check := checks[key]; check != nil {
				if err := check(v); err != nil {
					return err
				}
			}
			return parse(field(c), v)
		},
		get:   func(c *Config) string { return format(field(c)) },
		field: field,
	}
}

// checks are what some settings must be, beyond their type.
var checks = map[string]func(string) error{
	"kafka.brokers": checkBrokers,
	"database.url":  checkDatabaseURL,
	"name":          checkName,

	"telemetry.otlp_endpoint": checkCollector,
}

func checkBrokers(v string) error {
	for _, b := range strings.Split(v, ",") {
		b = strings.TrimSpace(b)
		if !strings.Contains(b, ":") {
			continue // Kafka's own port
		}
		_, port, err := net.SplitHostPort(b)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("%q is not host:port", b)
		}
	}
	return nil
}

func checkCollector(v string) error {
	if strings.HasPrefix(v, "http://") || strings.HasPrefix(v, "https://") || v == "" {
		return nil
	}
	return fmt.Errorf("%q is not an address such as http://localhost:4318", v)
}

// checkDatabaseURL does not repeat the value: it may hold a password.
func checkDatabaseURL(v string) error {
	if strings.HasPrefix(v, "postgres://") || strings.HasPrefix(v, "postgresql://") || strings.Contains(v, "=") || v == "" {
		return nil
	}
	return errors.New("it is neither postgres://user:password@host:port/name nor libpq's host=… dbname=…")
}

func checkName(v string) error {
	for _, r := range v {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", r) {
			return fmt.Errorf("%q has other characters than letters, digits, _ and -", v)
		}
	}
	return nil
}

func parse(field any, v string) error {
	switch f := field.(type) {
	case *string:
		*f = v
	case *Secret:
		*f = Secret(v)
	case *[]string:
		*f = nil
		for _, part := range strings.Split(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*f = append(*f, part)
			}
		}
	case *bool:
		b, err := parseBool(v)
		if err != nil {
			return err
		}
		*f = b
	case *int:
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a number of 0 or more", v)
		}
		*f = n
	case *int64:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a number of 1 or more", v)
		}
		*f = n
	case *float64:
		x, err := strconv.ParseFloat(v, 64)
		if err != nil || !(x >= 0 && x <= 1) {
			return fmt.Errorf("%q is not a number from 0 to 1", v)
		}
		*f = x
	case *time.Duration:
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is not a duration such as 50ms or 5m", v)
		}
		*f = d
	}
	return nil
}

func parseBool(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0", "":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", v)
}

func format(field any) string {
	switch f := field.(type) {
	case *string:
		return *f
	case *Secret:
		return f.String()
	case *[]string:
		return strings.Join(*f, ",")
	case *bool:
		return strconv.FormatBool(*f)
	case *int:
		return strconv.Itoa(*f)
	case *int64:
		return strconv.FormatInt(*f, 10)
	case *float64:
		return strconv.FormatFloat(*f, 'g', -1, 64)
	case *time.Duration:
		return f.String()
	}
	return ""
}
