package kafka

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millstream-dev/millstream/internal/engine"
)

const (
	// progressInterval is how often group offsets are written at most: lag
	// tools look every few seconds, the engine commits many times in one.
	progressInterval = time.Second
	// progressTimeout bounds one such write.
	progressTimeout = 2 * time.Second
)

// progress writes positions to a consumer group, for lag tools only: nothing
// is ever read back from there.
type progress struct {
	server *server
	log    *slog.Logger

	mu     sync.Mutex
	noted  map[engine.Partition]int64 // not yet written
	signal chan struct{}              // that there is something in noted

	cancel context.CancelFunc
	done   chan struct{}
	failed bool // the last write failed: said once. Of the writer.
}

func startProgress(v *server, log *slog.Logger) *progress {
	ctx, cancel := context.WithCancel(context.Background())
	g := &progress{
		server: v, log: log, noted: make(map[engine.Partition]int64),
		signal: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}),
	}
	go g.run(ctx)
	return g
}

// note takes the positions of the server called name.
func (g *progress) note(name string, positions map[engine.Partition]int64) {
	g.mu.Lock()
	for p, offset := range positions {
		if p.Server == name {
			g.noted[p] = offset
		}
	}
	g.mu.Unlock()
	select {
	case g.signal <- struct{}{}:
	default:
	}
}

// run writes what is noted, until it is stopped; then once more.
func (g *progress) run(ctx context.Context) {
	defer close(g.done)
	for {
		select {
		case <-g.signal:
			g.write()
		case <-ctx.Done():
			g.write()
			return
		}
		_ = pause(ctx, progressInterval)
	}
}

func (g *progress) write() {
	g.mu.Lock()
	noted := maps.Clone(g.noted)
	clear(g.noted)
	g.mu.Unlock()
	if len(noted) == 0 {
		return
	}
	var offsets kadm.Offsets
	for p, at := range noted {
		offsets.AddOffset(p.Topic, p.Partition, at, -1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), progressTimeout)
	defer cancel()
	err := g.server.admin.CommitAllOffsets(ctx, g.server.config.Group, offsets)
	if err != nil && !g.failed {
		g.log.Warn("lag tools won't see this pipeline's progress: writing the consumer group's offsets failed",
			"group", g.server.config.Group, "error", err)
	}
	g.failed = err != nil
}

// stop writes what is left and ends the writer.
func (g *progress) stop() {
	g.cancel()
	<-g.done
}
