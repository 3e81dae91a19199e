package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/doctor"
	"github.com/millstream-dev/millstream/internal/pipeline"
)

func (a *app) doctorCommand() *cobra.Command {
	var timeout time.Duration
	flags := &sparkFlags{}
	cmd := &cobra.Command{
		Use:   "doctor [FILE]",
		Short: "Check the surroundings: Kafka, PostgreSQL, rights, clocks, settings, disk",
		Long: `Looks at everything that a pipeline needs around it, changes nothing, and gives
each finding with its cure. With a pipeline file it also looks at its topics
(partitions, rights, retention against the windows), at its position and, with
--engine spark, at what Spark needs.

  millstream doctor                        the configured Kafka and PostgreSQL
  millstream doctor pipeline.sql           … for this pipeline
  millstream doctor pipeline.sql --local   what the embedded ones need

Ends with 0 if a pipeline can run (warnings included), with 3 if it can't.`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			onSpark, err := flags.onSpark()
			if err != nil {
				return err
			}
			if timeout <= 0 {
				return usageError{fmt.Errorf("--timeout %s: it must be more than nothing", timeout)}
			}
			o := doctor.Options{Config: a.config, Spark: onSpark, Timeout: timeout}
			if len(args) == 1 {
				if o.Definition, err = a.definition(args[0]); err != nil {
					return err
				}
			}
			if !a.config.Local.Enabled {
				name := a.config.Name
				if o.Definition != nil {
					name = o.Definition.Name
				}
				if err := a.useRunning(name); err != nil {
					return err
				}
			}
			return a.examined(doctor.Run(cmd.Context(), o))
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", doctor.DefaultTimeout, "how long each part may take to answer")
	flags.addEngine(cmd)
	settingsFlags(cmd)
	a.outputFlag(cmd)
	return cmd
}

// errNotReady ends doctor when something has failed; what, was printed.
var errNotReady = &pipeline.NotReadyError{What: "doctor", Err: errShown}

func (a *app) examined(r *doctor.Report) error {
	if a.output == "json" {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else {
		printReport(a.out, r, a.config.Log.Quiet)
	}
	if !r.Ready {
		return errNotReady
	}
	return nil
}

// printReport prints findings; quiet leaves out what is as it should be.
func printReport(w io.Writer, r *doctor.Report, quiet bool) {
	marks := map[doctor.State]string{doctor.Fine: "✓", doctor.Warning: "!", doctor.Failed: "✗", doctor.Unknown: "?"}
	for _, f := range r.Findings {
		if quiet && f.State == doctor.Fine {
			continue
		}
		fmt.Fprintf(w, "%s %-27s %s\n", marks[f.State], f.Check, f.Message)
		if f.Cure != "" {
			fmt.Fprintf(w, "  → %s\n", f.Cure)
		}
	}
	if quiet {
		return
	}
	fmt.Fprintf(w, "\n%d ok, %s, %d failed", r.Count(doctor.Fine), count(r.Count(doctor.Warning), "warning"), r.Count(doctor.Failed))
	if n := r.Count(doctor.Unknown); n > 0 {
		fmt.Fprintf(w, ", %d not answered", n)
	}
	fmt.Fprintln(w)
}
