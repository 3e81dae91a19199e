package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// errUntold tells that PostgreSQL shows a commit that the engine does not tell
// of.
var errUntold = errors.New("the engine does not tell of the last commit in the database")

// round reads one snapshot and brings all logs to its commit. After an error
// all is as it was, so that it can be tried again.
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
	switch err := h.told(ctx, seq); {
	case errors.Is(err, errUntold):
		h.log.Warn("live streams begin anew", "error", err, "commit", seq)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.restart()
		return nil
	case err != nil:
		return err
	}
	keys, watches := h.waiting(seq)
	all := make([]changes, len(watches))
	for i, w := range watches {
		if all[i], err = w.read(ctx, n, keys[w.view]); err == nil {
			continue
		}
		var p *Problem
		if !errors.As(asProblem(err), &p) || p.Status == http.StatusServiceUnavailable {
			return fmt.Errorf("read the changes of %s: %w", w.relation.Name, err)
		}
		h.fail(w, p) // the snapshot is lost with it: the others have another round
		return nil
	}
	h.publish(tag, seq, end, watches, all)
	return nil
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

// told waits until the engine has told of all commits up to seq.
func (h *hub) told(ctx context.Context, seq int64) error {
	patience := time.NewTimer(reportTimeout)
	defer patience.Stop()
	for {
		h.mu.Lock()
		taken := h.taken
		h.mu.Unlock()
		if taken >= seq {
			return nil
		}
		select {
		case <-h.notify:
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			return errUntold
		}
	}
}

// waiting gives the keys that commits up to seq have changed, and the streams.
// Where later commits were merged with them, there are more keys: what they
// come to as of seq is told as well.
func (h *hub) waiting(seq int64) (map[string]*keySet, []*watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := map[string]*keySet{}
	for _, p := range h.pending {
		if p.first <= seq {
			merge(keys, p.keys)
		}
	}
	var watches []*watch
	for _, w := range h.watches {
		watches = append(watches, w)
	}
	return keys, watches
}

// publish adds what commits up to seq have done to the logs, unless all has
// begun anew since.
func (h *hub) publish(tag string, seq int64, end []byte, watches []*watch, all []changes) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tag != tag {
		return
	}
	for i, w := range watches {
		e := entry{seq, all[i].events, end}
		switch {
		case all[i].lost || e.bytes() > logBytes:
			h.clear(w, seq)
		case e.data != nil:
			h.append(w, e)
		}
	}
	for len(h.pending) > 0 && h.pending[0].seq <= seq {
		h.pending[0] = pendingCommit{}
		h.pending = h.pending[1:]
	}
	h.latest, h.end = seq, end
	h.announce()
	if len(h.pending) > 0 {
		h.poke()
	}
}

// fail ends a stream: a filter or cast that was well until now does not fit a
// row that a commit has brought, or takes too long.
func (h *hub) fail(w *watch, p *Problem) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.failed = p
	h.clear(w, w.from)
	delete(h.watches, w.id)
	h.announce()
	h.poke()
}
