package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/test/oracle"
)

func (a *app) verifyCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Recompute the views as a batch in PostgreSQL and compare row for row",
		Long: `Reads the topics from their start into a scratch schema, lets PostgreSQL compute
each view's query over them, and compares with the tables: row for row, both
ways. Late and rejected records are recomputed too. Ends with 1 if a row differs.`,
		Args: fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			def, err := a.definition(args[0])
			if err != nil {
				return err
			}
			if err := a.useRunning(def.Name); err != nil {
				return err
			}
			servers := pipeline.KafkaServers(&a.config.Config, nil, def.Plan, "")
			brokers := map[string][]string{}
			for name, s := range servers {
				brokers[name] = s.Brokers
			}
			options := oracle.Options{
				SQL: def.Plan.Text, Pipeline: def.Name, DatabaseURL: pipeline.DatabaseURL(&a.config.Config, nil), Brokers: brokers,
				MaxDifferences: limit, Client: clientOptions(servers),
			}
			if a.output == "text" && !a.config.Log.Quiet && isTerminal(a.err) {
				options.Progress = func(step string) { fmt.Fprintf(a.err, "  %s\n", step) }
			}
			report, err := oracle.Verify(cmd.Context(), options)
			if err != nil {
				return &pipeline.NotReadyError{What: "verify", Err: err}
			}
			return a.verified(report)
		},
	}
	cmd.Flags().IntVar(&limit, "show", oracle.DefaultMaxDifferences, "differences of each kind to show")
	settingsFlags(cmd, "kafka.brokers", "database.url", "name", "schema", "log.level", "log.format", "quiet")
	a.outputFlag(cmd)
	return cmd
}

// clientOptions gives how the independent reader reaches each cluster.
func clientOptions(servers map[string]kafka.Config) func(string) []kgo.Opt {
	return func(server string) []kgo.Opt {
		opts, err := servers[server].ClientOptions()
		if err != nil {
			return nil // the same error was told when the settings were read
		}
		return opts
	}
}

func (a *app) verified(r *oracle.Report) error {
	if a.output == "json" {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		for _, v := range r.Views {
			mark := "✓"
			if v.Differences > 0 {
				mark = "✗"
			}
			fmt.Fprintf(a.out, "%s %s: %d rows compared, %d differ\n", mark, v.View, v.Rows, v.Differences)
		}
		for _, d := range r.Differences {
			fmt.Fprintf(a.out, "  %s\n", d)
		}
		for _, u := range r.Unchecked {
			fmt.Fprintf(a.out, "! not checked: %s\n", u)
		}
	}
	if r.Total > 0 {
		return fmt.Errorf("%d differences, as of commit %d (%d records)", r.Total, r.Seq, r.Records)
	}
	if a.output == "text" {
		checked := "everything checked"
		if len(r.Unchecked) > 0 {
			checked = "except what is named above"
		}
		fmt.Fprintf(a.out, "equal, row for row, as of commit %d: %d records, %s\n", r.Seq, r.Records, checked)
	}
	return nil
}

var errTestsFailed = errors.New("tests failed")
