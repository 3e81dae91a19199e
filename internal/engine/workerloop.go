package engine

import (
	"sync/atomic"

	"github.com/millstream-dev/millstream/internal/plan"
)

// workerLoop is a worker's goroutine. It ends when in is closed.
type workerLoop struct {
	worker  *worker
	spares  []*partial // in the order in which they were given
	in      chan task
	done    chan<- int
	stopped chan struct{}
	views   []*plan.View
	plan    *plan.Pipeline
	changed *changedRows // of all workers
	counted []int        // by ViewID: the partial's groups that changed has counted
	// rows is how many rows the partial has of views without groups, and bytes
	// what the texts of rows take, after the last chunk: for the run loop to
	// look at while chunks are under way.
	rows, bytes atomic.Int64
}

// task is a chunk for all foreign tables over its topic.
type task struct {
	chunk   Chunk
	parts   []*partition
	floors  []int64
	lookups []*lookupTable // by LookupID
	traced  bool           // the epoch is followed
}

func newWorkerLoop(p *plan.Pipeline, clock Clock, changed *changedRows, done chan<- int) *workerLoop {
	return &workerLoop{
		worker: newWorker(p, clock), spares: []*partial{newPartial(p)}, plan: p,
		in: make(chan task, maxOutstanding), done: done, stopped: make(chan struct{}), views: p.Views,
		changed: changed, counted: make([]int, len(p.Views)),
	}
}

func (w *workerLoop) run() {
	defer close(w.stopped)
	for t := range w.in {
		records := len(t.chunk.Records)
		w.worker.part.times.on = t.traced
		for _, p := range t.parts {
			if t.chunk.Next <= p.next && len(t.chunk.Records) == 0 {
				continue
			}
			chunk := t.chunk
			for len(chunk.Records) > 0 && chunk.Records[0].Offset < p.next {
				chunk.Records = chunk.Records[1:] // another table of the topic was behind
			}
			for {
				piece := cutBytes(&chunk)
				w.worker.process(p, &piece, t.floors, t.lookups)
				if len(chunk.Records) == 0 {
					break
				}
			}
		}
		if t.chunk.Release != nil {
			t.chunk.Release()
		}
		w.count()
		w.bytes.Store(resultBytes(w.worker.part))
		w.done <- records
	}
}

// maxDecodeBytes is how many bytes of payloads are decoded at once: what a
// column of them takes stays far below column.MaxBuffer, and in the cache.
const maxDecodeBytes = 32 << 20

// cutBytes takes records off the front of a chunk, at most maxDecodeBytes of
// them but at least one, as a chunk of their own.
func cutBytes(c *Chunk) Chunk {
	bytes := 0
	for i := range c.Records {
		if bytes += len(c.Records[i].Value); bytes > maxDecodeBytes && i > 0 {
			piece := *c
			piece.Records, piece.Next = c.Records[:i], c.Records[i-1].Offset+1
			c.Records = c.Records[i:]
			return piece
		}
	}
	piece := *c
	c.Records = nil
	return piece
}

// swap gives the worker's partial and puts an empty one in its place. It is
// called when no chunk is under way. used: the partial given last belongs to a
// commit that is being written; those before it are free.
func (w *workerLoop) swap(used bool) *partial {
	clear(w.counted)
	w.rows.Store(0)
	w.bytes.Store(0)
	free := len(w.spares)
	if used {
		free--
	}
	if free == 0 {
		w.spares, free = append([]*partial{newPartial(w.plan)}, w.spares...), 1
	}
	out := w.worker.part
	w.worker.part = w.spares[free-1]
	w.worker.part.reset()
	w.spares = append(append(w.spares[:free-1:free-1], w.spares[free:]...), out)
	return out
}
