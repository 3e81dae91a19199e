package serve

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"log/slog"
	"strconv"
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
	snaps   chan struct{} // a token for each snapshot that is being read
}

// pendingCommit is what a commit changed of what is watched.
type pendingCommit struct {
	seq  int64
	keys map[string]*keySet // by view
}

func newHub(s *Server, p *plan.Pipeline) *hub {
	h := &hub{server: s, log: s.config.Log, notify: make(chan struct{}, 1), watches: map[string]*watch{}, tag: rand.Text()[:10],
		wake: make(chan struct{}), snaps: make(chan struct{}, maxSnapshots)}
	h.views = p.Views
	return h
}

// Committed tells of a commit: the engine's OnCommit. It does not block.
func (s *Server) Committed(r *engine.Report) {
	if s.hub != nil {
		s.hub.committed(r.Commit)
	}
}

func (h *hub) committed(c *engine.Commit) {
	h.mu.Lock()
	if c.Seq <= h.seen { // the database was restored to an older state
		h.restart()
	}
	h.seen = c.Seq
	watched := map[string]bool{}
	for _, w := range h.watches {
		watched[w.view] = true
	}
	h.mu.Unlock()
	p := pendingCommit{seq: c.Seq, keys: map[string]*keySet{}}
	for i := range c.Tables {
		if v := h.views[c.Tables[i].View]; watched[v.Name] {
			p.keys[v.Name] = changed(v, &c.Tables[i])
		}
	}
	h.mu.Lock()
	h.taken = c.Seq
	if len(watched) == 0 {
		h.mu.Unlock()
		return
	}
	// What waits is merged, so that it is bounded by the keys that there are.
	if n := len(h.pending); n >= maxPending {
		last := &h.pending[n-1]
		for view, keys := range p.keys {
			if last.keys[view] == nil {
				last.keys[view] = &keySet{}
			}
			last.keys[view].merge(keys)
		}
		last.seq = p.seq
	} else {
		h.pending = append(h.pending, p)
	}
	h.mu.Unlock()
	h.poke()
}

// maxPending bounds the commits that wait one by one.
const maxPending = 64

// restart makes every client begin anew. mu is held.
func (h *hub) restart() {
	h.tag, h.pending, h.latest, h.seen, h.taken, h.bytes = rand.Text()[:10], nil, 0, 0, 0, 0
	for _, w := range h.watches {
		w.log, w.bytes, w.from = nil, 0, 0
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
			h.log.Warn("live streams begin anew", "error", err)
			h.mu.Lock()
			h.restart()
			h.mu.Unlock()
		}
	}
}

// tidy drops streams that nobody has come back to.
func (h *hub) tidy(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, w := range h.watches {
		if w.clients == 0 && now.Sub(w.left) > linger {
			h.bytes -= w.bytes
			delete(h.watches, id)
		}
	}
}

// round reads one snapshot and brings all logs to its commit.
func (h *hub) round(ctx context.Context) error {
	h.mu.Lock()
	idle := len(h.pending) == 0
	tag := h.tag
	h.mu.Unlock()
	if idle {
		return nil
	}
	n, err := h.server.open(ctx, "UTC")
	if err != nil {
		return err
	}
	defer n.close()
	seq, end, err := h.commit(ctx, n, tag)
	if err != nil {
		return err
	}
	keys, watches, err := h.take(ctx, seq)
	if err != nil {
		return err
	}
	events := make([]struct {
		data []byte
		lost bool
	}, len(watches))
	for i, w := range watches {
		set := keys[w.view]
		switch {
		case set == nil:
		case set.lost:
			events[i].lost = true
		default:
			if events[i].data, err = w.read(ctx, n, set); err != nil {
				return fmt.Errorf("read the changes of %s: %w", w.relation.Name, err)
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tag != tag {
		return nil // begun anew meanwhile
	}
	for i, w := range watches {
		switch {
		case events[i].lost || len(events[i].data) > logBytes:
			h.bytes -= w.bytes
			w.log, w.bytes, w.from = nil, 0, seq
		case events[i].data != nil:
			h.append(w, entry{seq, events[i].data, end})
		}
	}
	h.latest, h.end = seq, end
	h.announce()
	if len(h.pending) > 0 {
		h.poke()
	}
	return nil
}

// append adds to a log and drops what is oldest of it. mu is held.
func (h *hub) append(w *watch, e entry) {
	w.log = append(w.log, e)
	w.bytes += len(e.data)
	h.bytes += len(e.data)
	for len(w.log) > 1 && (w.bytes > logBytes || h.bytes > logsBytes) {
		w.from = w.log[0].seq
		w.bytes -= len(w.log[0].data)
		h.bytes -= len(w.log[0].data)
		w.log[0] = entry{}
		w.log = w.log[1:]
	}
}

// commit reads which commit a snapshot shows, and makes its event.
func (h *hub) commit(ctx context.Context, n *snapshot, tag string) (seq int64, end []byte, err error) {
	err = n.each(ctx, commitSQL, [][]byte{[]byte(h.server.config.Name)}, func(values [][]byte) (err error) {
		seq, err = strconv.ParseInt(string(values[0]), 10, 64)
		end = appendData(fmt.Appendf(nil, "event: commit\nid: %d-%s\n", seq, tag), values[1])
		end = append(end, '\n')
		return err
	})
	return seq, end, err
}

// take waits until the engine has told of all commits up to seq, and gives
// the keys that they changed.
func (h *hub) take(ctx context.Context, seq int64) (map[string]*keySet, []*watch, error) {
	patience := time.NewTimer(reportTimeout)
	defer patience.Stop()
	for {
		h.mu.Lock()
		if h.taken >= seq {
			break // with mu held
		}
		h.mu.Unlock()
		select {
		case <-h.notify:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-patience.C:
			return nil, nil, fmt.Errorf("commit %d is in the database, and the engine does not tell of it", seq)
		}
	}
	defer h.mu.Unlock()
	keys := map[string]*keySet{}
	for len(h.pending) > 0 && h.pending[0].seq <= seq {
		for view, set := range h.pending[0].keys {
			if keys[view] == nil {
				keys[view] = &keySet{}
			}
			keys[view].merge(set)
		}
		h.pending = h.pending[1:]
	}
	var watches []*watch
	for _, w := range h.watches {
		watches = append(watches, w)
	}
	return keys, watches, nil
}
