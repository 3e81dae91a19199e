package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// minMajor is the oldest PostgreSQL that serves: the first with NULLS NOT
	// DISTINCT, which the tables' keys need.
	minMajor = 15
	// probeTimeout bounds `postgres --version` and `pg_config`.
	probeTimeout = 10 * time.Second
)

// Installation is a PostgreSQL on this machine.
type Installation struct {
	Bin     string // the folder of its programs
	Version string // as the server prints it, "15.14"
	Major   int
}

// binPlaces are folders of servers that are not in PATH: Debian, Red Hat,
// Alpine, Homebrew (three prefixes), MacPorts, Postgres.app, Windows.
var binPlaces = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/libexec/postgresql*",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/opt/local/lib/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	`C:\Program Files\PostgreSQL\*\bin`,
}

// search is what a server must satisfy, and what was refused on the way.
type search struct {
	account *account
	major   int // the data folder's, 0 for a new one
	refused []string
	seen    map[string]bool
}

// locate finds an installation: in bin if it is given, else in PATH, by
// pg_config, in the usual places, in the cache. ok is false when there is
// none.
func (s *search) locate(ctx context.Context, bin, cache string) (Installation, bool, error) {
	if bin != "" {
		in, err := s.probe(ctx, bin)
		if err != nil {
			return in, false, fmt.Errorf("no usable PostgreSQL in %s: %w", bin, err)
		}
		return in, true, nil
	}
	for _, dir := range candidates(ctx, cache) {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || s.seen[real] {
			continue
		}
		if s.seen == nil {
			s.seen = make(map[string]bool)
		}
		s.seen[real] = true
		in, err := s.probe(ctx, dir)
		if err == nil {
			return in, true, nil
		}
		if ctx.Err() != nil {
			return in, false, context.Cause(ctx)
		}
		if !errors.Is(err, os.ErrNotExist) {
			s.refused = append(s.refused, fmt.Sprintf("%s: %v", dir, err))
		}
	}
	return Installation{}, false, nil
}

func candidates(ctx context.Context, cache string) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	if path, err := exec.LookPath("pg_config"); err == nil {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		if out, err := exec.CommandContext(ctx, path, "--bindir").Output(); err == nil {
			dirs = append(dirs, strings.TrimSpace(string(out)))
		}
	}
	for _, place := range append(slices.Clone(binPlaces), filepath.Join(cache, cachedPrefix+"*", "bin")) {
		found, _ := filepath.Glob(place)
		slices.SortFunc(found, newestFirst)
		dirs = append(dirs, found...)
	}
	return dirs
}

var number = regexp.MustCompile(`\d+`)

// newestFirst orders folders by the first number in them that could be a
// version, greatest first.
func newestFirst(a, b string) int {
	version := func(path string) int {
		n, _ := strconv.Atoi(number.FindString(path))
		return n
	}
	return version(b) - version(a)
}

var versionLine = regexp.MustCompile(`\) ((\d+)[^\s]*)`)

// probe checks that the folder bin has a server that can be used.
func (s *search) probe(ctx context.Context, bin string) (Installation, error) {
	in := Installation{Bin: bin}
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(bin, program(name))); err != nil {
			return in, err
		}
	}
	if err := s.account.reaches(bin); err != nil {
		return in, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, program("postgres")), "--version").Output()
	if err != nil {
		return in, fmt.Errorf("postgres --version: %w", err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return in, fmt.Errorf("postgres --version answers %q", out)
	}
	in.Version = string(m[1])
	in.Major, _ = strconv.Atoi(string(m[2]))
	switch {
	case in.Major < minMajor:
		return in, fmt.Errorf("version %s is too old: %d or newer is needed", in.Version, minMajor)
	case s.major != 0 && in.Major != s.major:
		return in, fmt.Errorf("version %s can't open the data folder, which version %d made", in.Version, s.major)
	}
	return in, nil
}

// program is an executable's file name.
func program(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}
