package serve

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/millstream-dev/millstream/internal/serve/filter"
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
	if p := s.needsEngine(); p != nil {
		return p
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
		if p == nil && r.Live != nil && r.Pipeline != s.config.Name {
			return nil, notLive(r.Name+" is of the pipeline "+r.Pipeline+", whose commits another process makes", "watch it at that pipeline's server", filter.Place{})
		}
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
