package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/codes"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/plan"
)

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
				return a.printJSON(plan.Describe(def.Plan))
			}
			fmt.Fprint(a.out, plan.Explain(def.Plan))
			return nil
		},
	}
	settingsFlags(cmd, "name", "schema")
	a.outputFlag(cmd)
	cmd.AddCommand(a.explainTopics()...)
	return cmd
}

// explainTopics are what else explain knows, each a subcommand: `explain TOPIC
// …`. A pipeline file of such a name is given as ./TOPIC.
func (a *app) explainTopics() []*cobra.Command { return []*cobra.Command{a.explainWindowCommand()} }

// isCode tells an error code from a file's name.
func isCode(s string) bool {
	return len(s) == 6 && strings.EqualFold(s[:2], "MS") && strings.Trim(s[2:], "0123456789") == ""
}

func (a *app) explainCode(code string) error {
	pages, err := codes.Pages()
	if err != nil {
		return err
	}
	page := pages[code]
	if page == nil {
		hint := "docs/errors.md lists them"
		if c := diag.Closest(code, slices.Sorted(maps.Keys(pages))); c != "" {
			hint = fmt.Sprintf("did you mean %s?", c)
		}
		return usageError{fmt.Errorf("there is no code %s\n→ %s", code, hint)}
	}
	if a.output == "json" {
		return a.printJSON(map[string]string{
			"code": page.Code, "title": page.Title, "why": page.Why, "example": page.Example, "example_kind": page.KindText(), "cure": page.Cure,
		})
	}
	fmt.Fprint(a.out, page.Text())
	return nil
}
