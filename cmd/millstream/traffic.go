package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/generate"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/pipeline"
)

// sampleTraffic sends sample events until ctx ends.
func sampleTraffic(ctx context.Context, p *pipeline.Pipeline, stack *pipeline.Stack) error {
	select {
	case <-p.Engine.Running():
	case <-p.Done():
		return nil
	case <-ctx.Done():
		return nil
	}
	producer, err := kafka.NewProducer(kafka.Config{Brokers: []string{stack.Broker.Addr()}})
	if err != nil {
		return err
	}
	defer producer.Close()
	input := generate.NewSample(uint64(time.Now().UnixNano()), generate.Times{})
	_, err = generate.Run(ctx, generate.Options{Input: input, Rate: demoRate}, sinkTo(producer, generate.SampleTopic))
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// sinkTo sends batches to a topic and waits until they are acknowledged.
func sinkTo(producer *kafka.Producer, topic string) generate.Sink {
	return func(ctx context.Context, batch []generate.Record) error {
		out := make([]kafka.Outgoing, len(batch))
		for i, r := range batch {
			out[i] = kafka.Outgoing{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value}
		}
		for _, d := range producer.SendAll(ctx, out) {
			if d.Err != nil {
				return d.Err
			}
		}
		return nil
	}
}

const (
	// firstLook is how often the table is looked at until its first row is
	// there, laterLook how often afterwards.
	firstLook = 20 * time.Millisecond
	laterLook = time.Second
	// shownRows is how many rows of the table the demo shows.
	shownRows = 8
)

// showResults shows the demo's table as it fills: once when its first row is
// there, then renewed in place on a terminal.
func (a *app) showResults(ctx context.Context, p *pipeline.Pipeline, began time.Time) {
	ticker := time.NewTicker(firstLook)
	defer ticker.Stop()
	lines := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.Done():
			return
		case <-ticker.C:
		}
		text, err := demoTable(ctx, p)
		if err != nil || text == "" {
			continue
		}
		if lines == 0 {
			fmt.Fprintf(a.out, "  First result row %.1f s after the start. processed_data, as it fills (Ctrl-C ends):\n\n", time.Since(began).Seconds())
			ticker.Reset(laterLook)
		} else {
			fmt.Fprintf(a.out, "\x1b[%dA\x1b[J", lines)
		}
		fmt.Fprint(a.out, text)
		lines = strings.Count(text, "\n")
		if !isTerminal(a.out) {
			return
		}
	}
}

// demoTable gives the newest rows of the demo's table, "" while it is empty.
func demoTable(ctx context.Context, p *pipeline.Pipeline) (string, error) {
	rows, err := p.DB.Pool().Query(ctx, `
		SELECT to_char("timestamp", 'HH24:MI:SS'), type, to_char(value, 'FM990.00'), events
		FROM processed_data ORDER BY "timestamp" DESC, type LIMIT $1`, shownRows)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "  window\ttype\taverage\tevents\n")
	n := 0
	var window, kind, value string
	var events int64
	_, err = pgx.ForEachRow(rows, []any{&window, &kind, &value, &events}, func() error {
		n++
		fmt.Fprintf(t, "  %s\t%s\t%s\t%d\n", window, kind, value, events)
		return nil
	})
	if err = errors.Join(err, t.Flush()); err != nil || n == 0 {
		return "", err
	}
	return b.String(), nil
}
