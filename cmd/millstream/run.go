package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/pipeline"
)

func (a *app) runCommand() *cobra.Command {
	var noOpen bool
	flags := &sparkFlags{}
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a pipeline: engine and API, against the configured Kafka and PostgreSQL",
		Long: `Runs the engine and the API against the configured Kafka and PostgreSQL; with
--local against an embedded broker and a PostgreSQL of its own.

With --standby it waits while another process runs the pipeline, and takes over
when that one has ended, however it did. Without, it replaces one that runs.

The first SIGINT or SIGTERM drains and commits; a second one ends at once.`,
		Args: fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			def, err := a.definition(args[0])
			if err != nil {
				return err
			}
			onSpark, err := flags.onSpark()
			if err != nil {
				return err
			}
			if onSpark && a.config.Engine.Standby {
				return usageError{errors.New("--standby is for the native engine: leave out one of --standby and --engine spark")}
			}
			if onSpark {
				return a.runOnSpark(cmd, def, flags)
			}
			return a.runPipeline(cmd.Context(), def)
		},
	}
	settingsFlags(cmd)
	a.outputFlag(cmd)
	noOpenFlag(cmd, &noOpen)
	flags.add(cmd)
	flags.addEngine(cmd)
	return cmd
}

// noOpenFlag is accepted by verbs that people expect to open a browser; none
// does, so there is nothing to switch off.
func noOpenFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "no-open", false, "open no browser")
}

// definition loads a pipeline file and prints what it warns of.
func (a *app) definition(path string) (*pipeline.Definition, error) {
	def, err := pipeline.Load(path, a.config.Name, a.config.Schema)
	if err != nil {
		return nil, err
	}
	for _, w := range def.Warnings {
		printDiagnostic(a.err, w)
	}
	return def, nil
}

// runPipeline runs a definition until it ends.
func (a *app) runPipeline(ctx context.Context, def *pipeline.Definition) (err error) {
	useProcessors(&a.config.Config)
	boundGarbage(ctx)
	stack, err := a.stack(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if stack != nil {
			err = errors.Join(err, stack.Close())
		}
	}()
	stoodBy := false
	p, err := pipeline.Open(ctx, pipeline.Options{
		Definition: def, Config: &a.config.Config, Stack: stack, Logger: a.log, Standby: a.config.Engine.Standby,
		OnStandby: func(p *pipeline.Pipeline, leader string) {
			stoodBy = true
			a.announceStandby(p, leader)
		},
	})
	if errors.Is(err, pipeline.ErrStoodBy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.Close()
	defer a.note(p)()
	if stoodBy { // the addresses are known
		return p.Run(ctx)
	}
	announced := a.announce(ctx, p, stack)
	err = p.Run(ctx)
	<-announced
	return err
}

// stack starts the local stack if the settings ask for it.
func (a *app) stack(ctx context.Context) (*pipeline.Stack, error) {
	if !a.config.Local.Enabled {
		return nil, nil
	}
	o := pipeline.StackOptionsOf(&a.config.Config)
	o.Progress = a.fetchProgress()
	o.OnError = func(message string) { a.log.Error("embedded broker", "error", message) }
	o.Log = a.log
	return pipeline.StartStack(ctx, o)
}

// fetchProgress shows the download of PostgreSQL, on a terminal.
func (a *app) fetchProgress() func(done, total int64) {
	if a.config.Log.Quiet || !isTerminal(a.err) {
		return nil
	}
	bar := newByteBar(a.err, "fetching PostgreSQL")
	return func(done, total int64) {
		bar.ChangeMax64(max(total, 1))
		_ = bar.Set64(done)
		if done >= total {
			fmt.Fprintln(a.err)
		}
	}
}
