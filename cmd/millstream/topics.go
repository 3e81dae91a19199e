package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

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
	if err := ask(ctx, admin); err != nil {
		return &pipeline.NotReadyError{What: "Kafka", Err: err}
	}
	return nil
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

func (a *app) peekCommand() *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use:   "peek TOPIC",
		Short: "Show the last records of a topic",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("which topic?\n→ millstream peek TOPIC; millstream topics lists them")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 1 {
				return usageError{fmt.Errorf("-n %d: how many records? At least 1", n)}
			}
			return a.withAdmin(cmd, func(ctx context.Context, admin *kafka.Admin) error {
				records, err := admin.Peek(ctx, args[0], n)
				if err != nil {
					return err
				}
				return a.printRecords(records)
			})
		},
	}
	cmd.Flags().IntVarP(&n, "count", "n", 10, "how many records")
	settingsFlags(cmd, "kafka.brokers", "log.level", "log.format")
	a.outputFlag(cmd)
	return cmd
}

func (a *app) printRecords(records []kafka.Peeked) error {
	if a.output == "text" {
		for _, r := range records {
			at := time.UnixMicro(r.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z")
			fmt.Fprintf(a.out, "%d:%d  %s  key=%s  %s\n", r.Partition, r.Offset, at, printable(r.Key), printable(r.Value))
		}
		return nil
	}
	type entry struct {
		Partition int32             `json:"partition"`
		Offset    int64             `json:"offset"`
		Timestamp time.Time         `json:"timestamp"`
		Key       *string           `json:"key"`
		Value     any               `json:"value"` // the JSON value where it is one, else text
		Headers   map[string]string `json:"headers,omitempty"`
	}
	out := []entry{}
	for _, r := range records {
		e := entry{Partition: r.Partition, Offset: r.Offset, Timestamp: time.UnixMicro(r.Timestamp).UTC()}
		if r.Key != nil {
			key := string(r.Key)
			e.Key = &key
		}
		switch {
		case r.Value == nil:
		case json.Valid(r.Value):
			e.Value = json.RawMessage(r.Value)
		default:
			e.Value = string(r.Value)
		}
		for _, h := range r.Headers {
			if e.Headers == nil {
				e.Headers = map[string]string{}
			}
			e.Headers[h.Key] = string(h.Value)
		}
		out = append(out, e)
	}
	return a.printJSON(out)
}

// printable shows bytes as they are where they are text, quoted where not.
func printable(b []byte) string {
	if b == nil {
		return "null"
	}
	if utf8.Valid(b) {
		for _, r := range string(b) {
			if r < ' ' && r != '\t' || r == 0x7f {
				return fmt.Sprintf("%q", b)
			}
		}
		return string(b)
	}
	return fmt.Sprintf("%q", b)
}
