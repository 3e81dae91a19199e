package telemetry

import (
	"context"
	"log/slog"
)

// traceKey is the context's key of a trace's identity.
type traceKey struct{}

// WithTrace gives a context whose log lines name a trace.
func WithTrace(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, traceKey{}, id)
}

// traced adds trace_id to the lines of a context that belongs to a trace.
type traced struct{ slog.Handler }

// Handle writes one record.
func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(traceKey{}).(string); ok {
		r.AddAttrs(slog.String("trace_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs gives a handler that adds attributes to every record.
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

// WithGroup gives a handler whose further keys stand under name.
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
