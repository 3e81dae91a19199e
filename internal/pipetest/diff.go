package pipetest

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

const (
	// maxSame is how many rows that are as expected a diff shows, for context.
	maxSame = 10
	// maxDiff is how many rows of one kind a diff shows.
	maxDiff = 50
)

// diff shows rows as an aligned table: "-" before rows that are missing, "+"
// before those that were not expected.
func diff(names []string, missing, extra, same [][]*string) string {
	type line struct {
		mark  string
		cells []string
	}
	var lines []line
	rows := 0
	add := func(mark string, list [][]*string, limit int) {
		for i, row := range list {
			if i == limit {
				break
			}
			rows++
			lines = append(lines, line{mark, texts(row)})
		}
	}
	add("-", missing, maxDiff)
	add("+", extra, maxDiff)
	add(" ", same, maxSame)
	sort.SliceStable(lines, func(i, j int) bool {
		a, b := strings.Join(lines[i].cells, "\x00"), strings.Join(lines[j].cells, "\x00")
		return a < b
	})
	width := make([]int, len(names))
	for i, n := range names {
		width[i] = utf8.RuneCountInString(n)
		for _, l := range lines {
			width[i] = max(width[i], utf8.RuneCountInString(l.cells[i]))
		}
	}
	var b strings.Builder
	write := func(mark string, cells []string) {
		var row strings.Builder
		for i, c := range cells {
			if i > 0 {
				row.WriteString(" | ")
			}
			row.WriteString(c + strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)))
		}
		b.WriteString(strings.TrimRight("  "+mark+" "+row.String(), " ") + "\n")
	}
	write(" ", names)
	for _, l := range lines {
		write(l.mark, l.cells)
	}
	if more := len(missing) + len(extra) + len(same) - rows; more > 0 {
		fmt.Fprintf(&b, "    … and %d more\n", more)
	}
	return strings.TrimRight(b.String(), "\n")
}

// texts are a row's cells as a script would write them.
func texts(row []*string) []string {
	out := make([]string, len(row))
	for i, v := range row {
		switch {
		case v == nil:
			out[i] = "NULL"
		case *v == "NULL" || *v == "" || strings.ContainsAny(*v, "|\n\r\t") || strings.HasPrefix(*v, `"`) || strings.TrimSpace(*v) != *v:
			out[i] = fmt.Sprintf("%q", *v)
		default:
			out[i] = *v
		}
	}
	return out
}
