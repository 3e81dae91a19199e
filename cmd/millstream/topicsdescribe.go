package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/kafka"
)

// described is a topic as topics describe tells of it.
type described struct {
	Topic      string               `json:"topic"`
	ID         string               `json:"id,omitempty"`
	Partitions []describedPartition `json:"partitions"`
	Config     map[string]string    `json:"config"` // what was set for this topic
}

type describedPartition struct {
	Partition int32   `json:"partition"`
	Leader    *int32  `json:"leader"` // null: nobody serves it
	Replicas  []int32 `json:"replicas"`
	InSync    []int32 `json:"in_sync"`
	Start     int64   `json:"start"`
	End       int64   `json:"end"`
	Bytes     *int64  `json:"bytes"` // null: the cluster does not say
	Error     string  `json:"error,omitempty"`
}

func (a *app) topicsDescribeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "describe NAME …",
		Short: "Show partitions, leaders, replicas, offsets and settings of topics",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("which topic?\n→ millstream topics describe NAME; millstream topics lists them")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withAdmin(cmd, func(ctx context.Context, admin *kafka.Admin) error {
				out := []described{}
				for _, name := range args {
					t, err := topic(ctx, admin, name)
					if err != nil {
						return err
					}
					config, err := admin.TopicConfigs(ctx, name)
					if err != nil {
						return err
					}
					out = append(out, describe(t, config))
				}
				return a.printDescribed(out)
			})
		},
	}
	settingsFlags(cmd, "kafka.brokers", "log.level", "log.format")
	a.outputFlag(cmd)
	return cmd
}

func describe(t *kafka.Topic, config map[string]string) described {
	d := described{Topic: t.Name, Config: config}
	if id := t.ID; id != [16]byte{} {
		d.ID = fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	}
	for _, p := range t.Partitions {
		e := describedPartition{Partition: p.Partition, Replicas: p.Replicas, InSync: p.InSync, Start: p.Start, End: p.End}
		if p.Leader >= 0 {
			e.Leader = &p.Leader
		}
		if p.Bytes >= 0 {
			e.Bytes = &p.Bytes
		}
		if p.Err != nil {
			e.Error = p.Err.Error()
		}
		d.Partitions = append(d.Partitions, e)
	}
	return d
}

func (a *app) printDescribed(topics []described) error {
	if a.output == "json" {
		return a.printJSON(topics)
	}
	for i, t := range topics {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "%s: %s\n", t.Topic, count(len(t.Partitions), "partition"))
		w := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
		fmt.Fprintln(w, "PARTITION\tLEADER\tREPLICAS\tIN SYNC\tSTART\tEND\tBYTES")
		for _, p := range t.Partitions {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%d\t%s", p.Partition, orDash(p.Leader), list(p.Replicas), list(p.InSync), p.Start, p.End, orDash(p.Bytes))
			if p.Error != "" {
				fmt.Fprintf(w, "\t%s", p.Error)
			}
			fmt.Fprintln(w)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(t.Config)) {
			fmt.Fprintf(a.out, "%s=%s\n", name, t.Config[name])
		}
	}
	return nil
}

func list(brokers []int32) string {
	if len(brokers) == 0 {
		return "-"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(brokers), " ", ","), "[]")
}

func orDash[T any](v *T) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}
