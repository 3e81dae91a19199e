package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/pipeline"
)

// shownDifferences is how many differences of a table are printed.
const shownDifferences = 10

func (a *app) diffCommand() *cobra.Command {
	flags := &sparkFlags{}
	var engines string
	cmd := &cobra.Command{
		Use:   "diff FILE --engine native,spark",
		Short: "Replay the topics through both engines and compare every table",
		Long: `Reads the topics of a pipeline from their start to their ends by the native engine
and by Spark, into a database of its own that is dropped afterwards, and compares
every table, and the quarantine, row for row. The topics must be at rest. Ends with
1 if a row differs. Counted and left out are rows of emit 'final' whose window is
closed on one engine only, and rows of windows for which the native engine refused a
record as late: Spark's watermark is another one.`,
		Args: fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			if engines != pipeline.NativeEngine+","+pipeline.SparkEngine {
				return usageError{fmt.Errorf("--engine %s: what can be compared is native,spark", engines)}
			}
			if _, err := a.definition(args[0]); err != nil {
				return err
			}
			printed := io.Discard
			if strings.EqualFold(a.config.Log.Level, "debug") {
				printed = a.err
			}
			d, err := pipeline.CompareEngines(cmd.Context(), pipeline.DiffOptions{
				Path: args[0], Config: &a.config.Config, Logger: a.log, Conf: flags.conf, Output: printed, Limit: shownDifferences,
			})
			if err != nil {
				return err
			}
			return a.printDiff(d)
		},
	}
	settingsFlags(cmd, "kafka.brokers", "database.url", "spark.master", "spark.jars", "log.level", "log.format", "quiet")
	cmd.Flags().StringVar(&engines, "engine", pipeline.NativeEngine+","+pipeline.SparkEngine, "the engines to compare")
	flags.add(cmd)
	a.outputFlag(cmd)
	return cmd
}

func (a *app) printDiff(d *pipeline.Diff) error {
	if a.output == "json" {
		if err := a.printJSON(d); err != nil {
			return err
		}
	} else {
		for _, t := range d.Tables {
			mark := "✓"
			if t.Differences > 0 {
				mark = "✗"
			}
			fmt.Fprintf(a.out, "%s %s: %d rows compared, %d differ", mark, t.Table, t.Rows, t.Differences)
			if t.Open > 0 {
				fmt.Fprintf(a.out, ", %d of windows that are closed on one engine only left out", t.Open)
			}
			if t.Late > 0 {
				fmt.Fprintf(a.out, ", %d of windows with late records left out", t.Late)
			}
			fmt.Fprintln(a.out)
			for _, s := range t.Shown {
				fmt.Fprintf(a.out, "  %s\n", s)
			}
		}
	}
	if n := d.Total(); n > 0 {
		return fmt.Errorf("%d differences", n)
	}
	return nil
}
