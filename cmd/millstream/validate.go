package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/spark"
)

func (a *app) validateCommand() *cobra.Command {
	flags := &sparkFlags{}
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a pipeline file, offline",
		Args:  fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			onSpark, err := flags.onSpark()
			if err != nil {
				return err
			}
			def, err := pipeline.Load(args[0], a.config.Name, a.config.Schema)
			if a.output == "json" {
				return a.validateJSON(def, err, onSpark)
			}
			if err != nil {
				return err
			}
			for _, w := range def.Warnings {
				printDiagnostic(a.err, w)
			}
			fmt.Fprintf(a.out, "✓ %s: %s\n", args[0], summary(def.Plan))
			if onSpark {
				return a.printPortability(def)
			}
			return nil
		},
	}
	settingsFlags(cmd, "name", "schema")
	flags.addEngine(cmd)
	a.outputFlag(cmd)
	return cmd
}

// errShown stands for an error that was printed already.
var errShown = errors.New("")

func (a *app) validateJSON(def *pipeline.Definition, err error, onSpark bool) error {
	type problem struct {
		Code    string `json:"code"`
		File    string `json:"file"`
		Line    int    `json:"line"`
		Column  int    `json:"column"`
		Message string `json:"message"`
		Detail  string `json:"detail,omitempty"`
		Hint    string `json:"hint,omitempty"`
		Warning bool   `json:"warning,omitempty"`
	}
	problems := []problem{}
	list := diag.From(err)
	if err == nil {
		list = def.Warnings
	} else if list == nil {
		return err
	}
	for _, d := range list {
		problems = append(problems, problem{d.Code, d.Pos.File, d.Pos.Line, d.Pos.Column, d.Message, d.Detail, d.Hint, d.Warning})
	}
	answer := map[string]any{"valid": err == nil, "problems": problems}
	if err == nil && onSpark {
		report := spark.Portability(def.Plan)
		answer["spark"] = report
		if !portable(report) {
			answer["valid"], err = false, errShown
		}
	}
	if printErr := a.printJSON(answer); printErr != nil {
		return printErr
	}
	if err != nil {
		return usageError{errShown}
	}
	return nil
}

func summary(p *plan.Pipeline) string {
	counts := []string{count(len(p.Topics), "topic"), count(len(p.Views), "materialized view")}
	others := 0
	for _, s := range p.Statements {
		if s.Kind != plan.StatementView {
			others++
		}
	}
	if others > 0 {
		counts = append(counts, count(others, "further statement"))
	}
	return strings.Join(counts, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
