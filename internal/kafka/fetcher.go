package kafka

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
)

// A fetcher reads the partitions of one cluster. The library keeps the
// connections; which partition is asked of which broker, from where, is
// decided here, so that what comes can be walked in place.
//
//	layout ──▶ leader of each cursor
//	broker 1 ──▶ fetch, fetch, …  ┐
//	broker 2 ──▶ fetch, fetch, …  ┼──▶ out ──▶ Poll walks the batches
//	                              ┘
//
// Each broker has one goroutine with one fetch under way. It waits until Poll
// has taken an answer before it asks for the next but one: that bounds memory.
type fetcher struct {
	server *server
	out    chan<- *response
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex // guards what is below, and the cursors
	cursors map[engine.Partition]*cursor
	brokers map[int32]chan struct{} // wakes a broker's goroutine
	lost    chan struct{}           // wakes layout: a cursor has no leader
}

// noLeader is the leader of a cursor whose partition's leader is to be looked
// for.
const noLeader = -1

// cursor is where fetching a partition stands. One that is replaced in
// fetcher.cursors is dead: what it still brings is not taken.
type cursor struct {
	partition engine.Partition
	id        engine.TopicID

	offset      int64 // to ask for next
	epoch       int32 // of the leader that appended what was fetched last, -1 for none
	leader      int32
	leaderEpoch int32
	busy        bool // a request asks for it
	paused      bool
	held        bool // it has a problem that Poll has to judge
}

// response is what a broker has answered, or a problem beside any.
type response struct {
	server   string
	shares   []share
	problems []found
	failed   bool // the broker gave no answer
	passing  bool // some of what was asked for has met what heals by itself
}

// found is a problem with the cursor that has met it, nil for the cluster as
// a whole.
type found struct {
	cursor *cursor
	err    error
}

func newFetcher(v *server, out chan<- *response) *fetcher {
	f := &fetcher{
		server: v, out: out,
		cursors: make(map[engine.Partition]*cursor), brokers: make(map[int32]chan struct{}), lost: make(chan struct{}, 1),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.done.Go(f.layout)
	return f
}

func (f *fetcher) close() {
	f.mu.Lock() // wake starts nothing afterwards
	f.cancel()
	f.mu.Unlock()
	f.done.Wait()
}

// read begins to fetch a partition at offset, in place of what was fetched of
// it before.
func (f *fetcher) read(p engine.Partition, id engine.TopicID, offset int64, paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin(p, id, offset, paused)
}

// setBack begins a cursor anew at offset, unless it has been replaced. It is
// paused if the cursor still is.
func (f *fetcher) setBack(c *cursor, offset int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cursors[c.partition] == c {
		f.begin(c.partition, c.id, offset, c.paused)
	}
}

// begin puts a new cursor in place of a partition's. f.mu is held.
func (f *fetcher) begin(p engine.Partition, id engine.TopicID, offset int64, paused bool) {
	c := &cursor{partition: p, id: id, offset: offset, epoch: -1, leader: noLeader, leaderEpoch: -1, paused: paused}
	if before := f.cursors[p]; before != nil && !before.held {
		c.leader, c.leaderEpoch = before.leader, before.leaderEpoch
	}
	f.cursors[p] = c
	f.wake(c.leader)
}

// alive tells whether c still is its partition's cursor, and whether it is
// paused.
func (f *fetcher) alive(c *cursor) (alive, paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cursors[c.partition] == c, c.paused
}

// resume goes on with a cursor whose problem has been judged to pass: its
// leader is looked for again.
func (f *fetcher) resume(c *cursor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.held, c.leader = false, noLeader
	f.wake(noLeader)
}

// pause sets which partitions are paused.
func (f *fetcher) pause(paused map[engine.Partition]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p, c := range f.cursors {
		if c.paused && !paused[p] {
			f.wake(c.leader)
		}
		c.paused = paused[p]
	}
}

// wake has the goroutine look that serves cursors of a leader, starting it if
// there is none. f.mu is held.
func (f *fetcher) wake(leader int32) {
	if f.ctx.Err() != nil {
		return
	}
	c := f.lost
	if leader != noLeader {
		if c = f.brokers[leader]; c == nil {
			c = make(chan struct{}, 1)
			f.brokers[leader] = c
			f.done.Go(func() { f.broker(leader, c) })
		}
	}
	select {
	case c <- struct{}{}:
	default:
	}
}

// broker fetches from one broker, one request at a time. After what heals by
// itself it waits: the cluster may go on to name this broker for a while.
func (f *fetcher) broker(id int32, wake <-chan struct{}) {
	pause := backoffMin
	for turn := 0; ; turn++ {
		asked := f.take(id, turn)
		if len(asked) == 0 {
			select {
			case <-wake:
				continue
			case <-f.ctx.Done():
				return
			}
		}
		resp, err := f.server.client.Broker(int(id)).Request(f.ctx, request(asked))
		if f.ctx.Err() != nil {
			return
		}
		r := f.answer(asked, resp, err)
		if !f.give(r) || r.passing && !f.wait(pause) {
			return
		}
		if r.failed {
			pause = min(2*pause, backoffMax)
		} else {
			pause = backoffMin
		}
	}
}

// wait waits, and tells whether to go on.
func (f *fetcher) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// give hands a response to Poll and tells whether to go on.
func (f *fetcher) give(r *response) bool {
	if len(r.shares) == 0 && len(r.problems) == 0 {
		return f.ctx.Err() == nil
	}
	select {
	case f.out <- r:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// take gives the cursors to ask a broker for, in an order that begins with
// another one at each turn: an answer's bytes are limited.
func (f *fetcher) take(id int32, turn int) []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []asked
	for _, c := range f.cursors {
		if c.leader == id && !c.busy && !c.paused && !c.held {
			c.busy = true
			all = append(all, asked{c, c.offset, c.epoch, c.leaderEpoch})
		}
	}
	slices.SortFunc(all, func(a, b asked) int { return comparePartitions(a.cursor.partition, b.cursor.partition) })
	if len(all) > 1 {
		k := turn % len(all)
		all = append(all[k:len(all):len(all)], all[:k]...)
		// A request names each topic once: those before the first come last.
		first := all[0].cursor.partition.Topic
		slices.SortStableFunc(all, func(a, b asked) int {
			x, y := a.cursor.partition.Topic, b.cursor.partition.Topic
			if (x < first) != (y < first) {
				return cmp.Compare(y, x)
			}
			return cmp.Compare(x, y)
		})
	}
	return all
}

// layout finds leaders for cursors that have none.
func (f *fetcher) layout() {
	for pause := backoffMin; ; {
		wanted := f.leaderless()
		if len(wanted) == 0 {
			pause = backoffMin
			select {
			case <-f.lost:
				continue
			case <-f.ctx.Done():
				return
			}
		}
		r := f.findLeaders(wanted)
		if !f.give(r) {
			return
		}
		if len(f.leaderless()) == 0 {
			continue
		}
		if !f.wait(pause) {
			return
		}
		pause = min(2*pause, backoffMax)
	}
}

func (f *fetcher) leaderless() []*cursor {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*cursor
	for _, c := range f.cursors {
		if c.leader == noLeader && !c.held {
			out = append(out, c)
		}
	}
	return out
}

// findLeaders asks the cluster once who leads the cursors' partitions.
func (f *fetcher) findLeaders(wanted []*cursor) *response {
	r := &response{server: f.server.name}
	var names []string
	for _, c := range wanted {
		names = append(names, c.partition.Topic)
	}
	slices.Sort(names)
	topics, err := f.server.topics(f.ctx, slices.Compact(names))
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if transient(err) || f.ctx.Err() != nil {
			f.server.health.set(err)
			return r
		}
		for _, c := range wanted {
			c.held = true
		}
		r.problems = append(r.problems, found{nil, err})
		return r
	}
	for _, c := range wanted {
		t := topics[c.partition.Topic]
		led, ok := t.leaders[c.partition.Partition]
		err := t.refused
		switch {
		case err == nil && c.id != (engine.TopicID{}) && t.ID != (engine.TopicID{}) && t.ID != c.id:
			err = errAnotherTopic
		case err == nil && !ok:
			err = errNoPartition
		case err == nil:
			err = led.err
		}
		switch {
		case err == nil:
			c.leader, c.leaderEpoch = led.leader, led.epoch
			f.wake(c.leader)
		case classify(err) == passing:
			f.server.health.set(err)
		default:
			c.held = true
			r.problems = append(r.problems, found{c, err})
		}
	}
	return r
}

// clientDecompressor gives a decompressor with the client's limit and its pools.
func clientDecompressor(client *kgo.Client) kgo.Decompressor {
	return client.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
}
