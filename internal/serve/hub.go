package serve

import (
	"context"
	"crypto/rand"
	_ "embed"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

//go:embed commit.sql
var commitSQL string

// hub turns the engine's commits into streams.
//
//	engine ─▶ Committed: keys ─▶ pending ─▶ run: rows from one snapshot ─▶ logs ─▶ clients
//
// Invariants:
//
//  1. A commit's events bring a client from the state of one commit to that
//     of a later one: they are read from one snapshot, for all keys that any
//     commit between has changed.
//  2. The engine never waits: Committed copies keys and returns.
//  3. A log holds all that came after watch.from. Whoever stands before that
//     is told to begin anew.
//  4. Keys wait in pending until events of them are in the logs: a round that
//     fails is begun again, and nobody notices but by the time it takes.
//  5. A stream that PostgreSQL refuses to read ends with its error, and
//     disturbs no other.
//
// One goroutine, run, reads PostgreSQL and appends to logs. Clients read logs
// under mu and write to their connections without it.
type hub struct {
	server *Server
	views  []*plan.View
	log    *slog.Logger
	notify chan struct{} // has an element when there is something to do

	mu      sync.Mutex
	watches map[string]*watch
	bytes   int             // of all logs
	seen    int64           // the last commit that the engine has told of
	taken   int64           // the last commit whose keys are in pending
	latest  int64           // the last commit that logs hold
	end     []byte          // its event
	tag     string          // of this run: ids of another mean nothing here
	wake    chan struct{}   // closed when logs have grown
	pending []pendingCommit // told of, and not yet read
	streams int
}

// pendingCommit is what a commit changed of what is watched.
type pendingCommit struct {
	first, seq int64              // more than one commit where they were merged
	keys       map[string]*keySet // by view
}

func newHub(s *Server, p *plan.Pipeline) *hub {
	h := &hub{server: s, log: s.config.Log, notify: make(chan struct{}, 1), watches: map[string]*watch{}, tag: rand.Text()[:10],
		wake: make(chan struct{})}
	h.views = p.Views
	return h
}

// Committed tells of a commit: the engine's OnCommit. It does not block.
func (s *Server) Committed(r *engine.Report) {
	s.posting.commits.committed(r.Commit)
	if s.hub != nil {
		s.hub.committed(r.Commit, r.Stats.Expired)
	}
}

func (h *hub) committed(c *engine.Commit, expired []engine.ViewID) {
	h.mu.Lock()
	switch {
	case c.Seq <= h.seen: // the database was restored to an older state
		h.restart()
	case c.Seq != h.seen+1: // the commits between, another process has made
		h.skip(c.Seq - 1)
	}
	h.seen = c.Seq
	watched := map[string]bool{}
	for _, w := range h.watches {
		watched[w.view] = true
	}
	h.mu.Unlock()
	p := pendingCommit{first: c.Seq, seq: c.Seq, keys: map[string]*keySet{}}
	for i := range c.Tables {
		if v := h.views[c.Tables[i].View]; watched[v.Name] {
			p.keys[v.Name] = changed(v, &c.Tables[i], slices.Contains(expired, c.Tables[i].View))
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = c.Seq
	if len(watched) > 0 {
		h.queue(p)
		h.poke()
	}
}

// queue adds a commit to those that wait. Many are merged, so that they are
// bounded by the keys that there are, and by maxKeys. mu is held.
func (h *hub) queue(p pendingCommit) {
	h.pending = append(h.pending, p)
	keys := 0
	for _, p := range h.pending {
		for _, set := range p.keys {
			keys += set.n
		}
	}
	if len(h.pending) <= maxPending && keys <= maxKeys {
		return
	}
	all := &h.pending[0]
	for _, later := range h.pending[1:] {
		merge(all.keys, later.keys)
		all.seq = later.seq
	}
	clear(h.pending[1:])
	h.pending = h.pending[:1]
}

// merge adds the keys of later commits, by view.
func merge(keys, later map[string]*keySet) {
	for view, set := range later {
		if keys[view] == nil {
			keys[view] = &keySet{}
		}
		keys[view].merge(set)
	}
}

// maxPending bounds the commits that wait one by one.
const maxPending = 64

// restart makes every client begin anew. mu is held.
func (h *hub) restart() {
	h.tag, h.pending, h.latest, h.seen, h.taken = rand.Text()[:10], nil, 0, 0, 0
	for _, w := range h.watches {
		h.clear(w, 0)
	}
	h.announce()
}

// skip makes who does not have a commit begin anew, and others go on after it.
// mu is held.
func (h *hub) skip(to int64) {
	h.pending = nil
	for _, w := range h.watches {
		h.clear(w, to)
	}
	h.announce()
}

func (h *hub) announce() {
	close(h.wake)
	h.wake = make(chan struct{})
}

func (h *hub) poke() {
	select {
	case h.notify <- struct{}{}:
	default:
	}
}

// run reads what commits have changed until ctx ends.
func (h *hub) run(ctx context.Context) {
	tidy := time.NewTicker(linger / 4)
	defer tidy.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			h.tidy(time.Now())
			continue
		case <-h.notify:
		}
		if err := h.round(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("live streams wait for the database", "error", err)
			time.AfterFunc(retryAfter, h.poke)
		}
	}
}

// dropIdle drops the stream that nobody has read for longest, but for those
// that are wanted, and tells whether there was one. mu is held.
func (h *hub) dropIdle(wanted map[string]bool) bool {
	var idle *watch
	for id, w := range h.watches {
		if w.clients == 0 && !wanted[id] && (idle == nil || w.left.Before(idle.left)) {
			idle = w
		}
	}
	if idle == nil {
		return false
	}
	h.clear(idle, idle.from)
	delete(h.watches, idle.id)
	return true
}

// tidy drops streams that nobody has come back to.
func (h *hub) tidy(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, w := range h.watches {
		if w.clients == 0 && now.Sub(w.left) > linger {
			h.clear(w, w.from)
			delete(h.watches, id)
		}
	}
}
