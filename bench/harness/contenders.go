package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/millstream-dev/millstream/bench/contender"
	"github.com/millstream-dev/millstream/bench/machine"
	"github.com/millstream-dev/millstream/bench/workload"
)

// productKind is the contender that is not one of package contender.
const productKind = "millstream"

// Contender is one line of a table.
type Contender struct {
	Name     string
	Kind     string
	Workers  int
	Interval time.Duration // commit interval of the product; 0: its default
	// Guarantee is what the line promises.
	Guarantee string
}

const (
	exactlyOnce  = "exactly once"
	atLeastOnce  = "at least once"
	onlyPostgres = "PostgreSQL alone"
)

func product(workers int) Contender {
	return Contender{Name: fmt.Sprintf("millstream, %s", plural(workers, "worker")), Kind: productKind, Workers: workers, Guarantee: exactlyOnce}
}

func limit(workers int) Contender {
	return Contender{Name: fmt.Sprintf("limit, %s", plural(workers, "worker")), Kind: contender.Limit, Workers: workers, Guarantee: exactlyOnce}
}

var (
	afternoon = Contender{Name: "afternoon program", Kind: contender.Afternoon, Guarantee: atLeastOnce}
	upserts   = Contender{Name: "upserts alone", Kind: contender.Upserts, Guarantee: onlyPostgres}
)

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// running is a contender at work.
type running struct {
	*child
	log     *log
	sampler *sampler
	admin   string        // the product's address for profiles
	watch   chan struct{} // closed: the follower looks once more and ends
	watched chan struct{} // closed when it has
}

// task is what a contender is to do.
type task struct {
	workload workload.Workload
	topic    string
	database string
	ends     []int64 // of the partitions
	open     bool    // go on until it is stopped
	cuts     []int64 // for upserts
}

// launch starts a contender.
func (e *Env) launch(ctx context.Context, c Contender, t task) (*running, error) {
	r := &running{log: newLog(), watch: make(chan struct{}), watched: make(chan struct{})}
	var err error
	switch {
	case c.Kind == productKind:
		err = e.launchProduct(ctx, r, c, t)
	case c.onSpark():
		err = e.launchSpark(ctx, r, c, t)
	default:
		err = e.launchChild(r, c, t)
	}
	if err != nil {
		return nil, err
	}
	r.sampler = e.sample(r.cmd.Process.Pid)
	return r, nil
}

func (e *Env) launchProduct(ctx context.Context, r *running, c Contender, t task) error {
	file := filepath.Join(e.dir, "pipeline.sql")
	if err := os.WriteFile(file, []byte(t.workload.Pipeline(t.topic)), 0o644); err != nil {
		return err
	}
	var err error
	if r.admin, err = machine.FreeAddress(); err != nil {
		return err
	}
	args := []string{
		"run", file, "--brokers", e.Kafka.Addr, "--database-url", t.database, "--workers", fmt.Sprint(c.Workers),
		"--listen", "127.0.0.1:0", "--admin-listen", r.admin, "--quiet", "--no-open", "--log-format", "text",
	}
	if !t.open {
		args = append(args, "--until-end")
	}
	if c.Interval > 0 {
		args = append(args, "--commit-interval", c.Interval.String())
	}
	if r.child, err = e.spawn(nil, io.Discard, e.Binary, args...); err != nil {
		return err
	}
	f := &follower{log: r.log, url: t.database, ends: map[int32]int64{}}
	go func() {
		defer close(r.watched)
		f.run(ctx, r.watch)
	}()
	return nil
}

func (e *Env) launchChild(r *running, c Contender, t task) error {
	config := contender.Config{
		Kind: c.Kind, Workload: t.workload.Kind(), Broker: e.Kafka.Addr, Topic: t.topic, Database: t.database,
		Workers: c.Workers, Ends: t.ends, Open: t.open, Cuts: t.cuts,
	}
	switch w := t.workload.(type) {
	case *workload.Yahoo:
		config.Window = w.Window
	case *workload.Updates:
		config.Updates = &workload.Updates{Seed: w.Seed, Keys: w.Keys, Zipf: w.Zipf}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	out, in := io.Pipe()
	if r.child, err = e.spawn(bytes.NewReader(text), in, e.self, "contender"); err != nil {
		return err
	}
	r.follow(out, in)
	return nil
}

// follow reads the commits that a child prints, until it has ended.
func (r *running) follow(out io.Reader, in io.Closer) {
	go func() {
		<-r.ended
		_ = in.Close() // never fails
	}()
	go func() {
		defer close(r.watched)
		r.log.lines(out)
	}()
}

// end stops a contender that runs on; err is why it is given up, if it is.
func (r *running) end(err error) error {
	defer r.settle()
	if err != nil {
		r.kill()
		return err
	}
	return r.stop()
}

// settle ends the watching and the sampling of a contender that has ended.
func (r *running) settle() {
	close(r.watch)
	<-r.watched
	r.sampler.finish()
}
