package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/pipeline"
)

// askTimeout bounds what topics, peek and healthcheck ask for.
const askTimeout = 15 * time.Second

// withAdmin asks the configured cluster, or the local stack that runs.
func (a *app) withAdmin(cmd *cobra.Command, ask func(context.Context, *kafka.Admin) error) error {
	if err := a.load(cmd); err != nil {
		return err
	}
	if err := a.useRunning(""); err != nil {
		return err
	}
	admin, err := kafka.NewAdmin(pipeline.KafkaConfig(&a.config.Config, nil))
	if err != nil {
		return &pipeline.NotReadyError{What: "Kafka", Err: err}
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), askTimeout)
	defer cancel()
	err = ask(ctx, admin)
	var usage usageError
	if err == nil || errors.As(err, &usage) || errors.Is(err, errShown) {
		return err
	}
	return &pipeline.NotReadyError{What: "Kafka", Err: err}
}

// topic gives a topic by name; that there is none is the person's error.
func topic(ctx context.Context, admin *kafka.Admin, name string) (*kafka.Topic, error) {
	found, err := admin.Topics(ctx, name)
	if err == nil {
		return &found[0], nil
	}
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil, err
	}
	all, err := admin.Topics(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range all {
		if !t.Internal {
			names = append(names, t.Name)
		}
	}
	hint := "the cluster has no topics yet; `millstream topics create NAME` makes one"
	if near := diag.Closest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	} else if len(names) > 0 {
		hint = "`millstream topics` lists those that are there"
	}
	return nil, usageError{fmt.Errorf("there is no topic %q\n→ %s", name, hint)}
}

func (a *app) topicsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "List the topics of the cluster",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withAdmin(cmd, func(ctx context.Context, admin *kafka.Admin) error {
				topics, err := admin.Topics(ctx)
				if err != nil {
					return err
				}
				return a.printTopics(topics)
			})
		},
	}
	settingsFlags(cmd, "kafka.brokers", "log.level", "log.format")
	a.outputFlag(cmd)
	cmd.AddCommand(a.topicsCreateCommand(), a.topicsDescribeCommand())
	return cmd
}

func (a *app) printTopics(topics []kafka.Topic) error {
	type entry struct {
		Topic      string `json:"topic"`
		Partitions int    `json:"partitions"`
		Records    int64  `json:"records"`
		Bytes      int64  `json:"bytes"`
	}
	out := []entry{}
	for _, t := range topics {
		if !t.Internal {
			out = append(out, entry{t.Name, len(t.Partitions), t.Records(), t.Bytes()})
		}
	}
	if a.output == "json" {
		return a.printJSON(out)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tPARTITIONS\tRECORDS\tBYTES")
	for _, e := range out {
		bytes := "-"
		if e.Bytes >= 0 {
			bytes = fmt.Sprint(e.Bytes)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", e.Topic, e.Partitions, e.Records, bytes)
	}
	return w.Flush()
}
