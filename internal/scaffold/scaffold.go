// Package scaffold makes the folder of a new pipeline project: the pipeline,
// its tests, the containers, a CI workflow, a README.
//
// Invariants: a project that was made runs, validates and passes its tests as
// it stands; nothing that is there is overwritten, and where one file is in
// the way none is written.
//
// compose.yaml, .env.example and make-env are this repository's own, cut down
// to what needs no files beside them: a test derives them anew and compares.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/version"
)

//go:embed all:files
var files embed.FS

// Template is a pipeline to begin with.
type Template struct {
	Name  string
	About string // one sentence
	Topic string // that the README sends samples to
	Table string // that it reads
}

// Templates are those that there are; the first is taken unless another is
// asked for.
var Templates = []Template{
	{"skeleton", "Events with a time, a type and a value: averages per type and five minutes, and statistics over all.", "raw_data", "processed_data"},
	{"orders", "Orders as they change: the latest state of each, and revenue per hour and country.", "order_events", "revenue"},
	{"minimal", "One topic, one table, one row for each event.", "input", "output"},
}

// Options say what is made.
type Options struct {
	Dir      string // the folder; made if it is not there
	Name     string // of the project; "": the folder's
	Template string // "": the first of Templates
}

// ExistsError tells that files are in the way.
type ExistsError struct {
	Dir   string
	Files []string
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("%s has %s already, and nothing is overwritten", e.Dir, strings.Join(e.Files, ", "))
}

// ErrTemplate and ErrName tell of options that can't be.
var (
	ErrTemplate = errors.New("there is no such template")
	ErrName     = errors.New("a name has letters, digits, _ and -")
)

// Project is what was made.
type Project struct {
	Dir      string
	Name     string
	Template Template
	Files    []string // relative to Dir, with slashes
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// Make makes a project.
func Make(o Options) (*Project, error) {
	p := &Project{Dir: o.Dir, Name: o.Name, Template: Templates[0]}
	if p.Name == "" {
		p.Name = pipeline.NameOf(filepath.Join(o.Dir, "pipeline.sql"))
	}
	if !validName.MatchString(p.Name) {
		return nil, fmt.Errorf("%w: %q", ErrName, p.Name)
	}
	if o.Template != "" {
		i := slices.IndexFunc(Templates, func(t Template) bool { return t.Name == o.Template })
		if i < 0 {
			return nil, fmt.Errorf("%w: %q", ErrTemplate, o.Template)
		}
		p.Template = Templates[i]
	}
	texts, err := p.texts()
	if err != nil {
		return nil, err
	}
	if err := p.free(); err != nil {
		return nil, err
	}
	for _, name := range p.Files {
		if err := write(filepath.Join(o.Dir, filepath.FromSlash(name)), texts[name]); err != nil {
			return nil, fmt.Errorf("make the project: %w", err)
		}
	}
	return p, nil
}

// texts gives what the files hold.
func (p *Project) texts() (map[string]string, error) {
	release := "latest"
	if strings.HasPrefix(version.Version, "v") {
		release = version.Version
	}
	fill := strings.NewReplacer(
		"@NAME@", p.Name, "@COMPOSE@", composeName(p.Name), "@ABOUT@", p.Template.About,
		"@TOPIC@", p.Template.Topic, "@TABLE@", p.Template.Table, "@VERSION@", release)
	texts := map[string]string{}
	for _, dir := range []string{"files/common", "files/" + p.Template.Name} {
		err := fs.WalkDir(files, dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := files.ReadFile(name)
			relative := strings.TrimPrefix(name, dir+"/")
			texts[relative] = fill.Replace(string(text))
			p.Files = append(p.Files, relative)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(p.Files)
	return texts, nil
}

// composeName is a name that compose takes for a project.
func composeName(name string) string { return strings.ToLower(name) }

// free makes sure that no file is in the way.
func (p *Project) free() error {
	exists := &ExistsError{Dir: p.Dir}
	for _, name := range p.Files {
		_, err := os.Lstat(filepath.Join(p.Dir, filepath.FromSlash(name)))
		switch {
		case err == nil:
			exists.Files = append(exists.Files, name)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("make the project: %w", err)
		}
	}
	if len(exists.Files) > 0 {
		return exists
	}
	return nil
}

func write(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if path.Ext(name) == "" && strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	// What has come about since it was looked for is not overwritten either.
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
