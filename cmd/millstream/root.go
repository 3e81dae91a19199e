package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/telemetry"
)

// Exit codes.
const (
	exitFine      = 0
	exitFailed    = 1 // at run time
	exitInvalid   = 2 // invalid input or pipeline
	exitNotReady  = 3 // surroundings not ready
	exitInterrupt = 130
	exitTerminate = 143
)

// app is what every verb shares: where it reads and writes, and the settings.
type app struct {
	in       io.Reader
	out, err io.Writer
	config   *config.Loaded
	log      *slog.Logger
	output   string // of -o: text or json
}

// usageError is an error in how the command line is written.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }

func (e usageError) Unwrap() error { return e.err }

// execute runs the command line and gives the exit code.
func execute(args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: out, err: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	ctx, stop := signals()
	defer stop()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	a.report(err)
	return exitCode(err)
}

// signals gives a context that ends at the first SIGINT or SIGTERM: then the
// pipeline drains and commits. A second one ends the process at once.
func signals() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-c; !ok {
			return
		}
		cancel()
		if s, ok := <-c; ok {
			if s == os.Interrupt {
				os.Exit(exitInterrupt)
			}
			os.Exit(exitTerminate)
		}
	}()
	return ctx, func() {
		signal.Stop(c)
		close(c)
		cancel()
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "millstream",
		Short: "Real-time pipelines from Kafka to PostgreSQL, written as one file of SQL",
		Long: `Millstream keeps PostgreSQL tables up to date from Kafka topics, exactly once.
A pipeline is one .sql file (or a folder of them) in PostgreSQL's own grammar.

  millstream demo                          see it work, with nothing installed
  millstream run pipeline.sql --local      your pipeline, with an embedded broker and database
  millstream run pipeline.sql              … against the configured Kafka and PostgreSQL`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return a.unknownVerb(cmd, args[0])
		},
	}
	root.SetFlagErrorFunc(unknownFlag)
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		a.demoCommand(), a.devCommand(), a.runCommand(), a.produceCommand(), a.testEngineCommand(),
		a.validateCommand(), a.explainCommand(), a.testCommand(), a.verifyCommand(),
		a.topicsCommand(), a.peekCommand(), a.quarantineCommand(), a.lateCommand(), a.keysCommand(), a.configCommand(), a.healthcheckCommand(), a.versionCommand(), a.sparkCommand(), a.diffCommand(),
		a.doctorCommand(), a.initCommand(),
	)
	return root
}

func (a *app) unknownVerb(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	hint := "millstream --help lists the verbs"
	if c := diag.Closest(name, names); c != "" {
		hint = fmt.Sprintf("did you mean `millstream %s`?", c)
	}
	return usageError{fmt.Errorf("unknown verb %q\n→ %s", name, hint)}
}

// unknownFlag adds the flag that was meant to an error about one.
func unknownFlag(cmd *cobra.Command, err error) error {
	hint := cmd.CommandPath() + " --help lists the flags"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if c := diag.Closest(unknown.GetSpecifiedName(), names); c != "" {
			hint = "did you mean --" + c + "?"
		}
	}
	return usageError{fmt.Errorf("%w\n→ %s", err, hint)}
}

// settingsFlags adds flags for the settings of the given keys, all those that
// have a flag if none are given.
func settingsFlags(cmd *cobra.Command, keys ...string) {
	for _, s := range config.Settings {
		if s.Flag == "" || len(keys) > 0 && !slices.Contains(keys, s.Key) {
			continue
		}
		flag := cmd.Flags().VarPF(&settingFlag{kind: s.Kind()}, s.Flag, "", fmt.Sprintf("%s [%s]", s.Doc, s.Env))
		if s.Kind() == config.Switch {
			flag.NoOptDefVal = "true" // it is true when the flag stands alone
		}
	}
}

// settingFlag keeps what was given; config.Load reads it, with what the other
// sources say.
type settingFlag struct {
	kind  config.Kind
	value string
}

func (f *settingFlag) String() string     { return f.value }
func (f *settingFlag) Set(v string) error { f.value = v; return nil }
func (f *settingFlag) Type() string       { return string(f.kind) }

// load reads the settings and makes the logger.
func (a *app) load(cmd *cobra.Command) error {
	flags := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) { flags[f.Name] = f.Value.String() })
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	a.config, err = config.Load(config.Sources{Flags: flags, Environ: os.Environ(), Dir: dir})
	if err != nil {
		return err
	}
	format := telemetry.LogFormat(a.config.Log.Format)
	if format == "auto" {
		format = telemetry.LogAuto
	}
	a.log, err = telemetry.NewLogger(a.err, telemetry.LogOptions{Level: a.config.Log.Level, Format: format, Quiet: a.config.Log.Quiet})
	if err != nil {
		return usageError{err}
	}
	return nil
}

// outputFlag adds -o to a verb.
func (a *app) outputFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.output, "output", "o", "text", "text or json")
	previous := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if a.output != "text" && a.output != "json" {
			return usageError{fmt.Errorf("-o %s: only text and json are there", a.output)}
		}
		if previous != nil {
			return previous(cmd, args)
		}
		return nil
	}
}

// fileArgument is the check of verbs that take a pipeline file.
func fileArgument(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 1:
		return nil
	case 0:
		return usageError{fmt.Errorf("which pipeline file?\n→ %s pipeline.sql", cmd.CommandPath())}
	}
	return usageError{fmt.Errorf("one pipeline file or folder is taken, not %d", len(args))}
}

// usage makes what a check of arguments finds an error in the command line.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w\n→ %s --help tells what it takes", err, cmd.CommandPath())}
		}
		return nil
	}
}

// report prints an error as a person reads it.
func (a *app) report(err error) {
	if errors.Is(err, errShown) {
		return
	}
	list := diag.From(err)
	if list == nil {
		var changed *postgres.ChangedError
		var notReady *pipeline.NotReadyError
		var lost *engine.LostError
		fmt.Fprintf(a.err, "✗ %v\n", err)
		if errors.As(err, &notReady) {
			a.hint(notReady)
		}
		if errors.As(err, &lost) {
			fmt.Fprintln(a.err, lossHint(lost))
		}
		if errors.As(err, &changed) {
			fmt.Fprintln(a.err, "→ `millstream dev` builds it anew from the log; under another --name it runs beside the old one")
		}
		return
	}
	for _, d := range list {
		printDiagnostic(a.err, d)
	}
}

// lossHint tells what can be done when Kafka no longer has what was not read.
func lossHint(e *engine.LostError) string {
	if loss, ok := e.Acceptable(); ok {
		return fmt.Sprintf("→ `--accept-loss %s` goes on without these records and notes it in the commit; under another --name the pipeline is built from what Kafka still holds", loss)
	}
	return "→ offsets no longer name the records that were read, so its tables can't be continued: under another --name the pipeline is built from what Kafka holds"
}

// hint tells how to say where a part is that nobody has told of.
func (a *app) hint(e *pipeline.NotReadyError) {
	var connect *pgconn.ConnectError
	if a.config != nil && errors.As(e, &connect) && !a.config.Local.Enabled && !a.databaseSaid() {
		fmt.Fprintln(a.err, "→ say where PostgreSQL is by DATABASE_URL or --database-url; `millstream run FILE --local` brings one")
	}
}

// printDiagnostic prints place and message, what is there, and the fix.
func printDiagnostic(w io.Writer, d *diag.Diagnostic) {
	mark := "✗"
	if d.Warning {
		mark = "!"
	}
	place := d.Pos.String()
	if place != "" {
		place += " "
	}
	fmt.Fprintf(w, "%s %s%s", mark, place, d.Message)
	if d.Code != "" {
		fmt.Fprintf(w, " [%s]", d.Code)
	}
	fmt.Fprintln(w)
	for _, line := range strings.Split(d.Detail, "\n") {
		if line != "" {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	if d.Hint != "" {
		fmt.Fprintf(w, "  → %s\n", d.Hint)
	}
}

func exitCode(err error) int {
	var usage usageError
	var notReady *pipeline.NotReadyError
	var changed *postgres.ChangedError
	switch {
	case errors.As(err, &usage), diag.From(err) != nil, errors.As(err, &changed):
		return exitInvalid
	case errors.As(err, &notReady):
		return exitNotReady
	}
	return exitFailed
}
