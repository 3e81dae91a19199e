package local

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// pidFile is what a server writes about itself into its data folder.
type pidFile struct {
	pid    int
	port   int
	status string // "starting", "ready", "stopping"
}

// The lines of postmaster.pid that are read.
const (
	pidLine    = 0
	portLine   = 3
	statusLine = 7
)

// readPIDFile reads it; all zero if there is none or it is half written.
func readPIDFile(folder string) pidFile {
	text, err := os.ReadFile(filepath.Join(folder, "postmaster.pid"))
	if err != nil {
		return pidFile{}
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) <= statusLine {
		lines = append(lines, make([]string, statusLine+1-len(lines))...)
	}
	var f pidFile
	f.pid, _ = strconv.Atoi(strings.TrimSpace(lines[pidLine]))
	f.port, _ = strconv.Atoi(strings.TrimSpace(lines[portLine]))
	f.status = strings.TrimSpace(lines[statusLine])
	return f
}

// stopStale stops a server that a killed process of ours left on the folder.
// We hold the folder's lock, so nobody uses it. A process id that now belongs
// to another program is left alone: PostgreSQL's own start check judges it.
func (c *cluster) stopStale(ctx context.Context, password string) error {
	f := readPIDFile(c.folder)
	if f.pid <= 0 || !alive(f.pid) {
		return nil
	}
	serves, sure := servesFolder(f.pid, c.folder)
	if !sure {
		serves = c.answers(ctx, f, password)
	}
	if !serves {
		return nil
	}
	for _, how := range []syscall.Signal{fastShutdown, immediateShutdown} {
		if err := signalServer(c, f.pid, how); err != nil {
			return fmt.Errorf("stop the server left on %s (process %d): %w", c.folder, f.pid, err)
		}
		if c.gone(ctx, f.pid) {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("a server left on %s (process %d) does not stop: end it, then start again", c.folder, f.pid)
}

// answers tells whether the server of the pid file is the one of our folder,
// by asking it.
func (c *cluster) answers(ctx context.Context, f pidFile, password string) bool {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, password),
		Host: "127.0.0.1:" + strconv.Itoa(f.port), Path: "/postgres", RawQuery: "sslmode=disable",
	}
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return false
	}
	defer conn.Close(ctx)
	var folder string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&folder); err != nil {
		return false
	}
	a, errA := os.Stat(folder)
	b, errB := os.Stat(c.folder)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// gone waits until a server that is not our child has ended: its pid file is
// removed last.
func (c *cluster) gone(ctx context.Context, pid int) bool {
	ctx, cancel := context.WithTimeout(ctx, orphanTimeout)
	defer cancel()
	for {
		if f := readPIDFile(c.folder); f.pid != pid || !alive(pid) {
			return true
		}
		if wait(ctx, readyPoll) != nil {
			return false
		}
	}
}
