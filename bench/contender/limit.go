package contender

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// limitGC lets garbage grow to several times the small live heap: fetched
// answers are all that is thrown away.
const limitGC = 800

// query is the one thing that a limit program does.
type query interface {
	// prepare reads what the query needs, makes the table if it is absent, and
	// puts its rows back into the state.
	prepare(ctx context.Context, db *pgx.Conn, state *counters) error
	layout() *layout
	// add counts a record.
	add(t *counters, v *values) error
	// write upserts the rows of changed counters, in the open transaction.
	write(w *writer, changed []*counter) error
}

func queryOf(c Config) (query, error) {
	switch c.Workload {
	case "Y":
		return newYahooQuery(c.Window), nil
	case "S":
		return &skeletonQuery{}, nil
	case "U":
		return &updatesQuery{}, nil
	}
	return nil, fmt.Errorf("there is no limit program for workload %q", c.Workload)
}

// worker counts the records of its partitions into a table of its own.
type worker struct {
	query  query
	layout *layout
	chunks chan []chunk
	seal   chan *epoch // in: an empty epoch; the answer comes through sealed
	sealed chan *epoch
	dirty  chan<- struct{}

	epoch *epoch // what it counts into
	walk  walker
}

// epoch is what a worker has counted since the last one.
type epoch struct {
	counters *counters
	events   int64
	moved    map[int32][2]int64 // partition: from, to
}

func newEpoch() *epoch { return &epoch{counters: newCounters(), moved: map[int32][2]int64{}} }

func (e *epoch) reset() {
	e.counters.reset()
	e.events = 0
	clear(e.moved)
}

func (w *worker) run(ctx context.Context) error {
	for {
		select {
		case fresh := <-w.seal:
			w.sealed <- w.epoch
			w.epoch = fresh
		case chunks := <-w.chunks:
			for _, c := range chunks {
				if err := w.count(c); err != nil {
					return err
				}
			}
			select {
			case w.dirty <- struct{}{}:
			default:
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *worker) count(c chunk) error {
	e := w.epoch
	var v values
	err := w.walk.walk(c.batches, c.from, func(value []byte) error {
		e.events++
		if err := w.layout.scan(value, &v); err != nil {
			return err
		}
		return w.query.add(e.counters, &v)
	})
	if err != nil {
		return fmt.Errorf("partition %d: %w", c.partition, err)
	}
	from := c.from
	if before, ok := e.moved[c.partition]; ok {
		from = before[0]
	}
	e.moved[c.partition] = [2]int64{from, c.to}
	return nil
}

// limit is a running limit program.
type limit struct {
	config  Config
	query   query
	db      *pgx.Conn
	workers []*worker
	dirty   chan struct{}
	say     tell

	state   *counters
	at      []int64 // committed positions
	events  int64
	rows    int64
	number  uint32 // of the epoch
	changed []*counter
	writer  writer
}

func runLimit(ctx context.Context, c Config, say tell) error {
	debug.SetGCPercent(limitGC)
	q, err := queryOf(c)
	if err != nil {
		return err
	}
	l := &limit{config: c, query: q, say: say, dirty: make(chan struct{}, 1), state: newCounters()}
	if l.db, err = pgx.Connect(ctx, c.Database); err != nil {
		return err
	}
	defer l.db.Close(context.WithoutCancel(ctx))
	l.writer = writer{db: l.db}
	if err := q.prepare(ctx, l.db, l.state); err != nil {
		return err
	}
	if l.at, err = positions(ctx, l.db, len(c.Ends)); err != nil {
		return err
	}
	work, stop := context.WithCancel(ctx)
	group, work := errgroup.WithContext(work)
	if err := l.start(work, group); err != nil {
		stop()
		return err
	}
	group.Go(func() error {
		defer stop()
		return l.commits(work)
	})
	err = group.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // asked to end
	}
	return err
}

// start gives each worker its share of the partitions and a connection.
func (l *limit) start(ctx context.Context, group *errgroup.Group) error {
	for n := range l.config.Workers {
		next := map[int32]int64{}
		for p := n; p < len(l.at); p += l.config.Workers {
			next[int32(p)] = l.at[p]
		}
		if len(next) == 0 {
			continue
		}
		f, err := newFetcher(ctx, l.config.Broker, l.config.Topic, next)
		if err != nil {
			return err
		}
		w := &worker{
			query: l.query, layout: l.query.layout(), chunks: make(chan []chunk, ahead),
			seal: make(chan *epoch), sealed: make(chan *epoch, 1), dirty: l.dirty, epoch: newEpoch(),
		}
		l.workers = append(l.workers, w)
		group.Go(func() error { return f.run(ctx, w.chunks) })
		group.Go(func() error { return w.run(ctx) })
	}
	return nil
}

// commits seals and commits epochs until the ends are reached. Workers go on
// while a commit is being made.
func (l *limit) commits(ctx context.Context) error {
	spare := make([]*epoch, len(l.workers))
	for i := range spare {
		spare[i] = newEpoch()
	}
	for !l.config.done(l.at) {
		select {
		case <-l.dirty:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		l.number++
		l.changed = l.changed[:0]
		moved := map[int32][2]int64{}
		for i, w := range l.workers {
			select {
			case w.seal <- spare[i]:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			spare[i] = <-w.sealed
		}
		fresh := 0
		for _, e := range spare {
			fresh += e.counters.used
		}
		l.state.reserve(fresh) // pointers into it are kept until the commit
		for _, e := range spare {
			l.merge(e, moved)
			e.reset()
		}
		if len(moved) == 0 {
			continue
		}
		if err := l.commit(ctx, moved); err != nil {
			return err
		}
	}
	return nil
}

// merge adds a worker's counters to the state.
func (l *limit) merge(e *epoch, moved map[int32][2]int64) {
	l.events += e.events
	for p, m := range e.moved {
		moved[p] = m
	}
	for i := range e.counters.cells {
		part := &e.counters.cells[i]
		if part.key == 0 {
			continue
		}
		c := l.state.at(part.key)
		if c.n == 0 || part.max > c.max {
			c.max = part.max
		}
		c.n += part.n
		c.sum += part.sum
		c.float += part.float
		if c.epoch != l.number {
			c.epoch = l.number
			l.changed = append(l.changed, c)
		}
	}
}

// commit writes rows and positions in one transaction.
func (l *limit) commit(ctx context.Context, moved map[int32][2]int64) error {
	slices.SortFunc(l.changed, func(a, b *counter) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	if err := l.writer.begin(ctx, moved); err != nil {
		return err
	}
	if len(l.changed) > 0 {
		if err := l.query.write(&l.writer, l.changed); err != nil {
			return err
		}
	}
	if err := l.writer.commit(); err != nil {
		return err
	}
	for _, c := range l.changed {
		c.written = true
	}
	for p, m := range moved {
		l.at[p] = m[1]
	}
	l.rows += int64(len(l.changed))
	return l.say(l.events, l.rows)
}
