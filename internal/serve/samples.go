package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const (
	// statusEvery is how often a status stream tells how the pipeline stands:
	// as often as a sample is taken.
	statusEvery = time.Second
	// maxStatusStreams bounds the connections that watch the status.
	maxStatusStreams = 64
)

// Sample is what one second of a pipeline came to. A series of them is what
// the dashboard plots.
type Sample struct {
	Number      int64              `json:"number" doc:"Grows by one with each sample."`
	At          time.Time          `json:"at" doc:"The end of the second."`
	Seconds     float64            `json:"seconds" doc:"How long it really was."`
	Read        int64              `json:"read" doc:"Records that arrived in the topics."`
	Records     int64              `json:"records" doc:"Records that were committed."`
	Bytes       int64              `json:"bytes" doc:"Their keys and values."`
	Rows        int64              `json:"rows" doc:"Result rows that were written."`
	Commits     int64              `json:"commits"`
	Late        int64              `json:"late" doc:"Late rows."`
	Quarantined int64              `json:"quarantined"`
	LagRecords  int64              `json:"lag_records"`
	LagSeconds  float64            `json:"lag_seconds"`
	StepSeconds map[string]float64 `json:"step_seconds,omitempty" doc:"Time of all its commits by step."`
	Views       []ViewSample       `json:"views"`
}

// ViewSample is a view's part of a Sample.
type ViewSample struct {
	Name                string   `json:"name"`
	WatermarkGapSeconds *float64 `json:"watermark_gap_seconds,omitempty" doc:"From the view's watermark to the present; absent before there is one."`
	OpenWindows         int64    `json:"open_windows"`
	StateGroups         int64    `json:"state_groups"`
	StateBytes          int64    `json:"state_bytes"`
}

// statusEvent is what a status stream tells each second.
type statusEvent struct {
	Status  PipelineStatus `json:"status"`
	Samples []Sample       `json:"samples"`
}

func (s *Server) statusStreamRoutes() {
	op := huma.Operation{
		Method: http.MethodGet, Path: "/v1/pipeline/live", OperationID: "pipeline_live", Tags: []string{"pipeline"},
		Summary:     "How the pipeline stands, each second, as server-sent events",
		Description: "Events: status, {status, samples}: what GET /v1/pipeline gives, and the samples of the seconds since the event before; the first event has those of the last minutes.",
		Responses:   map[string]*huma.Response{"200": {Description: "The stream.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: text()}}}},
		Errors:      []int{401, 503},
	}
	huma.Register(s.api, op, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(c huma.Context) {
			r, w := humago.Unwrap(c)
			if err := s.statusStream(w, r); err != nil {
				s.fail(w, r, err)
			}
		}}, nil
	})
}

// statusStream answers until the client goes or the server stops.
func (s *Server) statusStream(w http.ResponseWriter, r *http.Request) error {
	if s.config.Status == nil {
		return problem(http.StatusServiceUnavailable, codeNoEngine, "no engine runs in this process").hint("watch at the server of the process that runs the pipeline")
	}
	if s.statusStreams.Add(1) > maxStatusStreams {
		s.statusStreams.Add(-1)
		return problem(http.StatusServiceUnavailable, codeStreams, "%d connections watch the status: no more fit", maxStatusStreams).hint("close some, or ask GET /v1/pipeline")
	}
	defer s.statusStreams.Add(-1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	ticker := time.NewTicker(statusEvery)
	defer ticker.Stop()
	for last := int64(0); ; {
		event, err := s.statusEvent(r.Context(), last)
		if err != nil {
			return nil // the client has gone, or will come back
		}
		if n := len(event.Samples); n > 0 {
			last = event.Samples[n-1].Number
		}
		text, err := json.Marshal(event)
		if err != nil {
			return err
		}
		if err := control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return nil
		}
		if _, err := fmt.Fprintf(w, "event: status\ndata: %s\n\n", text); err != nil {
			return nil
		}
		if err := control.Flush(); err != nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return nil
		case <-s.stopped:
			return nil
		}
	}
}

func (s *Server) statusEvent(ctx context.Context, last int64) (*statusEvent, error) {
	status, err := s.config.Status.Pipeline(ctx)
	if err != nil {
		return nil, err
	}
	return &statusEvent{status, append([]Sample{}, s.config.Status.Samples(last)...)}, nil
}
