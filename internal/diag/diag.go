// Package diag is how Millstream tells a person what is wrong with their
// input: a place, the thing, and a fix.
package diag

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Position is a place in an input file. Line and Column start at 1 and count
// lines and characters (not bytes); zero means unknown.
type Position struct {
	File   string
	Line   int
	Column int
}

func (p Position) String() string {
	switch {
	case p.File == "" && p.Line == 0:
		return ""
	case p.Line == 0:
		return p.File
	case p.File == "":
		return fmt.Sprintf("%d:%d", p.Line, p.Column)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Diagnostic is one error or warning about a person's input.
type Diagnostic struct {
	Code    string   // stable, e.g. "MS2003"; `millstream explain CODE` describes it
	Pos     Position // where
	Message string   // what is wrong, naming the thing: `unknown column "amout"`
	Detail  string   // what is there: `topic "orders" has id, amount, at`; may be empty
	Hint    string   // the fix: `did you mean "amount"?`; may be empty
	Warning bool     // true: told, not fatal
}

// Error gives the diagnostic in one line: place, message, hint.
func (d *Diagnostic) Error() string {
	var b strings.Builder
	if p := d.Pos.String(); p != "" {
		b.WriteString(p)
		b.WriteByte(' ')
	}
	b.WriteString(d.Message)
	if d.Hint != "" {
		b.WriteString(" (" + d.Hint + ")")
	}
	return b.String()
}

// List is all that is wrong with an input, in file order.
type List []*Diagnostic

func (l List) Error() string {
	lines := make([]string, len(l))
	for i, d := range l {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}

// Err gives the list as an error if it holds an error, nil if it holds
// nothing or warnings only.
func (l List) Err() error {
	for _, d := range l {
		if !d.Warning {
			return l
		}
	}
	return nil
}

// Sort puts the list in file order.
func (l List) Sort() {
	sort.SliceStable(l, func(i, j int) bool {
		a, b := l[i].Pos, l[j].Pos
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
}

// From gives the diagnostics that err holds, or nil.
func From(err error) List {
	var l List
	if errors.As(err, &l) {
		return l
	}
	var d *Diagnostic
	if errors.As(err, &d) {
		return List{d}
	}
	return nil
}

// Closest gives the candidate most like name, or "" if none is near enough
// (an edit distance of at most a third of the name's length, at least 1).
func Closest(name string, candidates []string) string {
	best, bestDistance := "", max(1, len(name)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: Levenshtein's with
// swaps of neighbours counted once.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
