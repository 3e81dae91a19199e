package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// defaultPostgresPort is PostgreSQL's own.
	defaultPostgresPort = 5432
	// readyPoll is how often a starting server is looked at: it takes about
	// 100 ms, and a look costs one small file.
	readyPoll = 5 * time.Millisecond
	// startTimeout bounds a start: recovery after a crash can take a while.
	startTimeout = 2 * time.Minute
	// orphanTimeout bounds the wait for sessions that outlive a killed server.
	orphanTimeout = 10 * time.Second
	// stopTimeout is how long a fast shutdown may take, before an immediate
	// one is asked for; killTimeout how long that one may.
	stopTimeout = 20 * time.Second
	killTimeout = 5 * time.Second
)

// PostgresOptions say where and how a server runs.
type PostgresOptions struct {
	// Dir keeps the data: the folder is made, and locked while in use. Empty:
	// a temporary folder, removed by Close, without fsync.
	Dir string
	// Bin is the folder of PostgreSQL's programs. Empty: they are searched,
	// then fetched.
	Bin string
	// Cache is where fetched programs are kept. Empty: millstream in the
	// user's cache folder, for root in /var/cache.
	Cache string
	// Repository is the Maven repository to fetch from. Empty: Maven Central.
	Repository string
	// Port is the wanted one; if it is taken, the next free one. 0: 5432.
	// Negative: any.
	Port int
	// Database is the URL's database, made if it is absent. Empty: postgres.
	Database string
	// Settings are further ones of postgresql.conf, and win over ours.
	Settings map[string]string
	// Progress is told of a download. May be nil.
	Progress Progress
	// Log is told when the server has ended by itself and is started again.
	// May be nil.
	Log *slog.Logger

	firstPause time.Duration // of the keeper; 0: firstPause
}

// Postgres is a PostgreSQL server, our child.
type Postgres struct {
	cluster  cluster
	install  Installation
	port     int
	password string
	database string
	lock     *os.File
	sweeper  *sweeper // of a temporary folder, nil otherwise

	settings map[string]string
	child    *child  // the last one that was started; of the keeper while there is one
	keeper   *keeper // from when the server is ready until Close

	closing  sync.Once
	closeErr error
}

// StartPostgres starts a server and waits until it takes connections. It
// takes over a folder whose server was left behind by a killed process.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	p := &Postgres{database: o.Database}
	if p.database == "" {
		p.database = "postgres"
	}
	if err := p.open(o.Dir); err != nil {
		return nil, err
	}
	if err := p.start(ctx, o); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.keeper = p.keep(o)
	return p, nil
}

// open makes and locks the folder.
func (p *Postgres) open(dir string) error {
	c := &p.cluster
	c.temporary = dir == ""
	if c.temporary {
		return p.openTemporary()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	c.dir, c.folder = dir, filepath.Join(dir, clusterName)
	if c.account, err = serverAccount(c.folder); err != nil {
		return err
	}
	if err := p.admit(); err != nil {
		return fmt.Errorf("%w: choose a folder that it can, such as --data /var/lib/millstream, or start as an ordinary user", err)
	}
	p.lock, err = lockFolder(dir)
	return err
}

// admit lets the account into our folder, and checks that it gets there. In
// the system's place for temporary files the folders above ours are opened
// too: what root makes there (mktemp -d) is closed to all others. They can go
// through it then, not list it.
func (p *Postgres) admit() error {
	c := &p.cluster
	if c.account == nil {
		return nil
	}
	for dir := c.dir; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if err := os.Chmod(dir, info.Mode()|0o011); err != nil {
			return err
		}
		above, err := filepath.Rel(os.TempDir(), filepath.Dir(dir))
		if err != nil || above == "." || strings.HasPrefix(above, "..") {
			return c.account.reaches(c.dir)
		}
	}
}

// openTemporary makes a folder that the account can reach: the system's
// place for temporary files, if TMPDIR is one of root's own.
func (p *Postgres) openTemporary() error {
	c := &p.cluster
	var err error
	if c.account, err = serverAccount(""); err != nil {
		return err
	}
	for _, parent := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if c.dir, err = os.MkdirTemp(parent, "millstream-postgres-"); err != nil {
			continue
		}
		c.folder = filepath.Join(c.dir, clusterName)
		if err = p.admit(); err == nil {
			p.lock, err = lockFolder(c.dir)
			return err
		}
		os.RemoveAll(c.dir)
	}
	return fmt.Errorf("make a temporary folder for PostgreSQL: %w", err)
}

// start finds the programs, makes the cluster if need be, and starts it.
func (p *Postgres) start(ctx context.Context, o PostgresOptions) error {
	c := &p.cluster
	if err := p.findPrograms(ctx, o); err != nil {
		return err
	}
	c.bin, c.major = p.install.Bin, p.install.Major
	var err error
	if p.password, err = c.prepare(ctx); err != nil {
		return err
	}
	if err := c.stopStale(ctx, p.password); err != nil {
		return err
	}
	if c.temporary {
		if p.sweeper, err = startSweeper(c.dir, filepath.Join(c.folder, "postmaster.pid")); err != nil {
			return err
		}
	}
	wanted := o.Port
	switch {
	case wanted == 0:
		wanted = defaultPostgresPort
	case wanted < 0:
		wanted = 0
	}
	p.settings = o.Settings
	if err := p.launch(ctx, wanted); err != nil {
		return err
	}
	return p.ensureDatabase(ctx)
}

// findPrograms finds or fetches the programs.
func (p *Postgres) findPrograms(ctx context.Context, o PostgresOptions) error {
	s := &search{account: p.cluster.account, major: dataMajor(p.cluster.folder)}
	cache := o.Cache
	if cache == "" {
		cache = defaultCache()
	}
	in, ok, err := s.locate(ctx, o.Bin, cache)
	if err == nil && !ok {
		repository := o.Repository
		if repository == "" {
			repository = mavenCentral
		}
		in, err = s.fetch(ctx, cache, repository, o.Progress)
	}
	p.install = in
	return err
}

// defaultCache is where fetched programs are kept. Root's own cache folder
// can't be entered by the user that the server runs as.
func defaultCache() string {
	if runtime.GOOS != "windows" && os.Geteuid() == 0 {
		return "/var/cache/millstream"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "millstream")
}

// launch starts the server on the first port that it gets.
func (p *Postgres) launch(ctx context.Context, wanted int) error {
	if err := os.Remove(p.Log()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for {
		port, err := freePort(wanted)
		if err != nil {
			return err
		}
		p.port = port
		err = p.launchOn(ctx, port)
		var failed *launchError
		if err == nil || ctx.Err() != nil || !errors.As(err, &failed) || !failed.portTaken() {
			return err
		}
		// Somebody took the port between our look and the server's.
		if wanted != 0 {
			wanted = port + 1
		}
	}
}

// launchOn starts the server on port, once the sessions of one that was
// killed have ended.
func (p *Postgres) launchOn(ctx context.Context, port int) error {
	deadline := time.Now().Add(orphanTimeout)
	for {
		err := p.launchOnce(ctx, port)
		var failed *launchError
		if err == nil || ctx.Err() != nil || !errors.As(err, &failed) || !failed.sessionsLeft() || time.Now().After(deadline) {
			return err
		}
		if err := wait(ctx, 20*readyPoll); err != nil {
			return err
		}
	}
}

// launchError is why a server did not start.
type launchError struct {
	err  error
	said string // its log
}

func (e *launchError) Error() string { return e.err.Error() + "\n" + e.said }

func (e *launchError) Unwrap() error { return e.err }

func (e *launchError) portTaken() bool {
	return strings.Contains(e.said, "could not bind") || strings.Contains(e.said, "could not create any TCP/IP sockets")
}

func (e *launchError) sessionsLeft() bool {
	return strings.Contains(e.said, "pre-existing shared memory block")
}

// launchOnce starts the server on port and waits until it is ready.
func (p *Postgres) launchOnce(ctx context.Context, port int) error {
	path := p.Log()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	before, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	cmd := p.cluster.command("postgres", p.cluster.settings(port, p.settings)...)
	cmd.Stdout, cmd.Stderr = out, out
	c, err := startChild(cmd)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	p.child = c
	if err := p.awaitReady(ctx, c); err != nil {
		said, _ := os.ReadFile(path)
		return &launchError{err, strings.TrimSpace(string(said[min(before, int64(len(said))):]))}
	}
	return nil
}

// awaitReady waits for the line "ready" that the server writes to its pid
// file.
func (p *Postgres) awaitReady(ctx context.Context, c *child) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("PostgreSQL was not ready within %v", startTimeout))
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		select {
		case <-c.ended:
			return fmt.Errorf("PostgreSQL did not start in %s: %w", p.cluster.folder, c.err)
		case <-ctx.Done():
			_ = c.stop(&p.cluster, immediateShutdown)
			return context.Cause(ctx)
		case <-tick.C:
			if f := readPIDFile(p.cluster.folder); f.pid == c.process.Pid && f.status == "ready" {
				return nil
			}
		}
	}
}

// ensureDatabase makes the URL's database if it is absent; it is also the
// check that the password opens the server.
func (p *Postgres) ensureDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.url("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the database in %s: %w: is %s its password?",
			p.cluster.dir, err, filepath.Join(p.cluster.dir, passwordName))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", p.database).Scan(&there); err != nil {
		return fmt.Errorf("look for database %q: %w", p.database, err)
	}
	if there {
		return nil
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{p.database}.Sanitize()); err != nil {
		return fmt.Errorf("make database %q: %w", p.database, err)
	}
	return nil
}

// URL is the database's, with the superuser's name and password.
func (p *Postgres) URL() string { return p.url(p.database) }

func (p *Postgres) url(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, p.password),
		Host: "127.0.0.1:" + strconv.Itoa(p.port), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Port is where the server listens.
func (p *Postgres) Port() int { return p.port }

// Dir is the folder of the data.
func (p *Postgres) Dir() string { return p.cluster.dir }

// Installation says which PostgreSQL runs.
func (p *Postgres) Installation() Installation { return p.install }

// Log is the path of the server's log.
func (p *Postgres) Log() string { return filepath.Join(p.cluster.dir, logName) }

// Done is closed when the server has ended for good: by Close, or because it
// could not be kept running; Err tells.
func (p *Postgres) Done() <-chan struct{} { return p.keeper.done }

// Err is why the server could not be kept running, nil before Done is closed
// and after Close.
func (p *Postgres) Err() error { return p.keeper.failure() }

// Health is nil while the server runs, otherwise how it ended and what is
// done about it.
func (p *Postgres) Health() error { return p.keeper.health() }

// Dial connects to the server and to no other: while it does not run, its port
// may be somebody else's. It fits pgconn.Config.DialFunc.
func (p *Postgres) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := p.Health(); err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// Close stops the server, frees the folder, and removes it if it was a
// temporary one. It may be called more than once.
func (p *Postgres) Close() error {
	p.closing.Do(func() { p.closeErr = p.close() })
	return p.closeErr
}

func (p *Postgres) close() error {
	how := fastShutdown
	if p.cluster.temporary {
		how = immediateShutdown // nobody reads its data again
	}
	p.keeper.stop()
	err := p.child.stop(&p.cluster, how)
	if p.lock != nil {
		p.lock.Close()
	}
	if p.cluster.temporary && p.cluster.dir != "" {
		err = errors.Join(err, os.RemoveAll(p.cluster.dir))
	}
	p.sweeper.dismiss()
	return err
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
