package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/version"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the effective settings and where each comes from",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			if a.output == "json" {
				return a.configJSON()
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
			fmt.Fprintln(t, "SETTING\tVALUE\tFROM\tVARIABLE\tMEANING")
			for _, s := range config.Settings {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.Key, a.config.Value(s), a.config.Origins[s.Key], s.Env, s.Doc)
			}
			return t.Flush()
		},
	}
	settingsFlags(cmd)
	a.outputFlag(cmd)
	return cmd
}

func (a *app) configJSON() error {
	type entry struct {
		Key      string        `json:"key"`
		Value    string        `json:"value"`
		From     config.Origin `json:"from"`
		Variable string        `json:"variable"`
	}
	out := []entry{}
	for _, s := range config.Settings {
		out = append(out, entry{s.Key, a.config.Value(s), a.config.Origins[s.Key], s.Env})
	}
	return a.printJSON(out)
}

// printJSON prints v as indented JSON.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if a.output == "json" {
				return a.printJSON(map[string]string{
					"version": version.Version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
				})
			}
			fmt.Fprintf(a.out, "millstream %s (%s, %s/%s)\n", version.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
	a.outputFlag(cmd)
	return cmd
}
