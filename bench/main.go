// Command bench measures the product against the limit of the machine and
// against what people write by hand; docs/benchmarks.md has the method. As
// `bench contender` it is one of those programs, started by the harness.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/millstream-dev/millstream/bench/contender"
	"github.com/millstream-dev/millstream/bench/harness"
	"github.com/millstream-dev/millstream/bench/topics"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	run := measure
	if len(os.Args) > 1 && os.Args[1] == "contender" {
		run = func(ctx context.Context) error { return contender.Main(ctx, os.Stdin) }
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// flags are what a person can choose.
type flags struct {
	harness.Options
	sets        string
	compression string
	rates       string
	only        string
	record      bool
	report      bool
}

func parse() (*flags, error) {
	f := &flags{}
	flag.StringVar(&f.sets, "set", "bench", "what to run, separated by commas: "+names())
	flag.Int64Var(&f.Events, "events", 0, "events of each drain; 0: each set's own number")
	flag.IntVar(&f.Repeat, "repeat", 3, "rounds")
	flag.IntVar(&f.Partitions, "partitions", 4, "partitions of a topic")
	flag.StringVar(&f.compression, "compression", "none", "of the topic: none or lz4")
	flag.DurationVar(&f.Timeout, "timeout", 10*time.Minute, "limit of one run")
	flag.DurationVar(&f.Deadline, "deadline", 4*time.Hour, "no run is begun after this time; what is left out is said")
	flag.DurationVar(&f.Duration, "duration", 30*time.Second, "of one run at a fixed rate")
	flag.StringVar(&f.rates, "rates", "1000,10000,100000", "events a second, for latency and stalls")
	flag.StringVar(&f.only, "only", "", "contenders whose names begin so, separated by semicolons")
	flag.StringVar(&f.Binary, "binary", "../bin/millstream", "the program to measure")
	flag.StringVar(&f.Repository, "repository", "..", "root of the repository")
	flag.StringVar(&f.Scratch, "scratch", "", "folder for data; empty: a temporary one")
	flag.StringVar(&f.Profile, "profile", "", "folder for CPU profiles of the product")
	flag.BoolVar(&f.CheckOnly, "check", false, "compare tables only: runs may be too short to be timed")
	flag.BoolVar(&f.record, "record", false, "write bench/results and the tables of docs/benchmarks.md")
	flag.BoolVar(&f.report, "report", false, "only write the tables, from bench/results")
	flag.Parse()
	f.Log = os.Stderr
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("what is %q?", flag.Args())
	}
	if f.Repeat < 1 || f.Partitions < 1 {
		return nil, errors.New("-repeat and -partitions are 1 or more")
	}
	var err error
	if f.Compression, err = topics.ParseCompression(f.compression); err != nil {
		return nil, err
	}
	if f.only != "" {
		f.Only = strings.Split(f.only, ";")
	}
	for _, text := range strings.Split(f.rates, ",") {
		rate, err := strconv.ParseInt(text, 10, 64)
		if err != nil || rate < 20 || rate > 1_000_000 {
			return nil, fmt.Errorf("-rates: %q is not a number from 20 to a million", text)
		}
		f.Rates = append(f.Rates, rate)
	}
	return f, nil
}

func names() string {
	var b strings.Builder
	for _, s := range harness.Sets {
		b.WriteString(s.Name + ", ")
	}
	return b.String() + "bench (y, s, u), full, growth"
}

// chosen gives the sets that were asked for.
func chosen(text string) ([]harness.Set, error) {
	var out []harness.Set
	for _, name := range strings.Split(text, ",") {
		group, ok := harness.Groups[name]
		if !ok {
			group = []string{name}
		}
		for _, name := range group {
			set, ok := harness.Find(name)
			if !ok {
				return nil, fmt.Errorf("-set: there is no %q; there are %s", name, names())
			}
			out = append(out, set)
		}
	}
	return out, nil
}

func measure(ctx context.Context) error {
	f, err := parse()
	if err != nil {
		return err
	}
	if f.report {
		return harness.Report(f.Repository)
	}
	sets, err := chosen(f.sets)
	if err != nil {
		return err
	}
	e, err := harness.Start(ctx, f.Options)
	if err != nil {
		return err
	}
	var failures error
	for _, s := range sets {
		file := e.Run(ctx, s)
		failures = errors.Join(failures, file.Err())
		fmt.Print(harness.Print(file))
		if f.record {
			if err := file.Save(harness.ResultsOf(f.Repository)); err != nil {
				failures = errors.Join(failures, err)
			}
		}
	}
	failures = errors.Join(failures, e.Close())
	if f.record {
		failures = errors.Join(failures, harness.Report(f.Repository))
	}
	return failures
}
