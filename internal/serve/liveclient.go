package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// liveClient is one connection: it stands at one commit in all of its streams.
type liveClient struct {
	hub     *hub
	several bool
	watches []*watch
	w       http.ResponseWriter
	control *http.ResponseController
	pace    *pace // while a snapshot is sent, which holds a connection; else nil

	sent int64  // bytes
	tag  string // of the hub's run that pos is of
	pos  int64  // the commit that the client has; -1: none
}

// join takes the streams from the hub, or puts them there.
func (c *liveClient) join(made []*watch) error {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh, wanted := 0, map[string]bool{}
	for _, w := range made {
		wanted[w.id] = true
		if h.watches[w.id] == nil {
			fresh++
		}
	}
	for len(h.watches)+fresh > maxWatches && h.dropIdle(wanted) {
	}
	if h.streams >= h.server.config.Limits.Streams || len(h.watches)+fresh > maxWatches {
		return problem(http.StatusServiceUnavailable, codeStreams, "there are %d streams, of %d kinds: no more fit", h.streams, len(h.watches)).
			hint("close some; streams with the same selection and filters are one kind; at most %d connections and %d kinds are held", h.server.config.Limits.Streams, maxWatches)
	}
	for _, w := range made {
		if have := h.watches[w.id]; have != nil {
			w = have
		} else {
			w.from = h.seen
			h.watches[w.id] = w
		}
		w.clients++
		c.watches = append(c.watches, w)
	}
	h.streams++
	c.tag, c.pos = h.tag, -1
	return nil
}

func (c *liveClient) leave() {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams--
	for _, w := range c.watches {
		w.clients--
		w.left = time.Now()
	}
}

// resume goes on from the commit of an event id, if it is of this run.
func (c *liveClient) resume(id string) {
	seq, tag, ok := strings.Cut(id, "-")
	n, err := strconv.ParseInt(seq, 10, 64)
	switch {
	case id == "":
	case !ok || err != nil || n < 0 || tag != c.tag:
		c.tag = "" // as of another run: the client is told
	default:
		c.pos = n
	}
}

// run sends what there is and waits for more.
func (c *liveClient) run(ctx context.Context) error {
	if err := c.send(fmt.Appendf(nil, "retry: %d\n\n", retryAfter.Milliseconds())); err != nil {
		return err
	}
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		data, why, wake, err := c.gather()
		if err != nil {
			c.broken(err)
			return err
		}
		if why != "" {
			if err := c.snapshot(ctx, why); err != nil {
				return err
			}
			continue
		}
		if data != nil {
			if err := c.send(data); err != nil {
				return err
			}
			continue
		}
		select {
		case <-wake:
		case <-ping.C:
			if err := c.send([]byte(": ping\n\n")); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// broken tells the client why the stream ends.
func (c *liveClient) broken(err error) {
	var p *Problem
	if errors.As(asProblem(err), &p) {
		if text, failed := json.Marshal(p); failed == nil {
			_ = c.send(appendEvent(nil, "error", text)) // who is gone needs no answer
		}
	}
}

// send writes in pieces that each have the time limit.
func (c *liveClient) send(data []byte) error {
	for rest := data; len(rest) > 0; {
		now := time.Now()
		deadline := now.Add(c.hub.server.config.Limits.WriteTimeout)
		if c.pace != nil {
			deadline = c.pace.deadline(now)
		}
		if err := c.control.SetWriteDeadline(deadline); err != nil {
			return err
		}
		n, err := c.w.Write(rest[:min(len(rest), writeBytes)])
		if err != nil {
			return err
		}
		c.sent += int64(n)
		if c.pace != nil {
			c.pace.took(n, now)
		}
		rest = rest[n:]
	}
	return c.control.Flush()
}
