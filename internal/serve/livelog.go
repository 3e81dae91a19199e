package serve

import (
	"cmp"
	"slices"
	"strconv"
)

// entry is what one commit, or several together, do to a stream.
type entry struct {
	seq  int64
	data []byte
	end  []byte // the commit event
}

// entryBytes is about what an entry takes beside its texts.
const entryBytes = 64

func (e entry) bytes() int { return len(e.data) + len(e.end) + entryBytes }

// append adds to a log and drops what is oldest, of this one, and of all logs
// together from the longest. mu is held.
func (h *hub) append(w *watch, e entry) {
	w.log = append(w.log, e)
	w.bytes += e.bytes()
	h.bytes += e.bytes()
	for w.bytes > logBytes {
		h.forget(w)
	}
	for h.bytes > logsBytes {
		longest := w
		for _, other := range h.watches {
			if other.bytes > longest.bytes {
				longest = other
			}
		}
		h.forget(longest)
	}
}

// forget drops the oldest entry of a log.
func (h *hub) forget(w *watch) {
	e := w.log[0]
	w.from = max(w.from, e.seq)
	w.bytes -= e.bytes()
	h.bytes -= e.bytes()
	w.log[0] = entry{}
	w.log = w.log[1:]
}

// clear has a log begin after a commit.
func (h *hub) clear(w *watch, from int64) {
	h.bytes -= w.bytes
	w.log, w.bytes, w.from = nil, 0, from
}

// Why a stream begins: for the first time, or anew, which is the data of reset
// events.
const (
	first        = "first"
	resetSlow    = `{"reason": "the client was too slow, or away for too long"}`
	resetRestart = `{"reason": "the server cannot go on from there"}`
)

// part is an entry of one of a connection's streams.
type part struct {
	entry
	stream int
}

// gather gives the events after the client's commit, and moves the client on;
// or why it must begin anew; or what to wait for; or why the stream ends.
func (c *liveClient) gather() (data []byte, why string, wake <-chan struct{}, err error) {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range c.watches {
		if w.failed != nil {
			return nil, "", nil, w.failed
		}
	}
	switch {
	case c.tag != h.tag:
		c.tag = h.tag
		return nil, resetRestart, nil, nil
	case c.pos < 0:
		return nil, first, nil, nil
	}
	for _, w := range c.watches {
		if c.pos < w.from {
			return nil, resetSlow, nil, nil
		}
	}
	if c.pos >= h.latest {
		return nil, "", h.wake, nil
	}
	parts, upTo := c.parts()
	for i, p := range parts {
		if c.several {
			data = appendEvent(data, "stream", strconv.AppendInt(nil, int64(p.stream), 10))
		}
		data = append(data, p.data...)
		if i+1 == len(parts) || parts[i+1].seq != p.seq {
			data = append(data, p.end...)
			c.pos = p.seq
		}
	}
	if c.pos < upTo {
		data, c.pos = append(data, h.end...), upTo
	}
	return data, "", nil, nil
}

// parts are what the logs hold after the client's commit, in order, up to a
// commit: the last, or one by which about gatherBytes of a stream have come.
// mu is held.
func (c *liveClient) parts() (parts []part, upTo int64) {
	upTo = c.hub.latest
	for i, w := range c.watches {
		at, _ := slices.BinarySearchFunc(w.log, c.pos+1, func(e entry, seq int64) int { return cmp.Compare(e.seq, seq) })
		size := 0
		for _, e := range w.log[at:] {
			if e.seq > upTo {
				break
			}
			parts = append(parts, part{e, i})
			if size += len(e.data); size > gatherBytes {
				upTo = e.seq
			}
		}
	}
	parts = slices.DeleteFunc(parts, func(p part) bool { return p.seq > upTo })
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.seq, b.seq) })
	return parts, upTo
}
