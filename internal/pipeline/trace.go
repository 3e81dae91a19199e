package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/telemetry"
	"github.com/millstream-dev/millstream/internal/telemetry/otlp"
	"github.com/millstream-dev/millstream/internal/version"
)

// exportPatience is how long the end waits for the collector to take what is
// left.
const exportPatience = 3 * time.Second

// openExport begins to send traces and metrics, if the settings say where to.
func (p *Pipeline) openExport() error {
	c := p.opts.Config.Telemetry
	settings, err := otlp.Read(otlp.Base{Endpoint: c.Endpoint, Headers: c.Headers.Reveal(), Ratio: c.Ratio}, os.Getenv)
	if err != nil {
		return &diag.Diagnostic{Code: config.CodeSetting, Message: err.Error(), Hint: "OTEL_SDK_DISABLED=true sends nothing"}
	}
	if !settings.On() {
		return nil
	}
	host, _ := os.Hostname() // without one, the process' number alone tells instances apart
	for key, value := range map[string]string{
		"service.name": "millstream", "service.version": version.Version, "service.instance.id": fmt.Sprintf("%s/%s/%d", p.Name, host, os.Getpid()),
		"millstream.pipeline": p.Name, "telemetry.sdk.name": "millstream", "telemetry.sdk.language": "go", "telemetry.sdk.version": version.Version,
	} {
		if _, said := settings.Resource[key]; !said {
			settings.Resource[key] = value
		}
	}
	p.export, err = otlp.New(otlp.Config{
		Settings: settings, Version: version.Version, Gatherer: p.Metrics.Registry(), Log: p.opts.Logger, Count: p.Metrics.Exported,
	})
	if err != nil {
		return &NotReadyError{What: "telemetry", Err: err}
	}
	return nil
}

// tracer is the engine's, nil when nothing is traced.
func (p *Pipeline) tracer() engine.Tracer {
	if p.export == nil || !p.export.Tracing() {
		return nil
	}
	return &tracer{export: p.export, plan: p.Plan}
}

func (p *Pipeline) closeExport() {
	if p.export == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), exportPatience)
	defer cancel()
	p.export.Stop(ctx)
}

// tracer makes a trace of each epoch that is followed: below the root "epoch"
// its fetches, its chunks' decoding and applying, merging, and the commit with
// the store's steps.
type tracer struct {
	export *otlp.Exporter
	plan   *plan.Pipeline
}

// Begin decides whether an epoch is followed.
func (t *tracer) Begin(time.Time) *engine.Trace {
	id, ok := t.export.Follow()
	if !ok {
		return nil
	}
	return &engine.Trace{ID: id, Context: func(ctx context.Context) context.Context { return telemetry.WithTrace(ctx, id.String()) }}
}

// End sends the spans of an epoch.
func (t *tracer) End(r *engine.Report, err error) {
	t.export.Trace(t.spans(r, err))
}

// spans gives a trace's spans, the root first.
func (t *tracer) spans(r *engine.Report, err error) []otlp.Span {
	times := r.Trace
	b := &spanBuilder{trace: times.ID}
	rows, failure := int64(0), ""
	for _, v := range r.Commit.Views {
		rows += v.RowsOut
	}
	if err != nil {
		failure = err.Error()
	}
	root := b.add(otlp.SpanID{}, "epoch", times.Began, times.Ended,
		otlp.Attribute{Key: "millstream.commit.seq", Value: r.Commit.Seq},
		otlp.Attribute{Key: "millstream.records", Value: r.Records},
		otlp.Attribute{Key: "millstream.rows", Value: rows},
		otlp.Attribute{Key: "millstream.quarantined", Value: int64(len(r.Commit.Refused))},
		otlp.Attribute{Key: "millstream.late", Value: int64(len(r.Commit.Late))},
		otlp.Attribute{Key: "millstream.chunks", Value: int64(times.AllChunks)},
		otlp.Attribute{Key: "millstream.decode_seconds", Value: times.Decode.Seconds()},
		otlp.Attribute{Key: "millstream.apply_seconds", Value: times.Apply.Seconds()})
	for _, f := range times.Fetches {
		b.add(root, "fetch", f.Began, f.Ended,
			otlp.Attribute{Key: "millstream.records", Value: int64(f.Records)},
			otlp.Attribute{Key: "millstream.waited_seconds", Value: f.Waited.Seconds()})
	}
	for i := range times.Chunks {
		t.chunk(b, root, &times.Chunks[i])
	}
	b.add(root, "merge", times.Sealed, times.Merged)
	b.add(root, "wait", times.Merged, times.Writing)
	commit := b.add(root, "commit", times.Writing, times.Ended,
		otlp.Attribute{Key: "millstream.commit.seq", Value: r.Commit.Seq},
		otlp.Attribute{Key: "millstream.commit.bytes", Value: r.Stats.Bytes},
		otlp.Attribute{Key: "millstream.commit.attempts", Value: int64(r.Stats.Attempts)},
		otlp.Attribute{Key: "db.system.name", Value: "postgresql"})
	b.fail(root, failure)
	b.fail(commit, failure)
	for _, s := range r.Stats.Steps {
		b.add(commit, "commit."+s.Step, s.Began, s.Ended)
	}
	return b.spans
}

// chunk adds the spans of a chunk's decoding and applying.
func (t *tracer) chunk(b *spanBuilder, root otlp.SpanID, c *engine.ChunkTime) {
	about := []otlp.Attribute{
		{Key: "messaging.destination.name", Value: t.plan.Topics[c.Table].Topic},
		{Key: "messaging.destination.partition.id", Value: strconv.Itoa(int(c.Partition))},
		{Key: "millstream.table", Value: t.plan.Topics[c.Table].Name},
		{Key: "millstream.worker", Value: int64(c.Worker)},
		{Key: "millstream.records", Value: int64(c.Records)},
	}
	b.add(root, "decode", c.Began, c.Decoded, about...)
	b.add(root, "apply", c.Decoded, c.Applied, about...)
}

// spanBuilder gathers the spans of a trace.
type spanBuilder struct {
	trace otlp.TraceID
	spans []otlp.Span
}

func (b *spanBuilder) add(parent otlp.SpanID, name string, start, end time.Time, attributes ...otlp.Attribute) otlp.SpanID {
	id := otlp.NewSpanID()
	b.spans = append(b.spans, otlp.Span{Trace: b.trace, ID: id, Parent: parent, Name: name, Start: start, End: end, Attributes: attributes})
	return id
}

// fail marks a span as failed, if there is a reason.
func (b *spanBuilder) fail(id otlp.SpanID, reason string) {
	for i := range b.spans {
		if b.spans[i].ID == id {
			b.spans[i].Error = reason
		}
	}
}

// logCommit writes the line of a commit: one that is followed names its trace.
func (p *Pipeline) logCommit(r *engine.Report) {
	level := slog.LevelDebug
	ctx := context.Background()
	if r.Trace != nil {
		level = slog.LevelInfo
		ctx = r.Trace.Context(ctx)
	}
	if !p.opts.Logger.Enabled(ctx, level) {
		return
	}
	var rows int64
	for _, v := range r.Commit.Views {
		rows += v.RowsOut
	}
	p.opts.Logger.Log(ctx, level, "commit made", "pipeline", p.Name, "seq", r.Commit.Seq, "records", r.Records, "rows", rows, "took", r.Duration.String())
}
