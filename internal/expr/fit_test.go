package expr

import (
	"os"
	"strings"
)

// fitting are arguments that a function does something with, for each place
// that needs them: what the columns hold would mostly be out of its range.
var fitting = map[string]map[int][]string{
	"btrim":       {1: {"'a'", "' a'", "'éh'", "''", "s", "'日😀'"}},
	"ltrim":       {1: {"'a'", "' aA'", "'éh'", "''", "v"}},
	"rtrim":       {1: {"'a'", "' cd'", "'Wörld'", "''", "s"}},
	"replace":     {1: {"'a'", "''", "'o W'", "s", "'本'"}, 2: {"''", "'aa'", "s", "'é'"}},
	"translate":   {1: {"'abc'", "'aa'", "''", "'éhö日'", "s"}, 2: {"'xyz'", "'Ü'", "''", "'xy'"}},
	"left":        {1: counts},
	"right":       {1: counts},
	"lpad":        {1: counts, 2: {"'xy'", "''", "'é😀'", "s"}},
	"rpad":        {1: counts, 2: {"'xy'", "''", "'é😀'", "s"}},
	"repeat":      {1: {"0", "1", "2", "-1", "3", "12", "40", "NULL"}},
	"split_part":  {1: {"' '", "''", "'l'", "'Wö'", "s", "'ab'"}, 2: counts},
	"position":    {1: {"' '", "''", "'l'", "'Wö'", "s", "'😀'"}},
	"strpos":      {1: {"' '", "''", "'l'", "'Wö'", "s", "'😀'"}},
	"starts_with": {1: {"'a'", "''", "'hé'", "s", "'  '"}},
	"^@":          {1: {"'a'", "''", "'hé'", "s", "'  '"}},
	"overlay":     {2: counts, 3: counts},
	"chr":         {0: {"65", "233", "26085", "128512", "0", "-1", "55296", "1114111", "1114112", "i2", "i4"}},
	"format": {0: {"'%s'", "'a%%%s-%I'", "'%L|%s'", "'%2$s %1$s'", "'%-5s|%5s|'", "'%*s'", "'%1$*2$s'", "'%'", "'%x'", "'%0$s'", "'%3$L'",
		"'%-3I'", "'%99999999999s'", "'%1$'", "'%*1s'", "'é%s'", "'%é'", "s", "'%1$-4s'", "'%5'", "'%-'", "'%*'"}},
	"concat_ws": {0: {"','", "''", "s", "NULL", "' - '"}},
}

var counts = []string{"0", "1", "2", "3", "-1", "-2", "5", "7", "40", "i2", "2147483647", "-2147483648", "-i2", "NULL"}

// focus limits the outermost functions to those with the names that
// MILLSTREAM_EXPR_FUNCTIONS lists, to look at them more closely.
func (g *generator) focus() {
	for _, name := range strings.Fields(os.Getenv("MILLSTREAM_EXPR_FUNCTIONS")) {
		for _, f := range functions.byName[name] {
			if f.Refusal == "" {
				g.focused = append(g.focused, f)
			}
		}
	}
}

// any makes an expression of any kind.
func (g *generator) any() *generated {
	if len(g.focused) > 0 {
		return g.function(pick(g, g.focused), 1+g.IntN(2))
	}
	return g.expression(g.kind(), 1+g.IntN(expressionDepth))
}

// fit puts fitting arguments into their places, most times.
func (g *generator) fit(f *Function, kids []*generated) {
	for place, words := range fitting[f.Name] {
		if place < len(kids) && g.IntN(6) > 0 {
			kids[place] = &generated{sql: "(" + pick(g, words) + ")"}
		}
	}
}
