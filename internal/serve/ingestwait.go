package serve

import (
	"context"
	"net/http"
	"sync"

	"github.com/millstream-dev/millstream/internal/engine"
)

// progress is how far the engine of this process has committed, for those who
// wait until their records are in the tables.
type progress struct {
	mu      sync.Mutex
	seq     int64                              // guarded by mu
	to      map[engine.TableID]map[int32]int64 // guarded by mu: offsets, by partition
	changed chan struct{}                      // guarded by mu: closed by the next commit
}

func newProgress() *progress {
	return &progress{to: map[engine.TableID]map[int32]int64{}, changed: make(chan struct{})}
}

// committed takes what a commit says of positions. A database that was
// restored takes them back.
func (c *progress) committed(commit *engine.Commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = commit.Seq
	for _, p := range commit.Progress {
		if c.to[p.Table] == nil {
			c.to[p.Table] = map[int32]int64{}
		}
		c.to[p.Table][p.Partition] = p.To
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// reached tells the last commit if all tables have come beyond the offsets,
// and otherwise what to wait for.
func (c *progress) reached(tables []table, last map[int32]int64) (seq int64, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range tables {
		for partition, offset := range last {
			if c.to[t.id][partition] <= offset {
				return 0, c.changed
			}
		}
	}
	return c.seq, nil
}

// awaitCommit waits until every table that reads the topic has the records
// behind it, whatever has become of them: rows, late, filtered, quarantined.
func (s *Server) awaitCommit(ctx context.Context, t *topic, places []Place) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, committedTimeout)
	defer cancel()
	last := map[int32]int64{}
	for _, p := range places {
		last[p.Partition] = max(last[p.Partition], p.Offset)
	}
	for {
		seq, changed := s.posting.commits.reached(t.tables, last)
		if changed == nil {
			return seq, nil
		}
		select {
		case <-changed:
		case <-s.stopped:
			return 0, notYet(len(places), "the server stops")
		case <-ctx.Done():
			return 0, notYet(len(places), "the engine has not committed them within "+committedTimeout.String())
		}
	}
}

// notYet is the answer when records are in the log and the tables do not show
// them in time.
func notYet(accepted int, why string) *Problem {
	p := problem(http.StatusGatewayTimeout, codeNotCommitted, "the records are in the log, and not yet in the tables: %s", why).
		hint("they will be counted: don't send them again without their Idempotency-Key; /v1/pipeline tells what the engine waits for")
	p.Accepted = &accepted
	return p
}
