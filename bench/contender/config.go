package contender

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/millstream-dev/millstream/bench/workload"
)

// The kinds of contenders.
const (
	Limit     = "limit"
	Upserts   = "upserts"
	Afternoon = "afternoon"
	// Spark and SparkAppend are the program in the folder spark, on Apache
	// Spark: with keyed upserts, and with rows appended batch by batch.
	Spark       = "spark"
	SparkAppend = "spark-append"
)

// Config tells a child what to do.
type Config struct {
	Kind     string
	Workload string // Y, S or U
	Broker   string
	Topic    string
	Database string
	Workers  int           // of the limit
	Window   time.Duration // of Y; 0: its own
	// Ends are the partitions' ends, by number: the child ends when it has
	// committed them. Open: it goes on until SIGTERM.
	Ends []int64
	Open bool
	// Updates and Cuts are for upserts: the events of epoch k are those from
	// Cuts[k-1] to Cuts[k].
	Updates *workload.Updates
	Cuts    []int64
}

// Commit is a line of a child: what has been committed so far.
type Commit struct {
	At     time.Time `json:"at"`
	Events int64     `json:"events"`
	Rows   int64     `json:"rows"`
}

// Main runs the contender that standard input describes.
func Main(ctx context.Context, in io.Reader) error {
	var c Config
	if err := json.NewDecoder(in).Decode(&c); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	switch c.Kind {
	case Limit:
		return runLimit(ctx, c, say)
	case Upserts:
		return runUpserts(ctx, c, say)
	case Afternoon:
		return runAfternoon(ctx, c, say)
	}
	return fmt.Errorf("contender %q: there are %s, %s and %s", c.Kind, Limit, Upserts, Afternoon)
}

// tell is called after each commit.
type tell func(events, rows int64) error

// say prints a commit.
func say(events, rows int64) error {
	line, err := json.Marshal(Commit{At: time.Now(), Events: events, Rows: rows})
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(line, '\n'))
	return err
}

// done tells whether positions have reached the ends.
func (c *Config) done(at []int64) bool {
	if c.Open {
		return false
	}
	for p, end := range c.Ends {
		if at[p] < end {
			return false
		}
	}
	return true
}
