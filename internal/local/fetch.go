package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

const (
	// fetchedVersion is the PostgreSQL that is fetched for a new data folder.
	fetchedVersion = embedded.V18
	// mavenCentral is where the programs are fetched from.
	mavenCentral = "https://repo1.maven.org/maven2"
	cachedPrefix = "postgresql-"
	// relayHeaderTimeout bounds how long the relay waits for a request of the
	// library, which comes at once.
	relayHeaderTimeout = 10 * time.Second
)

// fetchable are the versions that can be fetched, by major number.
var fetchable = map[int]embedded.PostgresVersion{
	15: embedded.V15, 16: embedded.V16, 17: embedded.V17, 18: embedded.V18,
}

// Progress is told of a download: bytes so far, and in all (0: unknown).
type Progress func(done, total int64)

// fetch gets the programs of PostgreSQL into the cache.
//
// The library can only fetch and start in one go, and PostgreSQL as root
// can't be started. So it is given a folder that no server starts on, and
// what it has unpacked before it fails is taken. It reads through a relay on
// loopback, which adds what it lacks: progress, cancelling, and a refusal when
// there is no checksum to compare with.
func (s *search) fetch(ctx context.Context, cache, repository string, progress Progress) (Installation, error) {
	version := fetchedVersion
	if s.major != 0 {
		v, ok := fetchable[s.major]
		if !ok {
			return Installation{}, s.notFound(fmt.Errorf("version %d can't be fetched", s.major))
		}
		version = v
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Installation{}, s.notFound(fmt.Errorf("make the cache folder: %w", err))
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return Installation{}, s.notFound(err)
	}
	defer os.RemoveAll(work)
	if err := unpack(ctx, work, version, repository, progress); err != nil {
		return Installation{}, s.notFound(err)
	}
	target := filepath.Join(cache, cachedPrefix+string(version))
	if err := os.Rename(filepath.Join(work, "programs"), target); err != nil && !errors.Is(err, os.ErrExist) {
		if _, there := os.Stat(filepath.Join(target, "bin")); there != nil {
			return Installation{}, s.notFound(err)
		}
	}
	return s.probe(ctx, filepath.Join(target, "bin"))
}

// unpack fetches version and unpacks it to work/programs.
func unpack(ctx context.Context, work string, version embedded.PostgresVersion, repository string, progress Progress) error {
	r, err := startRelay(ctx, repository, progress)
	if err != nil {
		return err
	}
	defer r.close()
	data := filepath.Join(work, "no-cluster")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	major, _, _ := strings.Cut(string(version), ".")
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(major+"\n"), 0o600); err != nil {
		return err
	}
	port, err := freePort(0)
	if err != nil {
		return err
	}
	programs := filepath.Join(work, "programs")
	started := embedded.NewDatabase(embedded.DefaultConfig().
		Version(version).
		Port(uint32(port)).
		BinaryRepositoryURL(r.url).
		CachePath(filepath.Join(work, "archive")).
		RuntimePath(filepath.Join(work, "runtime")).
		BinariesPath(programs).
		DataPath(data).
		Logger(io.Discard)).Start()
	if err := r.failed(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(programs, "bin", program("postgres"))); err != nil {
		return started
	}
	return os.Chmod(programs, 0o755)
}

// notFound says that there is no server and what one can do about it.
func (s *search) notFound(cause error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "no PostgreSQL found on this machine, and fetching one failed: %v", cause)
	for _, r := range s.refused {
		fmt.Fprintf(&b, "\n  not used: %s", r)
	}
	b.WriteString("\n  → install PostgreSQL 15 or newer (" + installHint() + "),")
	b.WriteString("\n    or name the folder of its programs with --pg-bin,")
	b.WriteString("\n    or use a running server with --database-url")
	return errors.New(b.String())
}

func installHint() string {
	switch runtime.GOOS {
	case "darwin":
		return "brew install postgresql@17"
	case "windows":
		return "winget install PostgreSQL.PostgreSQL.17"
	}
	return "apt install postgresql, dnf install postgresql-server"
}

// relay passes the library's requests on to the repository.
type relay struct {
	url        string
	repository string
	ctx        context.Context // of the fetch: ends the requests
	progress   Progress
	client     *http.Client
	server     *http.Server
	served     chan struct{}

	mu  sync.Mutex
	err error // the first that failed
}

func startRelay(ctx context.Context, repository string, progress Progress) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{
		url: "http://" + l.Addr().String(), repository: strings.TrimSuffix(repository, "/"),
		ctx: ctx, progress: progress, served: make(chan struct{}),
		client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()},
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: relayHeaderTimeout}
	go func() {
		defer close(r.served)
		_ = r.server.Serve(l) // ends with close
	}()
	return r, nil
}

func (r *relay) close() {
	_ = r.server.Close()
	<-r.served
	r.client.CloseIdleConnections()
}

// failed is why a request failed, nil if none did.
func (r *relay) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *relay) fail(w http.ResponseWriter, err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	w.WriteHeader(http.StatusBadGateway)
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	url := r.repository + req.URL.Path
	up, err := http.NewRequestWithContext(r.ctx, http.MethodGet, url, nil)
	if err != nil {
		r.fail(w, err)
		return
	}
	resp, err := r.client.Do(up)
	if err != nil {
		r.fail(w, err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		r.fail(w, fmt.Errorf("%s answers %s", url, resp.Status))
		return
	}
	w.Header().Set("Content-Length", resp.Header.Get("Content-Length"))
	body := io.Reader(resp.Body)
	if r.progress != nil && !strings.HasSuffix(url, ".sha256") {
		body = &counted{Reader: resp.Body, total: max(resp.ContentLength, 0), report: r.progress}
	}
	if _, err := io.Copy(w, body); err != nil {
		r.fail(w, fmt.Errorf("fetch %s: %w", url, err))
	}
}

// counted reports the bytes that are read.
type counted struct {
	io.Reader
	done, total int64
	report      Progress
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	c.report(c.done, c.total)
	return n, err
}
