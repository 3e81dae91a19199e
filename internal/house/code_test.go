package house

import (
	"flag"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables that repeat the code")

var (
	requirement = regexp.MustCompile(`(?m)^(?:require )?\t?([\w./-]+\.[\w./-]+/?[\w./-]*) v\S+$`)
	tableModule = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.*) \\|$")
)

// TestDependenciesHaveReasons compares docs/dependencies.md with go.mod.
func TestDependenciesHaveReasons(t *testing.T) {
	const page = "docs/dependencies.md"
	var direct, explained []string
	for _, m := range requirement.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		direct = append(direct, m[1])
	}
	if len(direct) == 0 {
		t.Fatal("no direct requirement was found in go.mod")
	}
	for _, m := range tableModule.FindAllStringSubmatch(read(t, page), -1) {
		explained = append(explained, m[1])
		if strings.TrimSpace(m[2]) == "" {
			t.Errorf("%s: %s has no reason", page, m[1])
		}
	}
	for _, m := range direct {
		if !slices.Contains(explained, m) {
			t.Errorf("%s lacks %s: say why it is needed, and why the standard library does not do", page, m)
		}
	}
	for _, m := range explained {
		if !slices.Contains(direct, m) {
			t.Errorf("%s names %s, which go.mod does not require directly", page, m)
		}
	}
}

// TestPackagesSayWhatTheyAreFor wants one package comment in each package.
func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	comments := map[string]int{}
	for _, f := range withSuffix(tracked(t), ".go") {
		if strings.Contains(f, "testdata/") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, f), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Error(err)
			continue
		}
		key := path.Dir(f) + " " + strings.TrimSuffix(file.Name.Name, "_test")
		comments[key] += 0
		if file.Doc != nil {
			comments[key]++
			if want := opening(file.Name.Name, path.Dir(f)); !strings.HasPrefix(file.Doc.Text(), want) {
				t.Errorf("%s: the package comment begins with %q", f, want)
			}
		}
	}
	for key, n := range comments {
		if n != 1 {
			t.Errorf("%s: %d package comments: one file, best the first that a reader opens, says what the package is for, its invariants, and how it fails", key, n)
		}
	}
}

// opening is how a package comment begins.
func opening(name, dir string) string {
	if name == "main" {
		return "Command " + path.Base(dir) + " "
	}
	return "Package " + strings.TrimSuffix(name, "_test") + " "
}

// machinePaths are folders of somebody's machine: they mean nothing elsewhere.
var machinePaths = regexp.MustCompile(`(?:^|[^\w.])(/(?:home|Users|root|work)/[A-Za-z]\w*|[A-Z]:\\Users\\)`)

// TestNoMachinePaths looks for paths of one machine in the files.
func TestNoMachinePaths(t *testing.T) {
	for _, f := range tracked(t) {
		text := read(t, f)
		if strings.ContainsRune(text[:min(len(text), 1000)], 0) {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if m := machinePaths.FindStringSubmatch(line); m != nil && m[1] != "/home/linuxbrew" { // a folder of that tool
				t.Errorf("%s:%d: %s is a path of one machine", f, i+1, m[1])
			}
		}
	}
}

// maxLines is what a file of Go may have: beyond it nobody reads top-down.
const maxLines = 600

// TestFilesAreReadable bounds the length of files.
func TestFilesAreReadable(t *testing.T) {
	for _, f := range withSuffix(tracked(t), ".go") {
		if n := strings.Count(read(t, f), "\n"); n > maxLines {
			t.Errorf("%s has %d lines, more than %d: it holds more than one idea", f, n, maxLines)
		}
	}
}
