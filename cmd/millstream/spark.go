package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/spark"
)

// sparkFlags are the flags of verbs that submit to Spark.
type sparkFlags struct {
	engine string
	conf   []string
}

func (f *sparkFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.conf, "spark-conf", nil, "a setting of Spark, name=value; may be repeated")
}

// addEngine adds --engine, which chooses between native and spark.
func (f *sparkFlags) addEngine(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.engine, "engine", pipeline.NativeEngine, "native or spark")
}

// onSpark reads --engine.
func (f *sparkFlags) onSpark() (bool, error) {
	switch f.engine {
	case pipeline.NativeEngine:
		return false, nil
	case pipeline.SparkEngine:
		return true, nil
	}
	return false, usageError{fmt.Errorf("--engine %s: there are native and spark", f.engine)}
}

func (a *app) sparkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spark",
		Short: "Run a pipeline on Apache Spark: plan, submit, status, stop",
		Long: `Runs the same pipeline file on Apache Spark. SPARK_MASTER says where (local[*] by
default), SPARK_CHECKPOINT_LOCATION where Spark keeps its position and state.
validate FILE --engine spark tells, statement by statement, what is the same.`,
	}
	cmd.AddCommand(a.sparkPlanCommand(), a.sparkSubmitCommand(), a.sparkStatusCommand(), a.sparkStopCommand(), a.sparkRowsCommand())
	return cmd
}

func (a *app) sparkPlanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "Print the job's description: topics, Spark SQL, merge statements, as JSON",
		Args:  fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			def, err := a.definition(args[0])
			if err != nil {
				return err
			}
			job, err := pipeline.DescribeSpark(def, a.config.Schema)
			if err != nil {
				return err
			}
			e := json.NewEncoder(a.out)
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(job)
		},
	}
	settingsFlags(cmd, "name", "schema")
	return cmd
}

func (a *app) sparkSubmitCommand() *cobra.Command {
	flags := &sparkFlags{engine: pipeline.SparkEngine}
	cmd := &cobra.Command{
		Use:   "submit FILE",
		Short: "Deploy a pipeline, submit it to Spark and follow it",
		Args:  fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			def, err := a.definition(args[0])
			if err != nil {
				return err
			}
			return a.runOnSpark(cmd, def, flags)
		},
	}
	settingsFlags(cmd, "kafka.brokers", "database.url", "name", "schema", "engine.until_end", "spark.master", "spark.checkpoint_location", "spark.jars", "log.level", "log.format", "quiet")
	flags.add(cmd)
	return cmd
}

// runOnSpark submits a definition and waits for the application's end.
func (a *app) runOnSpark(cmd *cobra.Command, def *pipeline.Definition, flags *sparkFlags) error {
	p, err := pipeline.OpenSpark(cmd.Context(), pipeline.SparkOptions{
		Definition: def, Config: &a.config.Config, Logger: a.log, Conf: flags.conf, Output: a.err,
		OnStart: func(s *spark.Status) {
			if !a.config.Log.Quiet {
				fmt.Fprintf(a.out, "\n  millstream · %s on Spark %s\n\n  Spark's UI    %s\n  application   %s, %s\n\n  millstream spark status %s\n\n", s.Pipeline, s.Version, s.UI, s.Application, s.Master, def.Path)
			}
		},
	})
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Run(cmd.Context())
}

func (a *app) sparkStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status FILE",
		Short: "Show a pipeline's Spark application: its UI, its queries, how far they are",
		Args:  fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := a.sparkDatabase(cmd, args[0])
			if err != nil {
				return err
			}
			defer db.Close()
			s, err := spark.ReadStatus(cmd.Context(), db.Pool(), db.Pipeline())
			if err != nil {
				return err
			}
			if a.output == "json" {
				return a.printJSON(s)
			}
			a.printSparkStatus(s)
			return nil
		},
	}
	settingsFlags(cmd, "database.url", "name", "schema")
	a.outputFlag(cmd)
	return cmd
}

func (a *app) printSparkStatus(s *spark.Status) {
	t := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "%s\t%s, last seen %s\n", s.Pipeline, s.State, s.SeenAt.UTC().Format(time.RFC3339))
	if s.Message != "" {
		fmt.Fprintf(t, "\t%s\n", s.Message)
	}
	fmt.Fprintf(t, "application\t%s on Spark %s, %s\n", s.Application, s.Version, s.Master)
	if s.UI != "" && s.State == "running" {
		fmt.Fprintf(t, "Spark's UI\t%s\n", s.UI)
	}
	_ = t.Flush()
	fmt.Fprintln(a.out)
	t = tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "QUERY\tBATCH\tCOMMITTED\tWATERMARK\tROWS/S\tSTATE\tLATE")
	for _, q := range s.Queries {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%.0f\t%d\t%d\n", q.Query, q.Batch, timeText(q.CommittedAt), timeText(q.Watermark), q.RowsPerSec, q.StateRows, q.Dropped)
	}
	_ = t.Flush()
}

func timeText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func (a *app) sparkStopCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop FILE",
		Short: "Ask a pipeline's Spark application to end, and wait for it",
		Args:  fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := a.sparkDatabase(cmd, args[0])
			if err != nil {
				return err
			}
			defer db.Close()
			if err := spark.Stop(cmd.Context(), db.Pool(), db.Pipeline()); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s has stopped\n", db.Pipeline())
			return nil
		},
	}
	settingsFlags(cmd, "database.url", "name", "schema")
	return cmd
}

// sparkDatabase opens the database of a file's pipeline.
func (a *app) sparkDatabase(cmd *cobra.Command, path string) (*postgres.Database, error) {
	if err := a.load(cmd); err != nil {
		return nil, err
	}
	def, err := a.definition(path)
	if err != nil {
		return nil, err
	}
	db, err := postgres.Open(cmd.Context(), postgres.Config{
		URL: pipeline.DatabaseURL(&a.config.Config, nil), Pipeline: def.Name, Schema: a.config.Schema, Logger: a.log,
	})
	if err != nil {
		return nil, &pipeline.NotReadyError{What: "PostgreSQL", Err: err}
	}
	return db, nil
}

// sparkRowsCommand is what Spark's tasks start; nobody types it.
func (a *app) sparkRowsCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:    "rows",
		Short:  "Decode and evaluate records for a Spark task, over standard input and output",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			job, err := spark.ReadJob(file)
			if err != nil {
				return err
			}
			def, err := pipeline.Parse(job.File, job.SQL, job.Pipeline, job.Schema)
			if err != nil {
				return err
			}
			if def.Plan.Hash != job.Hash {
				return errors.New("spark rows: this program plans the definition otherwise than the driver's: the two are of different versions")
			}
			return spark.Rows(job, def.Plan, a.in, a.out)
		},
	}
	cmd.Flags().StringVar(&file, "job", "job.json", "the job's description")
	return cmd
}

// portable tells whether every statement runs on Spark.
func portable(report []spark.Portable) bool {
	return !slices.ContainsFunc(report, func(p spark.Portable) bool { return p.Verdict == spark.NotPortable })
}

// printPortability prints how each statement of a file runs on Spark.
func (a *app) printPortability(def *pipeline.Definition) error {
	report := spark.Portability(def.Plan)
	for _, p := range report {
		mark := map[string]string{spark.Same: "=", spark.SameBut: "≈", spark.NotPortable: "✗"}[p.Verdict]
		fmt.Fprintf(a.out, "%s %d %s", mark, p.Line, p.Statement)
		switch p.Verdict {
		case spark.Same:
			fmt.Fprintln(a.out, ": same")
			continue
		case spark.SameBut:
			fmt.Fprintln(a.out, ": same but for")
		default:
			fmt.Fprintln(a.out, ": not portable because")
		}
		for _, n := range p.Notes {
			fmt.Fprintf(a.out, "      %s\n", n)
		}
	}
	if !portable(report) {
		return usageError{errShown}
	}
	return nil
}
