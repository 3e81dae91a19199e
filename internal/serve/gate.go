package serve

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// gates divide the reader's connections to the database, so that what takes
// long leaves some to what does not:
//
//	exports    answers that stream: at most 3 of 8 connections
//	snapshots  of live streams: at most 2 of 8
//	the rest   answers that end within spoolBytes, the hub, keys, catalogue
//
// And one client, where clients can be told apart, holds at most half of each
// kind and of the whole.
type gates struct {
	reads, exports, snapshots *gate
}

func newGates(connections int) gates {
	part := func(eighths int) int { return max(1, connections*eighths/8) }
	return gates{
		reads:     &gate{each: max(1, connections/2)},
		exports:   newGate(part(3)),
		snapshots: newGate(part(2)),
	}
}

// exportWait is how long an answer that streams waits for a place, without a
// connection.
const exportWait = 10 * time.Second

// errNoRoom tells that a gate is full.
var errNoRoom = errors.New("too many readings of this kind")

// gate lets a number in at once, and of each client a smaller one.
type gate struct {
	room chan struct{} // nil: all together are bounded by something else
	each int

	mu      sync.Mutex
	clients map[string]*seats // who is in or waits
}

type seats struct {
	room  chan struct{}
	users int // that are in or wait: without any, the seats are forgotten
}

func newGate(n int) *gate { return &gate{room: make(chan struct{}, n), each: (n + 1) / 2} }

// enter waits for a place until ctx ends. A client of no name has no share of
// its own.
func (g *gate) enter(ctx context.Context, client string) (leave func(), err error) {
	stand := func() {}
	if client != "" {
		own := g.join(client)
		select {
		case own.room <- struct{}{}:
			stand = func() { <-own.room; g.part(client, own) }
		case <-ctx.Done():
			g.part(client, own)
			return nil, errNoRoom
		}
	}
	if g.room == nil {
		return sync.OnceFunc(stand), nil
	}
	select {
	case g.room <- struct{}{}:
		return sync.OnceFunc(func() { <-g.room; stand() }), nil
	case <-ctx.Done():
		stand()
		return nil, errNoRoom
	}
}

func (g *gate) join(client string) *seats {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := g.clients[client]
	if own == nil {
		if g.clients == nil {
			g.clients = map[string]*seats{}
		}
		own = &seats{room: make(chan struct{}, g.each)}
		g.clients[client] = own
	}
	own.users++
	return own
}

func (g *gate) part(client string, own *seats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(g.clients, client)
	}
}

// export waits for a place among the answers that stream.
func (s *Server) export(ctx context.Context) (leave func(), err error) {
	wait, cancel := context.WithTimeout(ctx, exportWait)
	defer cancel()
	leave, err = s.gates.exports.enter(wait, callerOf(ctx).client())
	if err != nil && ctx.Err() == nil {
		return nil, problem(http.StatusServiceUnavailable, codeShare, "too many long answers are being sent").
			hint("try again; take pages by limit and the link to the next, which end sooner").after(exportWait / 2)
	}
	return leave, err
}

// pace is how quickly a client takes what holds a connection to the database.
// It may take nothing for a while; what is more it earns by what it has taken.
type pace struct {
	patience time.Duration
	sent     int64
	blocked  time.Duration // in writes
}

// leastRate is how many bytes per second a client takes, beyond its patience.
const leastRate = 32 << 10

// deadline is until when the next piece must be taken.
func (p *pace) deadline(now time.Time) time.Time {
	earned := time.Duration(float64(p.sent) / leastRate * float64(time.Second))
	return now.Add(min(p.patience, p.patience+earned-p.blocked))
}

// took notes that a piece was taken.
func (p *pace) took(n int, since time.Time) {
	p.sent += int64(n)
	p.blocked += time.Since(since)
}
