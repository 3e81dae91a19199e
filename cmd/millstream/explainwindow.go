package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/serve"
)

// maxStatusBody bounds what is read of a pipeline's status: views times
// partitions and windows, some hundred bytes each.
const maxStatusBody = 32 << 20

// windowReport is what explain window tells.
type windowReport struct {
	Pipeline    string                `json:"pipeline"`
	Source      string                `json:"source"` // "engine" or "database"
	At          *time.Time            `json:"at,omitempty"`
	View        string                `json:"view"`
	Emit        string                `json:"emit"`
	Watermark   *time.Time            `json:"watermark,omitempty"`
	FinalBefore *time.Time            `json:"final_before,omitempty"`
	OpenWindows int64                 `json:"open_windows"`
	WaitsFor    []serve.WaitingStatus `json:"waits_for"`
	Windows     []explainedWindow     `json:"windows"`
}

type explainedWindow struct {
	serve.WindowStatus
	// Groups hides the other: the database does not tell.
	Groups *int64 `json:"groups,omitempty"`
}

func (a *app) explainWindowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "window VIEW [TIME]",
		Short: "Tell why a window is not closed, and what will close it",
		Long: `Tells of a view's open windows, or of the one that holds TIME: which partition
holds the watermark, its last event and offset, and what will close the window:
an event of a later time, or the clock when no more come.

The running engine is asked (--listen, or the local stack that runs). Where none
answers, the last commit in the database is looked at.`,
		Args: usage(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			var at *time.Time
			if len(args) == 2 {
				t, err := instantOf(args[1])
				if err != nil {
					return usageError{err}
				}
				at = &t
			}
			if err := a.useRunning(a.config.Name); err != nil {
				return err
			}
			r, err := a.explainWindow(cmd.Context(), args[0], at)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return a.printJSON(r)
			}
			a.printWindows(r)
			return nil
		},
	}
	settingsFlags(cmd, "serve.listen", "serve.api_key_file", "database.url", "name", "log.level", "log.format", "quiet")
	a.outputFlag(cmd)
	return cmd
}

// timeLayouts are how people write a time; without a zone it is UTC.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"}

func instantOf(text string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time\n→ write it as 2024-05-01T12:00:00Z", text)
}

func (a *app) explainWindow(ctx context.Context, view string, at *time.Time) (*windowReport, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	status, err := a.askEngine(ctx)
	switch {
	case err == nil:
		return ofEngine(status, view, at)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return nil, &pipeline.NotReadyError{What: "the engine", Err: err}
	}
	stored, err := pipeline.ReadStored(ctx, &a.config.Config, a.config.Name)
	if err != nil {
		return nil, err
	}
	return ofDatabase(stored, view, at)
}

// askEngine asks a running engine for its status.
func (a *app) askEngine(ctx context.Context) (*serve.PipelineStatus, error) {
	url := strings.TrimSuffix(healthURL(a.config.Serve.Listen), "/health") + "/v1/pipeline"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, usageError{err}
	}
	key := a.config.Serve.APIKey.Reveal()
	if path := a.config.Serve.APIKeyFile; path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("the API key: %w", err)
		}
		key = strings.TrimSpace(string(b))
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxStatusBody))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %s", url, res.Status, strings.TrimSpace(string(body)))
	}
	s := &serve.PipelineStatus{}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("%s does not answer as Millstream does: %w", url, err)
	}
	return s, nil
}

// viewOf begins the report about a view.
func viewOf(s *serve.PipelineStatus, name, source string) (*windowReport, *serve.ViewStatus, error) {
	var names []string
	for i := range s.Views {
		v := &s.Views[i]
		if v.Name == name {
			return &windowReport{
				Pipeline: s.Name, Source: source, View: v.Name, Emit: v.Emit, Watermark: v.Watermark, FinalBefore: v.FinalBefore,
				OpenWindows: v.OpenWindows, WaitsFor: v.WaitsFor, Windows: []explainedWindow{},
			}, v, nil
		}
		names = append(names, v.Name)
	}
	hint := "its views: " + strings.Join(names, ", ")
	if c := diag.Closest(name, names); c != "" {
		hint = fmt.Sprintf("did you mean %q?", c)
	}
	return nil, nil, usageError{fmt.Errorf("pipeline %q has no view %q\n→ %s", s.Name, name, hint)}
}

func ofEngine(s *serve.PipelineStatus, view string, at *time.Time) (*windowReport, error) {
	r, v, err := viewOf(s, view, "engine")
	if err != nil {
		return nil, err
	}
	for _, w := range v.Windows {
		if at == nil || !at.Before(w.Start) && at.Before(w.End) {
			r.Windows = append(r.Windows, explainedWindow{w, &w.Groups})
		}
	}
	if at == nil || len(r.Windows) > 0 {
		return r, nil
	}
	last := v.Watermark
	switch {
	case last != nil && at.Before(*last):
		return nil, fmt.Errorf("no open window of %s holds %s: the watermark is at %s, so it has closed, unless no event came for it", view, clock(at), clock(last))
	case int64(len(v.Windows)) < v.OpenWindows && at.After(v.Windows[len(v.Windows)-1].Start):
		return nil, fmt.Errorf("only the oldest %d of %d open windows are told of: one that holds %s closes after them", len(v.Windows), v.OpenWindows, clock(at))
	}
	return nil, fmt.Errorf("no open window of %s holds %s: no event has come for it", view, clock(at))
}

func ofDatabase(s *pipeline.Stored, view string, at *time.Time) (*windowReport, error) {
	r, _, err := viewOf(&s.Status, view, "database")
	if err != nil {
		return nil, err
	}
	r.At = &s.At
	if w, ok := s.WindowAt(view, at); ok {
		r.Windows = append(r.Windows, explainedWindow{WindowStatus: w})
	}
	return r, nil
}

func (a *app) printWindows(r *windowReport) {
	if r.Source == "database" {
		fmt.Fprintf(a.out, "no engine answers; by the last commit, of %s:\n", clock(r.At))
	}
	fmt.Fprintf(a.out, "view %s of pipeline %s, emit %s: watermark %s, final before %s, %s\n", r.View, r.Pipeline, r.Emit, clock(r.Watermark), clock(r.FinalBefore), count(int(r.OpenWindows), "open window"))
	if len(r.WaitsFor) > 0 {
		fmt.Fprintln(a.out, "the watermark is held by")
	}
	for _, w := range r.WaitsFor {
		fmt.Fprintf(a.out, "  topic %s, partition %d, at offset %d: %s\n", w.Topic, w.Partition, w.Offset, w.Reason)
	}
	for _, w := range r.Windows {
		fmt.Fprintf(a.out, "window %s to %s, %s", clock(&w.Start), clock(&w.End), w.State)
		if w.Groups != nil {
			fmt.Fprintf(a.out, ", %s", count(int(*w.Groups), "group"))
		}
		fmt.Fprintf(a.out, "\n  %s\n", w.Reason)
		if w.ClosesAt != nil {
			fmt.Fprintf(a.out, "  or closes by the clock at %s, if no more events come\n", clock(w.ClosesAt))
		}
	}
	if len(r.Windows) == 0 {
		fmt.Fprintln(a.out, "no window is open")
	}
}

// clock prints a time, and that there is none.
func clock(t *time.Time) string {
	if t == nil {
		return "none"
	}
	return t.UTC().Format(time.RFC3339Nano)
}
