// Package config is the settings of the program: one struct, filled from
// flags, environment, .env, millstream.yaml and defaults, in that order of
// precedence.
//
// The table in settings.go is the one list of what can be set: name in the
// file, environment variables, flag, meaning. What is not in it is refused
// with a suggestion.
package config

import "time"

// Secret is a string that must not be shown: it prints as ***.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps encoders from showing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal gives the secret, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// Config is everything that can be set. Durations are Go's ("50ms", "5m").
type Config struct {
	Kafka    Kafka
	Database Database
	Engine   Engine
	Serve    Serve
	Local    Local
	Log      Log
	Produce  Produce
	Spark    Spark
	Ingest   Ingest
	Query    Query

	Telemetry Telemetry

	// Name of the pipeline; empty: the file's base name.
	Name string
	// Schema of the result tables in PostgreSQL.
	Schema string
}

// Kafka is the cluster that server "kafka" stands for.
type Kafka struct {
	Brokers       []string // host:port
	SASLMechanism string   // "", PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
	SASLUsername  string
	SASLPassword  Secret
	TLS           bool
	TLSCAFile     string // PEM; empty: the system's
	TLSCertFile   string // PEM, for mTLS
	TLSKeyFile    string
	GroupID       string // under which positions are shown to lag tools; empty: millstream-NAME
	Replication   int    // of topics that are made; 0: the cluster's default
}

// Database is the PostgreSQL that holds results and position.
type Database struct {
	// URL is empty when the parts below, or PostgreSQL's own PG* variables,
	// say where.
	URL      Secret
	Host     string
	Port     string
	Name     string
	User     string
	Password Secret
}

// Engine is how the engine runs.
type Engine struct {
	CommitInterval time.Duration // least time between commits
	MaxEpochRows   int64         // records after which an epoch ends early
	MaxCommitRows  int64         // result rows of a commit: what is more follows with the next
	Workers        int           // 0: one for each core
	LookupRefresh  time.Duration // how often tables that views join with are looked at
	LookupMaxRows  int64         // most rows of one of them
	LookupMaxBytes int64         // most bytes of its columns that are read
	UntilEnd       bool          // read to the ends as they stand now, commit, exit
	AcceptLoss     []string      // TOPIC/PARTITION:FIRST-LAST: records to go on without where Kafka no longer has them
	Standby        bool          // wait until no other process runs the pipeline, then take over
}

// Serve is the HTTP server.
type Serve struct {
	Listen      string // host:port; empty: loopback, port 5000 or the next free one
	Port        string // of loopback, where nothing says Listen: Load makes Listen of it
	AdminListen string // metrics and profiles; "off" for none
	Advertise   string // where processes that stand by reach the API; empty: at Listen, if that names a host
	APIKey      Secret // a key with all scopes; empty: APIKeyFile's, or none
	APIKeyFile  string // holds one key with all scopes; needed off loopback
	Unprotected bool   // others may reach it without keys
	TLSCertFile string // PEM
	TLSKeyFile  string // PEM
	JWT         JWT
	Origins     []string // whose pages may call it from a browser
	Limits      Limits
}

// JWT is whose tokens the API takes in place of keys.
type JWT struct {
	Keys     string // https address or file of the key set; empty for no tokens
	Issuer   string
	Audience string
	Claim    string // that holds scopes
}

// Limits are the bounds of what clients of the API may take.
type Limits struct {
	KeyRate           int // requests per second; 0: any number
	AddressRate       int // requests per second; 0: any number
	Connections       int
	ConnectionsEach   int // of one address
	Streams           int
	HeaderBytes       int
	BodyBytes         int64
	Rows              int // of one answer; 0: any number
	HeaderTimeout     time.Duration
	RequestTimeout    time.Duration
	WriteTimeout      time.Duration
	IdleTimeout       time.Duration
	StatementTimeout  time.Duration
	AnswerTimeout     time.Duration
	ReaderConnections int
}

// Local is the embedded broker and database.
type Local struct {
	Enabled  bool   // run them, instead of connecting to configured ones
	Data     string // folder for their data; empty: a temporary one
	PGBin    string // folder with PostgreSQL's programs
	Host     string // that the broker listens on and advertises
	KeepData bool
}

// Ingest bounds what is posted to topics over HTTP.
type Ingest struct {
	MaxRecords     int // of a body
	MaxRecordBytes int // of one record's value
}

// Query is for statements that come over HTTP.
type Query struct {
	Role string // that they run as; "off" takes none
}

// Log is how the program logs.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // auto, text, json
	Quiet  bool   // no banner, no progress
}

// Telemetry is what is sent to an OpenTelemetry collector.
type Telemetry struct {
	Endpoint string  // http://host:4318; empty: nothing is sent, unless OTEL_… say otherwise
	Headers  Secret  // of each request: name=value, separated by commas
	Ratio    float64 // part of the epochs that are followed by traces, 0 to 1
}

// Produce is what `millstream produce` sends where nothing else is said.
type Produce struct {
	Topic string
}

// Spark is for pipelines that run on Apache Spark.
type Spark struct {
	Master     string
	Checkpoint string
	Jars       string        // folder; empty: packages from Maven
	Trigger    time.Duration // least time between micro-batches
	MaxOffsets int64         // records of a topic in one; 0: no limit
}

// Default gives the settings before anybody says anything.
func Default() Config {
	return Config{
		Schema: "public",
		Kafka:  Kafka{Brokers: []string{"localhost:9092"}},
		Engine: Engine{CommitInterval: 50 * time.Millisecond, MaxEpochRows: 1_000_000, MaxCommitRows: 100_000,
			LookupRefresh: 10 * time.Second, LookupMaxRows: 5_000_000, LookupMaxBytes: 512 << 20},
		Serve: Serve{AdminListen: "127.0.0.1:0", JWT: JWT{Claim: "scope"}, Limits: Limits{
			AddressRate: 1000, Connections: 2048, ConnectionsEach: 512, Streams: 1536, HeaderBytes: 32 << 10, BodyBytes: 10 << 20,
			HeaderTimeout: 5 * time.Second, RequestTimeout: time.Minute, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
			StatementTimeout: 5 * time.Second, AnswerTimeout: 15 * time.Minute, ReaderConnections: 16,
		}},
		Log:   Log{Level: "warn", Format: "auto"},
		Local: Local{Host: "127.0.0.1"},
		Spark: Spark{Trigger: time.Second},
		Query: Query{Role: "millstream_query"},

		Ingest: Ingest{MaxRecords: 100_000, MaxRecordBytes: 1_000_000},

		Telemetry: Telemetry{Ratio: 0.05},
	}
}
