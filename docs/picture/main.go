// Command picture makes demo.svg of this folder from a real run of
// `millstream demo` on a terminal:
//
//	make build && go run ./docs/picture
//
// It needs script(1), which gives the program a terminal. The password in the
// printed address, made up for this one run, is left out of the picture.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// watched is how long the demo is looked at: its windows are ten seconds
	// long, so two are full by then.
	watched = 25 * time.Second
	target  = "docs/picture/demo.svg"
)

func main() {
	lines, err := record()
	if err == nil {
		err = os.WriteFile(target, []byte(draw(lines)), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// record runs the demo on a terminal and gives the lines that stand there in
// the end.
func record() ([]string, error) {
	cmd := exec.Command("script", "--quiet", "--flush", "--command", "stty cols 200 -echo; exec bin/millstream demo", "/dev/null")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Keys come through a pipe that stays open: at its end, script would give up.
	keys, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	time.Sleep(watched)
	if _, err := keys.Write([]byte{3}); err != nil { // Ctrl-C
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("the demo: %w\n%s", err, out.String())
	}
	lines := screen(out.String())
	if !strings.Contains(strings.Join(lines, "\n"), "First result row") {
		return nil, errors.New("the demo showed no row:\n" + out.String())
	}
	return lines, nil
}

var (
	controls = regexp.MustCompile("\x1b\\[([0-9]*)([A-Za-z])")
	password = regexp.MustCompile(`(postgres://postgres):[^@]+@`)
)

// screen plays output on a terminal that knows what the demo uses: lines,
// going up, and clearing what is below.
func screen(output string) []string {
	var lines []string
	row := 0
	output = strings.ReplaceAll(output, "\r\n", "\n")
	for line := range strings.SplitSeq(output, "\n") {
		for {
			at := controls.FindStringSubmatchIndex(line)
			if at == nil {
				break
			}
			n, _ := strconv.Atoi(line[at[2]:at[3]]) // none is 0
			switch line[at[4]:at[5]] {
			case "A":
				row = max(0, row-n)
			case "J":
				lines = lines[:min(row, len(lines))]
			}
			line = line[at[1]:]
		}
		if row < len(lines) {
			lines[row] = line
		} else {
			lines = append(lines, line)
		}
		row++
	}
	for i, line := range lines {
		lines[i] = password.ReplaceAllString(strings.TrimSuffix(line, "^C"), "$1:…@")
	}
	return lines
}

// The picture's measures, in pixels.
const (
	fontSize   = 14
	charWidth  = 8.43
	lineHeight = 20
	margin     = 20
	titleBar   = 36
)

func draw(lines []string) string {
	lines = append([]string{"$ make demo"}, lines...)
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	columns := 0
	for _, line := range lines {
		columns = max(columns, len([]rune(line)))
	}
	width := int(float64(columns)*charWidth) + 2*margin
	height := titleBar + len(lines)*lineHeight + margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="millstream demo in a terminal">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#1b1f27"/>`+"\n", width, height)
	for i, colour := range []string{"#e06c75", "#e5c07b", "#98c379"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="18" r="6" fill="%s"/>`+"\n", margin+i*20, colour)
	}
	fmt.Fprintf(&b, `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="%d" fill="#c8ccd4">`+"\n", fontSize)
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" xml:space="preserve"%s textLength="%.0f" lengthAdjust="spacing">%s</text>`+"\n",
			margin, titleBar+(i+1)*lineHeight-6, style(line), float64(len([]rune(line)))*charWidth, html.EscapeString(line))
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// style makes the prompt, headings and addresses stand out.
func style(line string) string {
	switch text := strings.TrimSpace(line); {
	case strings.HasPrefix(text, "$ "), strings.HasPrefix(text, "millstream ·"):
		return ` fill="#ffffff" font-weight="bold"`
	case strings.HasPrefix(text, "curl "), strings.HasPrefix(text, "psql "), strings.HasPrefix(text, "millstream produce"):
		return ` fill="#98c379"`
	case strings.HasPrefix(text, "First result row"):
		return ` fill="#e5c07b"`
	case strings.HasPrefix(text, "window "):
		return ` fill="#61afef"`
	}
	return ""
}
