package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/bench/machine"
)

// File is what one set gave.
type File struct {
	Set       string        `json:"set"`
	Date      time.Time     `json:"date"`
	Commit    string        `json:"commit"` // of the repository; "+" when files were changed
	Machine   machine.Facts `json:"machine"`
	Config    Config        `json:"config"`
	Drains    []Drain       `json:"drains,omitempty"`
	Latencies []Latency     `json:"latencies,omitempty"`
	Growth    []Growth      `json:"growth,omitempty"`
	Rest      *Rest         `json:"rest,omitempty"`
	Restarts  []Restart     `json:"restarts,omitempty"`
	Failures  []string      `json:"failures,omitempty"`
	LeftOut   []string      `json:"left_out,omitempty"` // for lack of time
}

// Config is how it was run.
type Config struct {
	Repeat      int               `json:"repeat"`
	Partitions  int               `json:"partitions"`
	Compression string            `json:"compression"`
	KafkaHeap   string            `json:"kafka_heap"`
	Postgres    map[string]string `json:"postgres"`
	Spark       map[string]string `json:"spark,omitempty"`
}

// Growth is a run at one point of a curve.
type Growth struct {
	Dimension string `json:"dimension"`
	X         int64  `json:"x"`
	Drain
}

func newFile(ctx context.Context, e *Env, set string) *File {
	return &File{
		Set: set, Date: time.Now().UTC().Truncate(time.Second), Commit: commitOf(ctx, e.Repository), Machine: e.Facts,
		Config: Config{
			Repeat: e.Repeat, Partitions: e.Partitions, Compression: e.Compression.String(),
			KafkaHeap: machine.KafkaHeap, Postgres: machine.PostgresSettings,
		},
	}
}

// commitOf names the repository's commit.
func commitOf(ctx context.Context, repository string) string {
	git := func(args ...string) string {
		out, _ := exec.CommandContext(ctx, "git", append([]string{"-C", repository}, args...)...).Output()
		return strings.TrimSpace(string(out))
	}
	name := git("rev-parse", "--short=12", "HEAD")
	if name != "" && git("status", "--porcelain", "--untracked-files=no", "--", "cmd", "internal", "bench", "go.mod", ":!bench/results") != "" {
		name += "+"
	}
	return name
}

func (f *File) fail(what string, err error) {
	f.Failures = append(f.Failures, fmt.Sprintf("%s: %v", what, err))
}

// Err gives all that went wrong.
func (f *File) Err() error {
	var all []error
	add := func(what, text string) {
		if text != "" {
			all = append(all, fmt.Errorf("%s: %s", what, text))
		}
	}
	for _, d := range f.Drains {
		add(d.Workload+", "+d.Contender, d.Error)
	}
	for _, l := range f.Latencies {
		add(fmt.Sprintf("%s at %d/s, %s", l.Workload, l.Rate, l.Contender), l.Error)
	}
	for _, g := range f.Growth {
		add(fmt.Sprintf("%s %d", g.Dimension, g.X), g.Error)
	}
	if f.Rest != nil {
		add("memory at rest", f.Rest.Error)
	}
	for _, r := range f.Restarts {
		add(fmt.Sprintf("restart with %d groups", r.Groups), r.Error)
	}
	for _, text := range f.Failures {
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

// Save writes the file into a folder.
func (f *File) Save(dir string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, f.Set+".json"), append(text, '\n'), 0o644)
}

// Load reads all files of a folder, in the order of the sets.
func Load(dir string) ([]*File, error) {
	var files []*File
	for _, s := range Sets {
		text, err := os.ReadFile(filepath.Join(dir, s.Name+".json"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f := &File{}
		if err := json.Unmarshal(text, f); err != nil {
			return nil, fmt.Errorf("%s.json: %w", s.Name, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// values collects one figure of several runs.
type values []float64

// median of the values; of an even number the mean of the two in the middle.
func (v values) median() float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// figure writes median and range.
func (v values) figure(format string, unit float64) string {
	if len(v) == 0 {
		return ""
	}
	s := slices.Sorted(slices.Values(v))
	text := fmt.Sprintf(format, v.median()/unit)
	if low, high := fmt.Sprintf(format, s[0]/unit), fmt.Sprintf(format, s[len(s)-1]/unit); low != high {
		text += " (" + low + "–" + high + ")"
	}
	return text
}
