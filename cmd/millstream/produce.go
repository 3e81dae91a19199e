package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/generate"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/plan"
)

// produceOptions are the flags of produce.
type produceOptions struct {
	topic, key, partition, format string
	sample, loop, check           bool
	rate                          float64
	count                         int64
	seed                          uint64
}

func (a *app) produceCommand() *cobra.Command {
	var o produceOptions
	cmd := &cobra.Command{
		Use:   "produce [FILE | - | PIPELINE.sql --sample]",
		Short: "Send events to a topic: a file, standard input, or samples",
		Long: `Sends the lines of a file (NDJSON, or CSV with a header) or of standard input (-)
to a topic. With --sample it makes events: those of the demo, or, with a
pipeline file, events that fit the topic's foreign table. Where one pipeline
runs on the local stack and reads one topic, --topic need not be said.

Lines are sent as they are, also when they are not JSON; --check refuses them.`,
		Example: `  millstream produce events.ndjson --topic raw_data --key type
  millstream produce --sample --topic raw_data --rate 1000
  cat events.csv | millstream produce - --format csv --topic raw_data`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			return a.produce(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.topic, "topic", "", "topic to send to [KAFKA_TOPIC]")
	f.StringVar(&o.key, "key", "", "field whose value becomes the record's key, such as type or user.id")
	f.StringVar(&o.partition, "partition-by", "", "field that holds the partition's number")
	f.StringVar(&o.format, "format", "", "ndjson or csv; default: by the file's name")
	f.BoolVar(&o.sample, "sample", false, "make events")
	f.BoolVar(&o.loop, "loop", false, "begin the file again at its end")
	f.BoolVar(&o.check, "check", false, "refuse lines that are not JSON")
	f.Float64Var(&o.rate, "rate", 0, "events per second; 0: as fast as Kafka takes them")
	f.Int64Var(&o.count, "count", 0, "how many events; 0: all")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the samples; 0: another each time")
	settingsFlags(cmd, "kafka.brokers", "log.level", "log.format", "quiet")
	a.outputFlag(cmd)
	return cmd
}

func (a *app) produce(ctx context.Context, args []string, o produceOptions) error {
	file := ""
	if len(args) == 1 {
		file = args[0]
	}
	input, table, err := a.produceInput(file, o)
	if err != nil {
		return err
	}
	topic, partitions := o.topic, 0
	if table != nil {
		topic, partitions = table.Topic, table.Partitions
	}
	if topic == "" {
		topic = a.config.Produce.Topic
	}
	if topic == "" {
		if topic, err = a.onlyTopic(ctx); err != nil {
			return err
		}
	}
	if err := a.useRunning(""); err != nil {
		return err
	}
	producer, err := kafka.NewProducer(pipeline.KafkaConfig(&a.config.Config, nil))
	if err != nil {
		return &pipeline.NotReadyError{What: "Kafka", Err: err}
	}
	defer producer.Close()
	askCtx, cancel := context.WithTimeout(ctx, askTimeout)
	_, err = producer.EnsureTopic(askCtx, topic, partitions)
	cancel()
	if err != nil {
		return &pipeline.NotReadyError{What: "Kafka", Err: err}
	}
	options := generate.Options{
		Input: input, Rate: o.rate, Count: o.count, Key: o.key, Partition: o.partition, Check: o.check,
		Progress: a.produceProgress(topic, o.count),
	}
	result, err := generate.Run(ctx, options, sendTo(producer, topic))
	if flushErr := producer.Flush(context.WithoutCancel(ctx)); err == nil {
		err = flushErr
	}
	if err == nil {
		err = producer.Err()
	}
	if ctx.Err() != nil {
		err = nil // interrupted: what was sent is sent
	}
	return a.produced(topic, result, producer.Sent(), err)
}

// onlyTopic is the topic of the one pipeline that runs here, if it reads one.
func (a *app) onlyTopic(ctx context.Context) (string, error) {
	notes, err := pipeline.Notes()
	if err != nil {
		return "", err
	}
	switch len(notes) {
	case 0:
		return "", usageError{errors.New("which topic?\n→ --topic NAME")}
	case 1:
	default:
		var names []string
		for _, n := range notes {
			names = append(names, n.Pipeline)
		}
		return "", usageError{fmt.Errorf("which topic? Several pipelines run: %s\n→ --topic NAME, and --brokers ADDRESS for the one that is meant", strings.Join(names, ", "))}
	}
	if len(notes[0].Topics) != 1 {
		return "", usageError{fmt.Errorf("which topic? Pipeline %s reads %s\n→ --topic NAME", notes[0].Pipeline, strings.Join(notes[0].Topics, ", "))}
	}
	if said := a.config.Origins["kafka.brokers"] != "default"; said && !slices.Contains(a.config.Kafka.Brokers, notes[0].Kafka) {
		return "", usageError{errors.New("which topic?\n→ --topic NAME")}
	}
	if !a.config.Log.Quiet {
		fmt.Fprintf(a.err, "to topic %s, which pipeline %s reads\n", notes[0].Topics[0], notes[0].Pipeline)
	}
	return notes[0].Topics[0], nil
}

// sendTo hands batches over without waiting for each: Flush does at the end.
func sendTo(producer *kafka.Producer, topic string) generate.Sink {
	return func(ctx context.Context, batch []generate.Record) error {
		for _, r := range batch {
			if err := producer.Send(ctx, kafka.Outgoing{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value}); err != nil {
				return err
			}
		}
		return producer.Err()
	}
}

// produceInput gives what is sent, and the foreign table that samples fit.
func (a *app) produceInput(file string, o produceOptions) (generate.Input, *plan.Topic, error) {
	seed := o.seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	switch {
	case o.sample && file != "":
		def, err := pipeline.Load(file, "", "")
		if err != nil {
			return nil, nil, err
		}
		for _, t := range def.Plan.Topics {
			if o.topic == "" || t.Topic == o.topic || t.Name == o.topic {
				return generate.NewTable(tableColumns(t), seed, generate.Times{}), t, nil
			}
		}
		return nil, nil, usageError{fmt.Errorf("%s has no topic %q", file, o.topic)}
	case o.sample:
		return generate.NewSample(seed, generate.Times{}), nil, nil
	case file == "":
		return nil, nil, usageError{fmt.Errorf("what is to be sent?\n→ millstream produce FILE, -, or --sample")}
	}
	format := generate.Format(o.format)
	switch format {
	case "":
		format = generate.FormatOf(file)
	case generate.NDJSON, generate.CSV:
	default:
		return nil, nil, usageError{fmt.Errorf("--format %s: only ndjson and csv are there", o.format)}
	}
	if file == "-" {
		return &generate.File{Name: "standard input", Format: format, Open: func() (io.ReadCloser, error) { return io.NopCloser(a.in), nil }}, nil, nil
	}
	if _, err := os.Stat(file); err != nil {
		return nil, nil, usageError{err}
	}
	return &generate.File{Name: file, Format: format, Loop: o.loop, Open: func() (io.ReadCloser, error) { return os.Open(file) }}, nil, nil
}

// tableColumns describes a foreign table to the generator.
func tableColumns(t *plan.Topic) generate.Columns {
	columns, index := t.Decoded(make([]bool, len(t.Columns)))
	out := generate.Columns{Columns: columns, EventTime: -1, Disorder: t.Watermark / 2}
	for k, i := range index {
		if i == t.EventTime {
			out.EventTime = k
		}
	}
	return out
}

func (a *app) produceProgress(topic string, count int64) func(generate.Progress) {
	if a.config.Log.Quiet || !isTerminal(a.err) {
		return nil
	}
	total := count
	if total == 0 {
		total = -1
	}
	bar := progressbar.NewOptions64(total, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(topic),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("events"), progressbar.OptionClearOnFinish())
	return func(p generate.Progress) {
		bar.Describe(topic + "  " + size(p.Bytes))
		_ = bar.Set64(p.Events)
	}
}

func (a *app) produced(topic string, r generate.Result, sent kafka.Sent, err error) error {
	seconds := max(r.Elapsed.Seconds(), 1e-9)
	if a.output == "json" {
		if printErr := a.printJSON(map[string]any{
			"topic": topic, "events": sent.Delivered, "failed": sent.Failed, "bytes": r.Bytes, "seconds": r.Elapsed.Seconds(),
		}); printErr != nil {
			return printErr
		}
		return err
	}
	fmt.Fprintf(a.out, "%s, %s to %s in %.1f s (%.0f a second)\n",
		count(int(sent.Delivered), "event"), size(r.Bytes), topic, r.Elapsed.Seconds(), float64(sent.Delivered)/seconds)
	return err
}

// size gives a number of bytes as people say it.
func size(n int64) string {
	switch {
	case n < 1e3:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
