package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/codes"
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

func (a *app) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain FILE | CODE",
		Short: "Show a pipeline's plan, or what an error code means",
		Long: `Shows the plan of a pipeline file: for each view its inputs, the columns that are
decoded, filter, window, keys, aggregates, watermark, and the bound of its state.

With a code from an error message (MS1001) it tells what the error means.`,
		Args: fileArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			if isCode(args[0]) {
				return a.explainCode(strings.ToUpper(args[0]))
			}
			def, err := a.definition(args[0])
			if err != nil {
				return err
			}
			if a.output == "json" {
				e := json.NewEncoder(a.out)
				e.SetIndent("", "  ")
				e.SetEscapeHTML(false)
				return e.Encode(plan.Describe(def.Plan))
			}
			fmt.Fprint(a.out, plan.Explain(def.Plan))
			return nil
		},
	}
	settingsFlags(cmd, "name", "schema")
	a.outputFlag(cmd)
	return cmd
}

func isCode(s string) bool {
	return len(s) == 6 && strings.EqualFold(s[:2], "MS") && strings.Trim(s[2:], "0123456789") == ""
}

func (a *app) explainCode(code string) error {
	all := codes.All()
	text, ok := all[code]
	if !ok {
		hint := ""
		if c := diag.Closest(code, slices.Sorted(maps.Keys(all))); c != "" {
			hint = fmt.Sprintf("\n→ did you mean %s?", c)
		}
		return usageError{fmt.Errorf("there is no code %s%s", code, hint)}
	}
	fmt.Fprintf(a.out, "%s\n%s\n", code, text)
	return nil
}
