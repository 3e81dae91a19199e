package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/scaffold"
)

func (a *app) initCommand() *cobra.Command {
	o := scaffold.Options{}
	list := make([]string, len(scaffold.Templates))
	about := ""
	for i, t := range scaffold.Templates {
		list[i] = t.Name
		about += fmt.Sprintf("  %-10s %s\n", t.Name, t.About)
	}
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make a project: pipeline, tests, containers, CI workflow, README",
		Long: `Makes a folder (this one, without DIR) with a pipeline, its tests, compose.yaml and
.env.example for containers, a CI workflow and a README. It runs, validates and
passes its tests at once. Nothing that is there is overwritten.

Templates:
` + about,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = "."
			if len(args) == 1 {
				o.Dir = args[0]
			}
			return a.init(o, list)
		},
	}
	cmd.Flags().StringVar(&o.Name, "name", "", "the project's name; default: the folder's")
	cmd.Flags().StringVar(&o.Template, "template", list[0], "what to begin with: "+strings.Join(list, ", "))
	return cmd
}

func (a *app) init(o scaffold.Options, templates []string) error {
	p, err := scaffold.Make(o)
	var exists *scaffold.ExistsError
	switch {
	case errors.As(err, &exists):
		return usageError{fmt.Errorf("%w\n→ name another folder: millstream init DIR", err)}
	case errors.Is(err, scaffold.ErrTemplate):
		return usageError{fmt.Errorf("%w\n→ there are %s", err, strings.Join(templates, ", "))}
	case errors.Is(err, scaffold.ErrName):
		return usageError{fmt.Errorf("%w\n→ choose one by --name", err)}
	case err != nil:
		return err
	}
	fmt.Fprintf(a.out, "made %s in %s:\n\n", p.Name, p.Dir)
	for _, name := range p.Files {
		fmt.Fprintf(a.out, "  %s\n", name)
	}
	fmt.Fprintln(a.out)
	if filepath.Clean(p.Dir) != "." {
		fmt.Fprintf(a.out, "  cd %s\n", p.Dir)
	}
	fmt.Fprint(a.out, "  millstream test pipeline.sql\n  millstream dev pipeline.sql\n")
	return nil
}
