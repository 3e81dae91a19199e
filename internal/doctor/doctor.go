// Package doctor examines what a pipeline needs around it before it runs:
// Kafka, PostgreSQL, the machine, Spark. Each finding says what was seen and,
// where something is wrong, the cure.
//
// Invariants:
//
//  1. It changes nothing: topics are described and creations only validated,
//     PostgreSQL is only read.
//  2. Every check ends: each conversation has Options.Timeout.
//  3. A part that can't be reached is one finding, not one for each question
//     that it would have answered; the other parts are examined all the same.
//  4. No finding holds a secret of the configuration.
//
// It fails by findings: Run gives no error.
package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/version"
)

// State says how a check went.
type State string

// The states. Only Failed keeps a pipeline from running.
const (
	Fine    State = "ok"
	Warning State = "warning" // it runs, but not well, or not safely
	Failed  State = "failed"  // it will not run
	Unknown State = "unknown" // the question was not answered: a right is missing
)

// Finding is what one check has seen.
type Finding struct {
	Check   string `json:"check"` // kafka.retention
	State   State  `json:"state"`
	Message string `json:"message"`
	Cure    string `json:"cure,omitempty"` // what to do, where something is to be done
}

// Report is all that was found, in the order of looking.
type Report struct {
	Ready    bool      `json:"ready"` // nothing has failed
	Findings []Finding `json:"findings"`
}

// Count gives the number of findings of a state.
func (r *Report) Count(s State) (n int) {
	for _, f := range r.Findings {
		if f.State == s {
			n++
		}
	}
	return n
}

// DefaultTimeout is long enough for a far cluster to answer, and short enough
// for somebody who waits.
const DefaultTimeout = 5 * time.Second

// Options say what is examined.
type Options struct {
	Config *config.Loaded
	// Definition is the pipeline whose topics, windows and position are
	// looked at; nil: only what every pipeline needs.
	Definition *pipeline.Definition
	Spark      bool          // the pipeline is to run on Spark
	Timeout    time.Duration // of each conversation; 0: DefaultTimeout
	Now        func() time.Time
}

// Run examines everything.
func Run(ctx context.Context, o Options) *Report {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	x := &examination{Options: o, hide: secrets(&o.Config.Config), starts: map[position]int64{}}
	x.fine("millstream.version", "Millstream %s, %s on %s/%s", version.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if o.Config.Local.Enabled {
		x.local(ctx)
	} else {
		x.kafka(ctx)
		x.postgres(ctx)
	}
	if !o.Spark {
		x.api()
	} else {
		x.spark(ctx)
	}
	x.report.Ready = x.report.Count(Failed) == 0
	return &x.report
}

// examination is one run of the checks.
type examination struct {
	Options
	report Report
	hide   *strings.Replacer
	// starts are the first offsets that Kafka holds, for the check of the
	// position that PostgreSQL holds.
	starts map[position]int64
}

type position struct {
	server, topic string
	partition     int32
}

func (x *examination) add(check string, state State, cure, format string, args ...any) {
	x.report.Findings = append(x.report.Findings, Finding{
		Check: check, State: state, Message: x.hide.Replace(oneLine(fmt.Sprintf(format, args...))), Cure: x.hide.Replace(cure),
	})
}

// oneLine joins the lines of a message, each once: drivers list every attempt.
func oneLine(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

func (x *examination) fine(check, format string, args ...any) {
	x.add(check, Fine, "", format, args...)
}

func (x *examination) warn(check, cure, format string, args ...any) {
	x.add(check, Warning, cure, format, args...)
}

func (x *examination) fail(check, cure, format string, args ...any) {
	x.add(check, Failed, cure, format, args...)
}

func (x *examination) unknown(check, cure, format string, args ...any) {
	x.add(check, Unknown, cure, format, args...)
}

// secrets makes *** of every secret of the configuration, wherever a library
// or a server may repeat it.
func secrets(c *config.Config) *strings.Replacer {
	var pairs []string
	hide := func(s string) {
		if s != "" {
			pairs = append(pairs, s, "***")
		}
	}
	for _, s := range []config.Secret{c.Kafka.SASLPassword, c.Database.Password} {
		hide(s.Reveal())
		if escaped := url.QueryEscape(s.Reveal()); escaped != s.Reveal() {
			hide(escaped)
		}
	}
	text := c.Database.URL.Reveal()
	if u, err := url.Parse(text); err == nil && u.User != nil {
		password, _ := u.User.Password()
		hide(password)
		if _, escaped, ok := strings.Cut(u.User.String(), ":"); ok {
			hide(escaped)
		}
	}
	for _, word := range strings.Fields(text) {
		if password, ok := strings.CutPrefix(word, "password="); ok {
			hide(strings.Trim(password, "'"))
		}
	}
	return strings.NewReplacer(pairs...)
}

// silent is a logger for parts whose warnings are findings here.
func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }
