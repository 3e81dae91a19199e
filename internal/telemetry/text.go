package telemetry

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// ANSI sequences of the levels.
const (
	colorReset  = "\x1b[0m"
	colorFaint  = "\x1b[2m"
	colorBlue   = "\x1b[34m"
	colorYellow = "\x1b[33m"
	colorRed    = "\x1b[31m"
)

// textHandler writes a record as one line: time of day, level, message, then
// key=value. A value that could break the line or be taken for two is quoted,
// so that no input can forge a line.
type textHandler struct {
	mu     *sync.Mutex // held while writing to w; shared by all derived handlers
	w      io.Writer
	level  slog.Level
	color  bool
	prefix string // open groups, each with a dot after it
	attrs  string // attributes of With, already formatted
}

func newTextHandler(w io.Writer, level slog.Level, color bool) *textHandler {
	return &textHandler{mu: new(sync.Mutex), w: w, level: level, color: color}
}

// Enabled tells whether a level is written.
func (h *textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle writes one record.
func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	if !r.Time.IsZero() {
		h.paint(&b, colorFaint, r.Time.Format("15:04:05.000"))
		b.WriteByte(' ')
	}
	h.paint(&b, levelColor(r.Level), levelName(r.Level))
	b.WriteByte(' ')
	b.WriteString(line(r.Message))
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		h.attr(&b, h.prefix, a)
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, b.String())
	return err
}

// WithAttrs gives a handler that adds attributes to every record.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		h.attr(&b, h.prefix, a)
	}
	c := *h
	c.attrs += b.String()
	return &c
}

// WithGroup gives a handler whose further keys stand under name.
func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	c := *h
	c.prefix += name + "."
	return &c
}

func (h *textHandler) attr(b *strings.Builder, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range v.Group() {
			h.attr(b, prefix, inner)
		}
		return
	}
	b.WriteByte(' ')
	h.paint(b, colorFaint, word(prefix+a.Key)+"=")
	b.WriteString(word(text(v)))
}

func text(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().Format(time.RFC3339Nano)
	}
	return v.String()
}

func (h *textHandler) paint(b *strings.Builder, color, s string) {
	if !h.color || color == "" {
		b.WriteString(s)
		return
	}
	b.WriteString(color + s + colorReset)
}

// word quotes s unless it is one plain word.
func word(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '"' || r == '=' || r == unicode.ReplacementChar || !unicode.IsPrint(r) || unicode.IsSpace(r)
	})
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// line keeps a message as it stands unless it holds what isn't printable.
func line(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func levelName(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "error"
	case l >= slog.LevelWarn:
		return "warn "
	case l >= slog.LevelInfo:
		return "info "
	}
	return "debug"
}

func levelColor(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return colorRed
	case l >= slog.LevelWarn:
		return colorYellow
	case l >= slog.LevelInfo:
		return colorBlue
	}
	return colorFaint
}
