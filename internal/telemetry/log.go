package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"
)

// LogFormat is how log lines are written.
type LogFormat string

// The formats.
const (
	LogAuto LogFormat = ""     // text on a terminal, JSON otherwise
	LogText LogFormat = "text" // one line per record, for people
	LogJSON LogFormat = "json" // one JSON object per line, for programs
)

// LogOptions says which log lines are written, and how.
type LogOptions struct {
	// Level is the least level that is written: "debug", "info", "warn" or
	// "error"; default "info".
	Level string
	// Quiet writes warnings and errors only, whatever Level says.
	Quiet bool
	// Format is LogAuto by default.
	Format LogFormat
	// Color is used for text: nil decides by the writer (a terminal) and by
	// NO_COLOR.
	Color *bool
}

// NewLogger gives a logger that writes to w. It fails when Level or Format is
// none of those that there are.
func NewLogger(w io.Writer, o LogOptions) (*slog.Logger, error) {
	level, err := parseLevel(o.Level)
	if err != nil {
		return nil, err
	}
	if o.Quiet {
		level = max(level, slog.LevelWarn)
	}
	terminal := isTerminal(w)
	format := o.Format
	if format == LogAuto {
		format = LogJSON
		if terminal {
			format = LogText
		}
	}
	switch format {
	case LogJSON:
		return slog.New(traced{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})}), nil
	case LogText:
		color := terminal && os.Getenv("NO_COLOR") == ""
		if o.Color != nil {
			color = *o.Color
		}
		return slog.New(traced{newTextHandler(w, level, color)}), nil
	}
	return nil, fmt.Errorf("log format %q: want text or json", o.Format)
}

func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %q: want debug, info, warn or error", s)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
