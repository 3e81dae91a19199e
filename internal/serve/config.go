package serve

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/telemetry"
)

// Limits are those that can be set; what is zero takes its default, which
// defaultLimits has.
type Limits struct {
	// HeaderTimeout is how long a client may take to send its header, and
	// RequestTimeout header and body.
	HeaderTimeout, RequestTimeout time.Duration
	// WriteTimeout is how long a client may take nothing of an answer before
	// it is dropped.
	WriteTimeout time.Duration
	// IdleTimeout is how long a kept connection may be silent.
	IdleTimeout time.Duration
	// HeaderBytes is the longest header; it leaves room for the longest query
	// string and a token.
	HeaderBytes int
	// BodyBytes is the longest body.
	BodyBytes int64
	// Connections bounds the connections that are open at once; further ones
	// wait in the kernel's queue. ConnectionsEach bounds those of one address
	// but loopback; further ones are closed.
	Connections, ConnectionsEach int
	// StatementTimeout bounds each statement; of a stream, each fetch.
	StatementTimeout time.Duration
	// AnswerTimeout bounds a whole answer: its snapshot holds back vacuum.
	AnswerTimeout time.Duration
	// Rows is the most that one answer has, as if that were asked for as its
	// limit; 0: as many as there are.
	Rows int64
	// Streams bounds the connections that stream changes.
	Streams int
	// KeyRate is the requests per second of a key that has no rate of its own,
	// AddressRate of one address but loopback; 0: any number.
	KeyRate, AddressRate float64
}

// defaultLimits are the limits where nothing is set.
func defaultLimits() Limits {
	return Limits{
		HeaderTimeout: 5 * time.Second, RequestTimeout: time.Minute, WriteTimeout: writeTimeout, IdleTimeout: 2 * time.Minute,
		HeaderBytes: maxHeaderBytes, BodyBytes: maxBodyBytes,
		Connections: 2048, ConnectionsEach: 512,
		StatementTimeout: statementTimeout, AnswerTimeout: 15 * time.Minute,
		Streams: 1536, AddressRate: 1000,
	}
}

// fill takes the defaults for what is zero.
func (l *Limits) fill() {
	d := defaultLimits()
	l.HeaderTimeout = cmp.Or(l.HeaderTimeout, d.HeaderTimeout)
	l.RequestTimeout = cmp.Or(l.RequestTimeout, d.RequestTimeout)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, d.WriteTimeout)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, d.IdleTimeout)
	l.HeaderBytes = cmp.Or(l.HeaderBytes, d.HeaderBytes)
	l.BodyBytes = cmp.Or(l.BodyBytes, d.BodyBytes)
	l.Connections = cmp.Or(l.Connections, d.Connections)
	l.ConnectionsEach = cmp.Or(l.ConnectionsEach, d.ConnectionsEach)
	l.StatementTimeout = cmp.Or(l.StatementTimeout, d.StatementTimeout)
	l.AnswerTimeout = cmp.Or(l.AnswerTimeout, d.AnswerTimeout)
	l.Streams = cmp.Or(l.Streams, d.Streams)
}

// Limits of the listener and of requests.
const (
	// writeTimeout is how long a client may take nothing of an answer.
	writeTimeout = 30 * time.Second
	// maxHeaderBytes leaves room for the longest query string and a token.
	maxHeaderBytes = 32 << 10
	// shutdownTimeout is how long running requests may take at the end.
	shutdownTimeout = 10 * time.Second
	// minKeyBytes is the shortest API key: shorter ones can be guessed.
	minKeyBytes = 16
	// maxHTTP2Streams bounds the requests of one HTTP/2 connection.
	maxHTTP2Streams = 100
)

// Limits of reading.
const (
	// statementTimeout bounds each statement; of a stream, each fetch.
	statementTimeout = 5 * time.Second
	// acquireTimeout is how long a request waits for a database connection.
	acquireTimeout = 3 * time.Second
	// spoolBytes is how much of an answer is held back to see whether it ends
	// there: then it gets an ETag and its length.
	spoolBytes = 1 << 20
	// writeBytes is the piece of an answer that a client must take within
	// writeTimeout: a slow line is served, one that stands still is not.
	writeBytes = 32 << 10
	// fetchBytes is about how much one fetch from the cursor brings.
	fetchBytes = 256 << 10
	// firstFetch is the rows of the first fetch, when their size isn't known.
	firstFetch = 200
	// firstFetchPaged is that of a page with a link to the next, of which
	// nothing is sent before the first fetch is over.
	firstFetchPaged = 50
	// maxColumns bounds the columns of an answer: PostgreSQL gives at most
	// 1,664, and reads a few of its own.
	maxColumns = 1600
	// maxFetch is the rows of a fetch at most.
	maxFetch = 10_000
)

// Limits of live streams.
const (
	// maxStreamsEach bounds the streams of one connection.
	maxStreamsEach = 16
	// maxWatches bounds the streams that differ: each is asked of PostgreSQL
	// once with every commit.
	maxWatches = 64
	// logBytes is how much of a stream is kept for those who come back or are
	// slow, and logsBytes of all streams together.
	logBytes  = 4 << 20
	logsBytes = 64 << 20
	// linger is how long a stream that nobody reads is kept up for those who
	// come back.
	linger = time.Minute
	// pingEvery is how often a silent stream says that it is there.
	pingEvery = 15 * time.Second
	// retryAfter is how long a client waits before it comes back.
	retryAfter = time.Second
	// maxKeys bounds the changed keys of a view that wait to be read; beyond
	// it, streams of the view begin anew.
	maxKeys = 50_000
	// maxKeyBytes bounds the texts of these keys.
	maxKeyBytes = 16 << 20
	// gatherBytes is about how much one client is sent before it looks again.
	gatherBytes = 256 << 10
	// reportTimeout is how long a commit that is seen in the database may take
	// to be reported by the engine.
	reportTimeout = 2 * time.Second
)

// Limits of ingest.
const (
	// maxBodyBytes is the longest body.
	maxBodyBytes = 10 << 20
	// maxRecordBytes is the longest record: what Kafka takes by default, less
	// room for key and headers.
	maxRecordBytes = 1_000_000
	// maxBodyRecords bounds the records of one body.
	maxBodyRecords = 100_000
	// maxIngests bounds the bodies that are in memory at once.
	maxIngests = 16
	// maxListedErrors is how many rejected records an answer lists.
	maxListedErrors = 100
	// produceTimeout is how long the log may take to acknowledge a body.
	produceTimeout = 30 * time.Second
)

// healthTimeout bounds the checks of one health request.
const healthTimeout = 2 * time.Second

// Config is what a server is made from.
type Config struct {
	// Addr is host:port; port 0 takes a free one.
	Addr string
	// Name is the pipeline's; the headers tell its commits.
	Name string
	// Version is Millstream's, for the OpenAPI document.
	Version string

	// Pool reads tables. It should not be the engine's own: readers wait for
	// each other, never for a commit.
	Pool *pgxpool.Pool
	// Schema is where the pipeline's tables are; default "public".
	Schema string
	// Pipeline tells the topics that records may be posted to; nil for none.
	Pipeline *plan.Pipeline

	// Status is nil where no engine runs in this process.
	Status Status
	// Producer is nil where nothing can be posted.
	Producer Producer
	// Ingest bounds what is posted.
	Ingest IngestLimits
	// QueryRole is the role that statements of clients run as; "" is
	// DefaultQueryRole, NoQueries takes none.
	QueryRole string
	// Topics is nil where topics can't be looked into.
	Topics Topics
	// Health checks the parts other than PostgreSQL; nil for none.
	Health func(ctx context.Context) []Check
	// Metrics counts requests and is served at /metrics; nil for none.
	Metrics *telemetry.Metrics
	// Log takes what goes wrong inside; nil for nothing.
	Log *slog.Logger

	// Key is the API key (MILLSTREAM_API_KEY), which has all scopes; "" for
	// KeyFile's.
	Key string
	// KeyFile holds the API key (MILLSTREAM_API_KEY_FILE); "" for none. The
	// file is read once.
	KeyFile string
	// Unprotected allows an address that others can reach without a key.
	Unprotected bool
	// Tokens are taken in place of keys.
	Tokens Tokens
	// CertFile and CertKeyFile are a certificate and its key, PEM: then the
	// server speaks TLS. They are read again when they change.
	CertFile, CertKeyFile string
	// Origins are those whose pages may call the API from a browser.
	Origins []string
	// Limits bound what clients may take.
	Limits Limits
}

// Status tells how the engine stands.
type Status interface {
	Pipeline(ctx context.Context) (PipelineStatus, error)
	// Samples gives those that are kept with a number greater than after,
	// oldest first.
	Samples(after int64) []Sample
}

func (c *Config) fill() error {
	if c.Pool == nil {
		return errors.New("serve: no database pool")
	}
	if c.Schema == "" {
		c.Schema = "public"
	}
	c.Ingest.fill()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Limits.fill()
	return checkOrigins(c.Origins)
}

// apiKey is a key as it is kept: hashed, so that no dump of memory or log
// line shows it. Its zero value is no key.
type apiKey struct {
	set bool
	sum [sha256.Size]byte
}

func (k apiKey) String() string { return "***" }

// readKey takes the key that is given, or the one in a file.
func readKey(c *Config) (apiKey, error) {
	switch {
	case c.Key != "" && c.KeyFile != "":
		return apiKey{}, errors.New("MILLSTREAM_API_KEY and MILLSTREAM_API_KEY_FILE both give an API key: keep one of them")
	case c.Key != "":
		return parseKey(c.Key, "MILLSTREAM_API_KEY")
	case c.KeyFile == "":
		return apiKey{}, nil
	}
	text, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return apiKey{}, fmt.Errorf("read the API key: %w", err)
	}
	return parseKey(string(text), c.KeyFile)
}

// parseKey checks and hashes a key that stood in a variable or file.
func parseKey(text, where string) (apiKey, error) {
	key := strings.TrimSpace(text)
	if len(key) < minKeyBytes {
		return apiKey{}, fmt.Errorf("the API key in %s has %d characters, at least %d are needed: make one with `openssl rand -hex 32`", where, len(key), minKeyBytes)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return apiKey{}, fmt.Errorf("the API key in %s has characters that a header can't carry: make one with `openssl rand -hex 32`", where)
	}
	return apiKey{true, sha256.Sum256([]byte(key))}, nil
}

// noKeys refuses an address that others can reach.
func noKeys(addr string) error {
	return fmt.Errorf("address %q can be reached by others, and there is no API key: make one by `millstream keys create`, put one into a file and name it in MILLSTREAM_API_KEY_FILE, or into MILLSTREAM_API_KEY, or listen on 127.0.0.1", addr)
}
