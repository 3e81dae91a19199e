// Package determinism holds the engine to its promise that the same log gives
// the same tables, bit for bit: late and rejected records included, whatever
// the number of workers, the size of polls, epochs and commits, the time between
// commits, how far partitions may run apart, and however often it is started
// anew.
//
// MILLSTREAM_TEST_SEEDS=n tries n logs instead of one.
package determinism

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

func TestMain(m *testing.M) { line.Main(m) }

const (
	name         = "shop"
	perPartition = 120
	// runLimit bounds one way to run the log.
	runLimit = 2 * time.Minute
)

// way is one way to run the log.
type way struct {
	workers  int
	poll     int
	interval time.Duration
	epoch    int64         // records that end an epoch
	bytes    int64         // bytes that do; 0: the default
	skew     time.Duration // 0: the default
	rows     int64         // result rows of a commit; 0: the default
	restarts bool          // the engine is dropped at every commit
}

func (w way) String() string {
	s := fmt.Sprintf("%d workers, polls of %d, commits every %s, epochs of %d", w.workers, w.poll, w.interval, w.epoch)
	if w.bytes > 0 {
		s += fmt.Sprintf(" or %d bytes", w.bytes)
	}
	if w.skew != 0 {
		s += fmt.Sprintf(", skew %s", w.skew)
	}
	if w.rows > 0 {
		s += fmt.Sprintf(", commits of %d rows", w.rows)
	}
	if w.restarts {
		s += ", restarts"
	}
	return s
}

const (
	ms    = time.Millisecond
	large = 1_000_000
	small = 40
)

// plain is the way that all others are compared with.
var plain = way{workers: 1, poll: 1000, interval: 50 * ms, epoch: large}

// ways has each value of each dimension with those of the others.
var ways = []way{
	{workers: 2, poll: 1000, interval: 50 * ms, epoch: large},
	{workers: 3, poll: 1000, interval: 50 * ms, epoch: large},
	{workers: 1, poll: 1, interval: 50 * ms, epoch: large},
	{workers: 1, poll: 7, interval: ms, epoch: large},
	{workers: 2, poll: 7, interval: ms, epoch: small},
	{workers: 2, poll: 1000, interval: ms, epoch: small},
	{workers: 3, poll: 1, interval: ms, epoch: small},
	{workers: 3, poll: 7, interval: 50 * ms, epoch: small},
	{workers: 3, poll: 1000, interval: ms, epoch: large, bytes: 4096},
	{workers: 2, poll: 7, interval: ms, epoch: large, skew: 2 * time.Minute},
	{workers: 2, poll: 1000, interval: ms, epoch: large, skew: -1},
	{workers: 1, poll: 1000, interval: ms, epoch: small, restarts: true},
	{workers: 2, poll: 7, interval: 50 * ms, epoch: small, restarts: true},
	{workers: 3, poll: 1000, interval: ms, epoch: 150, restarts: true},
	{workers: 2, poll: 1000, interval: ms, epoch: large, rows: 7},
	{workers: 3, poll: 7, interval: ms, epoch: small, rows: 50},
	{workers: 2, poll: 1000, interval: ms, epoch: 150, rows: 60, restarts: true},
}

func TestSameLogSameTables(t *testing.T) {
	seeds := 1
	if n, err := strconv.Atoi(os.Getenv("MILLSTREAM_TEST_SEEDS")); err == nil {
		seeds = n
	}
	for i := range seeds {
		seed := uint64(1)
		if i > 0 {
			seed = rand.Uint64()
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { sameLog(t, seed) })
	}
}

func sameLog(t *testing.T, seed uint64) {
	broker := line.Broker(t)
	line.Fill(t, broker, line.Shop(seed, perPartition))
	url := pgtest.Database(t)
	run(t, broker, url, plain)
	want := line.Dump(t, url, name)
	for section, rows := range line.Rows(want) {
		if rows == 0 {
			t.Errorf("%s is empty: nothing is shown by comparing it", section)
		}
	}
	oracle.Check(t, oracle.Options{SQL: line.ShopSQL, Pipeline: name, DatabaseURL: url, Brokers: map[string][]string{"kafka": {broker}}})
	t.Run("ways", func(t *testing.T) {
		for _, w := range ways {
			t.Run(w.String(), func(t *testing.T) {
				t.Parallel()
				url := pgtest.Database(t)
				starts := run(t, broker, url, w)
				if w.restarts && int64(starts) < 5*perPartition/w.epoch {
					t.Errorf("started %d times only", starts)
				}
				if diff := line.Differ(want, line.Dump(t, url, name)); diff != "" {
					t.Errorf("differs from %s:\n%s", plain, diff)
				}
				broken, err := oracle.Invariants(t.Context(), url, name)
				if err != nil || len(broken) > 0 {
					t.Errorf("invariants: %v %v", err, broken)
				}
			})
		}
	})
}

// run runs the log to its end and tells how often an engine was started.
func run(t *testing.T, broker, url string, w way) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	for starts := 1; ; starts++ {
		abandoned, err := start(ctx, broker, url, w)
		if err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		if !abandoned {
			return starts
		}
	}
}

// start runs an engine built from the database alone, to the log's end or, if
// w says so, to its first commit.
func start(ctx context.Context, broker, url string, w way) (abandoned bool, err error) {
	def, err := pipeline.Parse(name+".sql", line.ShopSQL, name, "")
	if err != nil {
		return false, err
	}
	c := config.Default()
	c.Kafka.Brokers = []string{broker}
	c.Database.URL = config.Secret(url)
	if w.rows > 0 {
		c.Engine.MaxCommitRows = w.rows
	}
	c.Engine.CommitInterval, c.Engine.MaxEpochRows, c.Engine.Workers, c.Engine.UntilEnd = w.interval, w.epoch, w.workers, true
	runCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p, err := pipeline.Open(runCtx, pipeline.Options{
		Definition: def, Config: &c, NoServe: true, PollRecords: w.poll, MaxEpochBytes: w.bytes, MaxSkew: w.skew,
		OnCommit: func(*engine.Report) {
			if w.restarts {
				stop(engine.ErrAbandon)
			}
		},
	})
	if err != nil {
		return false, err
	}
	defer p.Close()
	err = p.Run(runCtx)
	if errors.Is(err, engine.ErrAbandon) {
		return true, nil
	}
	return false, err
}
