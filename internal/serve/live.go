package serve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Why a stream begins anew: the data of reset events.
const (
	resetSlow    = `{"reason": "the client was too slow, or away for too long"}`
	resetRestart = `{"reason": "the server cannot go on from there"}`
)

func (s *Server) liveRoutes() {
	one := liveOperation("/v1/tables/{name}/live", "live", "A table and its changes, as server-sent events")
	huma.Register(s.api, one, func(_ context.Context, in *struct {
		Name string `path:"name" doc:"A materialized view of the pipeline."`
	}) (*huma.StreamResponse, error) {
		return s.liveAnswer(func(r *http.Request) []string { return []string{in.Name + "?" + r.URL.RawQuery} }, false), nil
	})
	several := liveOperation("/v1/live", "live_several", "Several streams over one connection")
	several.Description += " Each parameter stream is a table's name, and after a question mark, escaped, what would be the query string of its own stream. The event stream says which of them, from 0, the following events are of, up to the next commit."
	huma.Register(s.api, several, func(context.Context, *struct {
		Stream []string `query:"stream,explode" doc:"table?query, once for each stream." example:"orders?type=eq.a"`
	}) (*huma.StreamResponse, error) {
		return s.liveAnswer(func(r *http.Request) []string { return r.URL.Query()["stream"] }, true), nil
	})
}

func liveOperation(path, id, summary string) huma.Operation {
	return huma.Operation{
		Method: http.MethodGet, Path: path, OperationID: id, Summary: summary, Tags: []string{"tables"},
		Description: "Events: snapshot (an array of rows), then with each commit upsert (a row) and delete (a row's key), and commit, after which a client's rows are the table's as of that commit. " +
			"reset says that what the client holds is void; a snapshot follows. Select and filters are those of reading; the selection has the table's key.",
		Parameters: []*huma.Param{{Name: "Last-Event-ID", In: "header", Description: "The id of the last commit event: the stream goes on from there if it can.", Schema: text()}},
		Responses:  map[string]*huma.Response{"200": {Description: "The stream.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: text()}}}},
		Errors:     []int{400, 401, 404, 422, 503},
	}
}

func (s *Server) liveAnswer(asked func(*http.Request) []string, several bool) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		r, w := humago.Unwrap(c)
		if err := s.live(w, r, asked(r), several); err != nil {
			s.fail(w, r, err)
		}
	}}
}

// live answers with a stream until the client goes or the server stops.
func (s *Server) live(w http.ResponseWriter, r *http.Request, asked []string, several bool) error {
	if s.hub == nil {
		return problem(http.StatusServiceUnavailable, codeNoEngine, "no engine runs in this process").hint("watch at the server of the process that runs the pipeline")
	}
	if len(asked) == 0 || len(asked) > maxStreamsEach {
		return problem(http.StatusUnprocessableEntity, codeNotLive, "%d streams are asked for, want 1 to %d", len(asked), maxStreamsEach).hint("give the parameter stream once for each: stream=table?query, escaped")
	}
	made := make([]*watch, len(asked))
	for i, text := range asked {
		name, query, _ := strings.Cut(text, "?")
		var err error
		if made[i], err = s.watch(r.Context(), name, query); err != nil {
			return asProblem(err)
		}
	}
	c := &liveClient{hub: s.hub, several: several, control: http.NewResponseController(w), w: w}
	if err := c.join(made); err != nil {
		return err
	}
	defer c.leave()
	c.resume(r.Header.Get("Last-Event-ID"))
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() { // ends with the request
		select {
		case <-s.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := c.run(ctx); err != nil && ctx.Err() == nil {
		var p *Problem
		if errors.As(asProblem(err), &p) {
			s.logProblem(r.Method, r.URL.Path, p)
		}
	}
	return nil // the header has been sent
}

// watch makes what a stream is of, by a newer reading of the catalogue if the
// last does not have it.
func (s *Server) watch(ctx context.Context, name, query string) (*watch, error) {
	state, err := s.catalog.Get(ctx)
	if err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		r, _, p := find(state, name, "")
		if p == nil {
			var w *watch
			if w, p = newWatch(r, query); p == nil {
				return w, nil
			}
		}
		if again || !retryable(p) {
			return nil, p
		}
		if state, err = s.catalog.Again(ctx); err != nil {
			return nil, err
		}
	}
}

// liveClient is one connection: it stands at one commit in all of its streams.
type liveClient struct {
	hub     *hub
	several bool
	watches []*watch
	w       http.ResponseWriter
	control *http.ResponseController

	sent int64  // bytes
	tag  string // of the hub's run that pos is of
	pos  int64  // the commit that the client has; -1: none
}

// join takes the streams from the hub, or puts them there.
func (c *liveClient) join(made []*watch) error {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := 0
	for _, w := range made {
		if h.watches[w.id] == nil {
			fresh++
		}
	}
	if h.streams >= maxStreams || len(h.watches)+fresh > maxWatches {
		return problem(http.StatusServiceUnavailable, codeStreams, "there are %d streams, of %d kinds: no more fit", h.streams, len(h.watches)).
			hint("close some; streams with the same selection and filters are one kind; at most %d connections and %d kinds are held", maxStreams, maxWatches)
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
		data, why, wake := c.gather()
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

// Reasons of gather.
const first = "first"

// gather gives the events after the client's commit, and moves the client on;
// or why it must begin anew; or what to wait for.
func (c *liveClient) gather() (data []byte, why string, wake <-chan struct{}) {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case c.tag != h.tag:
		c.tag = h.tag
		return nil, resetRestart, nil
	case c.pos < 0:
		return nil, first, nil
	}
	type part struct {
		entry
		stream int
	}
	var parts []part
	for i, w := range c.watches {
		if c.pos < w.from {
			return nil, resetSlow, nil
		}
		at, _ := slices.BinarySearchFunc(w.log, c.pos+1, func(e entry, seq int64) int { return cmp.Compare(e.seq, seq) })
		for _, e := range w.log[at:] {
			parts = append(parts, part{e, i})
		}
	}
	if c.pos >= h.latest {
		return nil, "", h.wake
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.seq, b.seq) })
	for i, p := range parts {
		if c.several {
			data = appendEvent(data, "stream", strconv.AppendInt(nil, int64(p.stream), 10))
		}
		data = append(data, p.data...)
		if i+1 < len(parts) && parts[i+1].seq == p.seq {
			continue
		}
		data = append(data, p.end...)
		if c.pos = p.seq; len(data) > gatherBytes {
			return data, "", nil
		}
	}
	if c.pos < h.latest {
		data, c.pos = append(data, h.end...), h.latest
	}
	return data, "", nil
}

// snapshot sends the rows of all streams as one snapshot shows them.
func (c *liveClient) snapshot(ctx context.Context, why string) error {
	h := c.hub
	select {
	case h.snaps <- struct{}{}:
		defer func() { <-h.snaps }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	n, err := h.server.open(ctx, "UTC")
	if err != nil {
		return err
	}
	defer n.close()
	end := []byte("event: commit\ndata: {\"commit\":0}\n\n") // before the first commit
	seq, told, err := h.commit(ctx, n, c.tag)
	if err != nil {
		return err
	}
	if told != nil {
		end = told
	}
	var out []byte
	before := c.sent
	if why != first {
		out = appendEvent(out, "reset", []byte(why))
	}
	for i, w := range c.watches {
		if c.several {
			out = appendEvent(out, "stream", strconv.AppendInt(nil, int64(i), 10))
		}
		if out, err = c.rows(ctx, n, w, append(out, "event: snapshot\ndata: ["...)); err != nil {
			if c.sent == before {
				c.broken(err)
			}
			return err // a client drops an event that has no end
		}
	}
	c.pos = seq
	return c.send(append(out, end...))
}

// rows sends a table's rows, a line of data each.
func (c *liveClient) rows(ctx context.Context, n *snapshot, w *watch, out []byte) ([]byte, error) {
	st := w.rows
	if err := n.declare(ctx, st.rows("row_to_json(r.*)::text"), st.args); err != nil {
		return nil, st.locate(err)
	}
	count, sent := firstFetch, 0
	for {
		size := 0
		got, err := n.fetch(ctx, count, false, func(values [][]byte) error {
			if sent++; sent > 1 {
				out = append(out, ',')
			}
			out = append(out, '\n')
			out = bytes.TrimSuffix(appendData(out, values[0]), []byte("\n"))
			size += len(values[0])
			if len(out) < writeBytes {
				return nil
			}
			err := c.send(out)
			out = out[:0]
			return err
		})
		if err != nil {
			return nil, err
		}
		if got < count {
			break
		}
		count = max(1, min(maxFetch, fetchBytes/max(1, size/got)))
	}
	if err := n.each(ctx, "CLOSE "+cursor, nil, nil); err != nil {
		return nil, err
	}
	return append(out, "\ndata: ]\n\n"...), nil
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
		if err := c.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		n, err := c.w.Write(rest[:min(len(rest), writeBytes)])
		if err != nil {
			return err
		}
		c.sent += int64(n)
		rest = rest[n:]
	}
	return c.control.Flush()
}
