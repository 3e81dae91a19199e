package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/local"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/internal/testbed"
)

// testTimeout bounds one script in one mode.
const testTimeout = 2 * time.Minute

func (a *app) testCommand() *cobra.Command {
	var modes []string
	cmd := &cobra.Command{
		Use:   "test FILE",
		Short: "Run the tests beside a pipeline file",
		Long: `Runs the *.test files beside a pipeline file (or one *.test file): events in order
of arrival, the clock, idle partitions, restarts, crashes; and the rows, late rows and
rejected records that are expected. Each runs on a broker and a PostgreSQL of its
own, and ends with a comparison against PostgreSQL's batch answer.`,
		Args: fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			return a.test(cmd.Context(), args[0], modes)
		},
	}
	cmd.Flags().StringSliceVar(&modes, "mode", []string{"plain"}, "how to run: plain, restart, workers-2, workers-3, single, or all")
	settingsFlags(cmd, "local.pg_bin", "log.level", "log.format", "quiet")
	a.outputFlag(cmd)
	return cmd
}

func (a *app) test(ctx context.Context, path string, names []string) (err error) {
	scripts, sql, err := findScripts(path)
	if err != nil {
		return usageError{err}
	}
	modes, err := findModes(names)
	if err != nil {
		return usageError{err}
	}
	server, err := local.StartPostgres(ctx, local.PostgresOptions{Bin: a.config.Local.PGBin, Port: -1, Progress: a.fetchProgress()})
	if err != nil {
		return &pipeline.NotReadyError{What: "PostgreSQL", Err: err}
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	open := testbed.Opener(testbed.Options{NewDatabase: databases(server.URL()), Logger: a.log, Engine: []string{program, testEngineVerb}})
	t := &testRun{app: a, open: open, sql: sql}
	for _, s := range scripts {
		for _, m := range modes {
			t.one(ctx, s, m)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return t.finish()
}

// testEngineVerb is the verb of engines that tests crash.
const testEngineVerb = "test-engine"

// testEngineCommand is what a test starts that crashes its engine; nobody types
// it.
func (a *app) testEngineCommand() *cobra.Command {
	return &cobra.Command{
		Use:    testEngineVerb,
		Short:  "Run an engine under the orders of a test, over standard input and output",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return testbed.RunEngine(cmd.Context(), a.in, a.out, slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
		},
	}
}

// testRun counts what the scripts gave.
type testRun struct {
	app            *app
	open           pipetest.Opener
	sql            string
	passed, failed int
	results        []testResult
}

type testResult struct {
	Script  string  `json:"script"`
	Mode    string  `json:"mode"`
	Passed  bool    `json:"passed"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

func (t *testRun) one(ctx context.Context, path string, mode pipetest.Mode) {
	began := time.Now()
	script, err := pipetest.Load(path)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, testTimeout)
		defer cancel()
		err = pipetest.Run(ctx, script, t.sql, t.open, mode)
	}
	if errors.Is(err, pipetest.ErrSkipped) {
		return
	}
	r := testResult{Script: path, Mode: mode.Name, Passed: err == nil, Seconds: time.Since(began).Seconds()}
	if err != nil {
		r.Error = err.Error()
		t.failed++
	} else {
		t.passed++
	}
	t.results = append(t.results, r)
	if t.app.output == "json" {
		return
	}
	if err == nil {
		fmt.Fprintf(t.app.out, "✓ %s (%s, %.1f s)\n", path, mode.Name, r.Seconds)
		return
	}
	fmt.Fprintf(t.app.out, "✗ %s (%s)\n%s\n", path, mode.Name, indent(r.Error))
}

func (t *testRun) finish() error {
	if t.app.output == "json" {
		if err := t.app.printJSON(t.results); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(t.app.out, "%d passed, %d failed\n", t.passed, t.failed)
	}
	if t.failed > 0 {
		return errTestsFailed
	}
	return nil
}

// findScripts gives the test files of a pipeline file, a folder, or itself.
func findScripts(path string) (scripts []string, sql string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	dir := path
	switch {
	case strings.HasSuffix(path, ".test"):
		return []string{path}, "", nil
	case !info.IsDir():
		sql, dir = path, filepath.Dir(path)
	}
	scripts, err = filepath.Glob(filepath.Join(dir, "*.test"))
	if err == nil && len(scripts) == 0 {
		err = fmt.Errorf("no *.test file is beside %s\n→ docs/testing.md shows how to write one", path)
	}
	return scripts, sql, err
}

func findModes(names []string) ([]pipetest.Mode, error) {
	var out []pipetest.Mode
	for _, name := range names {
		if name == "all" {
			return pipetest.Modes, nil
		}
		m, err := pipetest.FindMode(name)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// databases makes databases on a server, numbered.
func databases(server string) testbed.NewDatabase {
	n := 0
	return func(ctx context.Context) (string, func() error, error) {
		n++
		return createDatabase(ctx, server, fmt.Sprintf("test_%d", n))
	}
}

func createDatabase(ctx context.Context, server, name string) (string, func() error, error) {
	execute := func(ctx context.Context, sql string) error {
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, sql)
		return err
	}
	id := pgx.Identifier{name}.Sanitize()
	if err := execute(ctx, "CREATE DATABASE "+id); err != nil {
		return "", nil, err
	}
	drop := func() error { return execute(context.Background(), "DROP DATABASE "+id+" WITH (FORCE)") }
	return withDatabase(server, name), drop, nil
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }

// withDatabase gives a server's URL for another of its databases.
func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // the supervisor made it
	}
	u.Path = "/" + name
	return u.String()
}
