package serve

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/telemetry"
)

// Limits of the listener and of requests.
const (
	// headerTimeout is how long a client may take to send its header.
	headerTimeout = 5 * time.Second
	// requestTimeout is how long a client may take to send header and body.
	requestTimeout = time.Minute
	// writeTimeout is how long a client may take nothing of an answer before
	// it is dropped; it begins anew with each piece of a stream.
	writeTimeout = 30 * time.Second
	// idleTimeout is how long a kept connection may be silent.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes leaves room for the longest query string and a token.
	maxHeaderBytes = 32 << 10
	// maxConnections bounds the connections that are open at once; further
	// ones wait in the kernel's queue.
	maxConnections = 2048
	// shutdownTimeout is how long running requests may take at the end.
	shutdownTimeout = 10 * time.Second
	// minKeyBytes is the shortest API key: shorter ones can be guessed.
	minKeyBytes = 16
)

// Limits of reading.
const (
	// statementTimeout bounds each statement; of a stream, each fetch.
	statementTimeout = 5 * time.Second
	// answerTimeout bounds a whole answer: its snapshot holds back vacuum.
	answerTimeout = 15 * time.Minute
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
	// maxStreams bounds the connections that stream; the others are for
	// questions.
	maxStreams = 1536
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
	// maxSnapshots bounds the snapshots that are being read at once: the
	// pool's other connections are for questions.
	maxSnapshots = 6
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
	return nil
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

// checkAddr refuses an address that others can reach when there is no key.
func checkAddr(addr string, protected bool) (*net.TCPAddr, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", addr, err)
	}
	if !protected && !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("address %q can be reached by others, and there is no API key: put one into a file and name it in MILLSTREAM_API_KEY_FILE, or into MILLSTREAM_API_KEY, or listen on 127.0.0.1", addr)
	}
	return tcp, nil
}
