// Command summary reads what `go test -json` prints and prints what a person
// wants to read of it: go test's own closing line of each package, the output
// of what failed, what was skipped and why, the slowest tests, and how many
// passed.
//
//	go test -json ./... | summary [-counts FILE]
//
// FILE gets two numbers: tests passed, and failed. The exit code is 1 if a
// test or a package failed, if one never ended, or if nothing was run.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// slowest is how many of the slowest tests are named.
	slowest = 8
	// tailLines is how much is shown of a test that never ended.
	tailLines = 40
	// maxLine bounds a line of the input: a test may print a long one.
	maxLine = 64 << 20
)

// event is a line of `go test -json`; `go doc test2json` describes it.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// test is a test, or with an empty name a package, that has not ended.
type test struct{ pkg, name string }

func (t test) String() string { return strings.TrimSpace(t.pkg + " " + t.name) }

type took struct {
	test
	seconds float64
}

// summary counts what it is told of.
type summary struct {
	out             io.Writer
	running         map[test]*strings.Builder
	passed, failed  int
	badPackages     int
	skipped         []string
	times           []took
	packagesStarted int
}

func main() { os.Exit(run(os.Stdin, os.Stdout, os.Args[1:])) }

func run(in io.Reader, out io.Writer, args []string) int {
	flags := flag.NewFlagSet("summary", flag.ExitOnError)
	counts := flags.String("counts", "", "file for the counts")
	_ = flags.Parse(args) // it exits by itself
	s := &summary{out: out, running: map[test]*strings.Builder{}}
	if err := s.read(in); err != nil {
		fmt.Fprintln(out, "summary:", err)
		s.failed++
	}
	s.finish()
	if *counts != "" {
		if err := os.WriteFile(*counts, fmt.Appendf(nil, "%d %d\n", s.passed, s.failed), 0o644); err != nil {
			fmt.Fprintln(out, "summary:", err)
			return 1
		}
	}
	if s.failed > 0 || s.badPackages > 0 || s.packagesStarted == 0 {
		return 1
	}
	return 0
}

func (s *summary) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(s.out, lines.Text()) // of make, or of a program beside the tests
			continue
		}
		s.take(e)
	}
	return lines.Err()
}

func (s *summary) take(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "start":
		s.packagesStarted++
		s.running[t] = &strings.Builder{}
	case "run":
		s.running[t] = &strings.Builder{}
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "output":
		if b := s.running[t]; b != nil {
			b.WriteString(e.Output)
		}
	case "pass", "fail", "skip":
		s.end(t, e)
	}
}

// end takes the end of a test or a package.
func (s *summary) end(t test, e event) {
	var output string
	if b := s.running[t]; b != nil {
		output = b.String()
	}
	delete(s.running, t)
	if t.name == "" {
		if e.Action == "fail" {
			s.badPackages++
			fmt.Fprint(s.out, output)
			return
		}
		fmt.Fprint(s.out, closing(output))
		return
	}
	s.times = append(s.times, took{t, e.Elapsed})
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		fmt.Fprintf(s.out, "%s:\n%s", t.pkg, output)
	case "skip":
		s.skipped = append(s.skipped, t.String()+": "+reason(output))
	}
}

// closing gives the line with which go test closes a package.
func closing(output string) string {
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "ok ") || strings.HasPrefix(line, "? ") {
			return line
		}
	}
	return ""
}

// reason gives what a skipped test says.
func reason(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}

func (s *summary) finish() {
	for t, b := range s.running {
		if t.name == "" {
			s.badPackages++
			continue
		}
		s.failed++
		lines := strings.SplitAfter(b.String(), "\n")
		fmt.Fprintf(s.out, "never ended: %s\n%s", t, strings.Join(lines[max(0, len(lines)-tailLines):], ""))
	}
	slices.SortFunc(s.times, func(a, b took) int { return int(b.seconds*1000) - int(a.seconds*1000) })
	fmt.Fprintln(s.out)
	for _, t := range s.times[:min(slowest, len(s.times))] {
		fmt.Fprintf(s.out, "%8s  %s\n", time.Duration(t.seconds*float64(time.Second)).Round(10*time.Millisecond), t)
	}
	for _, t := range s.skipped {
		fmt.Fprintf(s.out, " skipped  %s\n", t)
	}
	fmt.Fprintf(s.out, "%d tests passed, %d failed, %d skipped, in %d packages\n", s.passed, s.failed, len(s.skipped), s.packagesStarted)
}
