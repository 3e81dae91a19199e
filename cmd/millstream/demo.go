package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/pipeline"
)

// demoPipeline is the pipeline that `millstream demo` runs.
//
//go:embed demo.sql
var demoPipeline string

// demoRate is the sample traffic of the demo, in events a second: enough that
// numbers move, little enough for a laptop on battery.
const demoRate = 200

func (a *app) demoCommand() *cobra.Command {
	var keep string
	var noOpen bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything in one process, with sample traffic",
		Long: `Starts a broker, a database, the engine and the API in one process, sends sample
events, and shows the first results. Nothing is written outside a temporary
folder; --keep DIR keeps it.`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			a.config.Local.Enabled = true
			if keep != "" {
				a.config.Local.Data = keep
			}
			return a.demo(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "", "folder that keeps the data")
	settingsFlags(cmd, "serve.listen", "local.pg_bin", "local.host", "log.level", "log.format", "quiet", "engine.commit_interval")
	a.outputFlag(cmd)
	noOpenFlag(cmd, &noOpen)
	return cmd
}

func (a *app) demo(ctx context.Context) (err error) {
	began := time.Now()
	// The parser and the local stack each take their time to start.
	type parsed struct {
		def *pipeline.Definition
		err error
	}
	parsing := make(chan parsed, 1)
	go func() {
		def, err := pipeline.Parse("demo.sql", demoPipeline, "demo", a.config.Schema)
		parsing <- parsed{def, err}
	}()
	stack, err := a.stack(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	result := <-parsing
	if result.err != nil {
		return result.err
	}
	p, err := pipeline.Open(ctx, pipeline.Options{
		Definition: result.def, Config: &a.config.Config, Stack: stack, Logger: a.log, Rebuild: true,
	})
	if err != nil {
		return err
	}
	defer p.Close()
	defer a.note(p)()

	trafficCtx, stopTraffic := context.WithCancel(ctx)
	defer stopTraffic()
	traffic := make(chan error, 1)
	go func() { traffic <- sampleTraffic(trafficCtx, p, stack) }()
	announced := a.announce(ctx, p, stack)
	showing := make(chan struct{})
	go func() {
		defer close(showing)
		<-announced
		if a.output != "json" && !a.config.Log.Quiet {
			a.showResults(trafficCtx, p, began)
		}
	}()
	err = p.Run(ctx)
	stopTraffic()
	<-showing
	if sendErr := <-traffic; sendErr != nil && ctx.Err() == nil {
		err = errors.Join(err, fmt.Errorf("sample traffic: %w", sendErr))
	}
	return err
}
