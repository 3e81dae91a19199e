package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/bench/contender"
	"github.com/millstream-dev/millstream/bench/workload"
)

const (
	rowsTwice = "none: rows stand once for each batch; compared is the last of each key"
	sparkName = "Spark local[2], tuned"
)

var (
	tunedSpark  = Contender{Name: sparkName, Kind: contender.Spark, Guarantee: exactlyOnce}
	appendSpark = Contender{Name: "Spark local[2], append per batch", Kind: contender.SparkAppend, Guarantee: rowsTwice}
)

// onSpark tells the contenders that run on Apache Spark.
func (c Contender) onSpark() bool {
	return c.Kind == contender.Spark || c.Kind == contender.SparkAppend
}

// runPeers compares the product with Apache Spark.
func runPeers(ctx context.Context, e *Env, f *File) {
	if err := e.installSpark(ctx); err != nil {
		f.fail("install Spark", err)
		return
	}
	f.Config.Spark = contender.SparkSettings
	yahoo := &workload.Yahoo{Seed: seed, Campaigns: 100, Ads: 10, Clock: workload.CatchUp(10 * time.Millisecond), Partitions: int64(e.Partitions)}
	e.compare(ctx, f, yahoo, 10_000_000, product(1), product(2), tunedSpark)
	skeleton := &workload.Skeleton{Seed: seed, Clock: workload.CatchUp(workload.SkeletonStep)}
	e.compare(ctx, f, skeleton, 5_000_000, product(1), product(2), tunedSpark, appendSpark)
}

// installSpark fetches Spark where it is not there yet.
func (e *Env) installSpark(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, filepath.Join(e.Repository, "test/spark/install"))
	var told tail
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, told.String())
	}
	if e.spark, err = filepath.Abs(strings.TrimSpace(string(out))); err != nil {
		return err
	}
	e.Facts.Spark = filepath.Base(e.spark)
	return nil
}

// launchSpark starts a contender on Spark: its table is made here, so that it
// has the shape of everybody's.
func (e *Env) launchSpark(ctx context.Context, r *running, c Contender, t task) error {
	sql, err := contender.ResultTable(t.workload.Kind(), c.Kind == contender.Spark)
	if err != nil {
		return err
	}
	if err := execute(ctx, t.database, sql); err != nil {
		return err
	}
	folder := filepath.Join(e.dir, "spark")
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	batch := int64(2 * len(t.ends)) // Spark divides a batch among partitions, and rounds down
	for _, end := range t.ends {
		batch += end / contender.SparkBatches
	}
	config := contender.SparkConfig{
		Kind: c.Kind, Workload: t.workload.Kind(), Broker: e.Kafka.Addr, Topic: t.topic, Database: t.database,
		Table: t.workload.Table(), Folder: folder, BatchEvents: batch,
	}
	command, err := contender.SparkCommand(e.spark, &config)
	if err != nil {
		return err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	out, in := io.Pipe()
	if r.child, err = e.spawn(bytes.NewReader(text), in, command[0], command[1:]...); err != nil {
		return err
	}
	r.follow(out, in)
	return nil
}

// execute runs one statement.
func execute(ctx context.Context, url, sql string) error {
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	if _, err := db.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// What the product is to reach beside tuned Spark.
const (
	timesSpark    = 10
	timesSparkCPU = 15
)

// besideSpark compares the product with tuned Spark.
func besideSpark(drains []Drain) []verdict {
	var out []verdict
	names, _ := group(drains, func(d Drain) string { return d.Workload })
	for _, name := range names {
		of := func(c Contender, figure func(Drain) float64) float64 { return median(drains, name, c.Name, figure) }
		best, theirs := max(of(product(1), rate), of(product(2), rate)), of(tunedSpark, rate)
		cpu, theirCPU := of(product(1), engine), of(tunedSpark, engine)
		if best == 0 || theirs == 0 || cpu == 0 {
			continue
		}
		out = append(out,
			verdict{fmt.Sprintf("%s: at least %d times the events/s of tuned Spark `local[2]`", name, timesSpark),
				fmt.Sprintf("%.1f times (%.2f and %.2f million/s)", best/theirs, best/1e6, theirs/1e6), best >= timesSpark*theirs},
			verdict{fmt.Sprintf("%s: at least %d times less CPU for an event than tuned Spark", name, timesSparkCPU),
				fmt.Sprintf("%.1f times (%.2f and %.2f s per million)", theirCPU/cpu, cpu, theirCPU), theirCPU >= timesSparkCPU*cpu})
	}
	return out
}
