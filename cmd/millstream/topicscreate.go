package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/plan"
)

// createOptions are the flags of topics create.
type createOptions struct {
	pipeline    string
	partitions  int
	replication int
	configs     []string
	ifAbsent    bool
}

// newTopic is one that is to be made.
type newTopic struct {
	name       string
	partitions int
}

func (a *app) topicsCreateCommand() *cobra.Command {
	var o createOptions
	cmd := &cobra.Command{
		Use:   "create NAME …",
		Short: "Make topics",
		Long: `Makes topics: those named, or with --pipeline those that a pipeline reads, with
the partitions that it declares. What is not said is the cluster's default.

A pipeline makes its topics itself when it starts. This is for clusters where
it has no right to, and for producers that start before it.`,
		Example: `  millstream topics create raw_data --partitions 6 --replication 3
  millstream topics create prices --config cleanup.policy=compact
  millstream topics create --pipeline pipeline.sql`,
		RunE: func(cmd *cobra.Command, args []string) error {
			topics, err := o.topics(args)
			if err != nil {
				return err
			}
			configs, err := o.settings()
			if err != nil {
				return err
			}
			return a.withAdmin(cmd, func(ctx context.Context, admin *kafka.Admin) error {
				return a.createTopics(ctx, admin, topics, configs, o)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.pipeline, "pipeline", "", "make the topics that this pipeline file reads")
	f.IntVar(&o.partitions, "partitions", 0, "partitions of each; 0: the cluster's default")
	f.IntVar(&o.replication, "replication", 0, "replicas of each partition; 0: the cluster's default")
	f.StringArrayVar(&o.configs, "config", nil, "a setting of the topic, as name=value; can be repeated")
	f.BoolVar(&o.ifAbsent, "if-not-exists", false, "leave a topic that is there as it is")
	settingsFlags(cmd, "kafka.brokers", "log.level", "log.format")
	a.outputFlag(cmd)
	return cmd
}

// topics are those that are to be made.
func (o *createOptions) topics(args []string) ([]newTopic, error) {
	switch {
	case o.partitions < 0:
		return nil, usageError{fmt.Errorf("--partitions %d: at least 1, or 0 for the cluster's default", o.partitions)}
	case o.replication < 0:
		return nil, usageError{fmt.Errorf("--replication %d: at least 1, or 0 for the cluster's default", o.replication)}
	case o.pipeline != "" && len(args) > 0:
		return nil, usageError{errors.New("names and --pipeline say two different things\n→ give one of them")}
	case o.pipeline == "" && len(args) == 0:
		return nil, usageError{errors.New("which topics?\n→ millstream topics create NAME, or --pipeline FILE for those that a pipeline reads")}
	}
	var out []newTopic
	for _, name := range args {
		out = append(out, newTopic{name, o.partitions})
	}
	if o.pipeline == "" {
		return out, nil
	}
	def, err := pipeline.Load(o.pipeline, "", "")
	if err != nil {
		return nil, err
	}
	o.ifAbsent = true
	seen := map[string]bool{}
	for _, t := range def.Plan.Topics {
		if t.Server == plan.DefaultServer && !seen[t.Topic] {
			seen[t.Topic] = true
			n := newTopic{t.Topic, t.Partitions}
			if n.partitions == 0 {
				n.partitions = o.partitions
			}
			out = append(out, n)
		}
	}
	return out, nil
}

// settings are those of --config.
func (o *createOptions) settings() (map[string]string, error) {
	out := map[string]string{}
	for _, c := range o.configs {
		name, value, ok := strings.Cut(c, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("--config %s: name=value is expected\n→ such as --config cleanup.policy=compact", c)}
		}
		out[name] = value
	}
	return out, nil
}

func (a *app) createTopics(ctx context.Context, admin *kafka.Admin, topics []newTopic, configs map[string]string, o createOptions) error {
	type entry struct {
		Topic   string `json:"topic"`
		Created bool   `json:"created"` // false: it was there
	}
	out := []entry{}
	for _, t := range topics {
		err := admin.CreateTopic(ctx, t.name, t.partitions, o.replication, configs)
		exists := errors.Is(err, kerr.TopicAlreadyExists)
		switch {
		case exists && !o.ifAbsent:
			return usageError{fmt.Errorf("topic %q is there already\n→ --if-not-exists leaves it as it is; `millstream topics describe %[1]s` shows it", t.name)}
		case refusedTopic(err):
			return usageError{err}
		case err != nil && !exists:
			return err
		}
		out = append(out, entry{t.name, !exists})
		if a.output == "text" {
			said := "made"
			if exists {
				said = "is there already"
			}
			fmt.Fprintf(a.out, "%s %s\n", t.name, said)
		}
	}
	if a.output == "json" {
		return a.printJSON(out)
	}
	return nil
}

// refusedTopic tells whether the cluster took what it was told for wrong.
func refusedTopic(err error) bool {
	for _, is := range []error{kerr.InvalidTopicException, kerr.InvalidPartitions, kerr.InvalidReplicationFactor, kerr.InvalidConfig} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}
