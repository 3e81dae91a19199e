package local

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

const (
	clusterName  = "cluster"  // PGDATA
	passwordName = "password" // of the superuser, 0600
	logName      = "postgresql.log"
	superuser    = "postgres"
	// passwordBytes of entropy: 192 bits, as text 32 characters.
	passwordBytes = 24
)

// cluster is a PostgreSQL data folder with what belongs to it.
type cluster struct {
	dir       string // holds lock, password, log and the data folder
	folder    string // PGDATA
	bin       string
	major     int
	account   *account
	temporary bool // its data need not survive a crash of the machine
}

// dataMajor is the version that made a data folder, 0 if there is none.
func dataMajor(folder string) int {
	text, err := os.ReadFile(filepath.Join(folder, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return major
}

// keptVariables are those of our environment that the server gets: what
// programs need to run at all, and none of our secrets.
var keptVariables = []string{
	"PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "TEMP", "TMP", "USERPROFILE", "COMSPEC", "PATHEXT",
}

// command is one of PostgreSQL's programs, run as the account.
func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, program(name)), args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"HOME=" + c.dir, "TZ=UTC", "LC_MESSAGES=C"}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if slices.Contains(keptVariables, strings.ToUpper(name)) {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.SysProcAttr = c.account.attributes()
	return cmd
}

// prepare makes the data folder if there is none, and gives the superuser's
// password.
func (c *cluster) prepare(ctx context.Context) (password string, err error) {
	path := filepath.Join(c.dir, passwordName)
	if dataMajor(c.folder) != 0 {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("the password of the database in %s can't be read: %w: "+
				"put the file back, or remove the folder to begin anew", c.dir, err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	secret := make([]byte, passwordBytes)
	rand.Read(secret) // never fails
	password = base64.RawURLEncoding.EncodeToString(secret)
	if err := writePrivate(path, password); err != nil {
		return "", fmt.Errorf("keep the database's password: %w", err)
	}
	return password, c.initialise(ctx, password)
}

// writePrivate writes a file that only we can read, even if it was there
// with wider rights.
func writePrivate(path, text string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(text+"\n"), 0o600)
}

// initialise makes a data folder beside its place and moves it there when it
// is complete: a half-made one is never taken for a cluster.
func (c *cluster) initialise(ctx context.Context, password string) error {
	fresh := c.folder + ".new"
	var failure error
	for _, locale := range c.locales() {
		if err := os.RemoveAll(fresh); err != nil {
			return err
		}
		if err := os.Mkdir(fresh, 0o700); err != nil {
			return err
		}
		if err := c.account.own(fresh); err != nil {
			return err
		}
		out, err := c.initdb(ctx, fresh, password, locale)
		if err == nil {
			return os.Rename(fresh, c.folder)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		failure = fmt.Errorf("initdb in %s: %w\n%s", fresh, err, strings.TrimSpace(string(out)))
		if !strings.Contains(string(out), "locale") {
			break
		}
	}
	return failure
}

// locales are the locale options to try, best first: characters as in
// C.UTF-8, however this system calls it. Without any of them (old macOS),
// only ASCII letters have a case.
func (c *cluster) locales() [][]string {
	builtin := []string{"--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"}
	all := [][]string{{"--locale=C.UTF-8"}, {"--locale=C.utf8"}}
	if runtime.GOOS == "windows" {
		all = nil // it takes C.UTF-8 for a name and means something else
	}
	if c.major >= 17 {
		all = append(all, builtin)
	}
	return append(all, []string{"--locale=C"})
}

func (c *cluster) initdb(ctx context.Context, folder, password string, locale []string) ([]byte, error) {
	pwfile := filepath.Join(c.dir, "password.new")
	if err := writePrivate(pwfile, password); err != nil {
		return nil, err
	}
	defer os.Remove(pwfile)
	if err := c.account.own(pwfile); err != nil {
		return nil, err
	}
	args := append([]string{
		"--pgdata", folder, "--username", superuser, "--pwfile", pwfile,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions",
	}, locale...)
	if c.temporary {
		args = append(args, "--no-sync")
	}
	return run(ctx, c.command("initdb", args...))
}

// run runs cmd to its end and gives its output. The thread is held, since a
// child with a death signal gets it when its thread ends.
func run(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	err := cmd.Wait()
	return []byte(out.String()), err
}

// settings are the server's, on its command line: they hold for each start,
// whatever the folder's own file says.
func (c *cluster) settings(port int, extra map[string]string) []string {
	set := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": "", // no files outside of the folder
		"track_commit_timestamp":  "on",
		"max_connections":         "200", // engine, API, and a person's tools beside them
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"lc_messages":             "C", // the log is read for what went wrong
		"log_checkpoints":         "off",
		"logging_collector":       "off",
		"max_wal_size":            "2GB", // fewer checkpoints under a stream of commits
		"fsync":                   "on",
		"full_page_writes":        "on",
	}
	if c.temporary {
		set["fsync"] = "off"
		set["full_page_writes"] = "off"
		set["wal_level"] = "minimal"
		set["max_wal_senders"] = "0"
	}
	for k, v := range extra {
		set[k] = v
	}
	args := []string{"-D", c.folder}
	for k, v := range set {
		args = append(args, "-c", k+"="+v)
	}
	return args
}
