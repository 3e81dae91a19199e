package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/kafka"
)

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
				if _, err := topic(ctx, admin, args[0]); err != nil {
					return err
				}
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
