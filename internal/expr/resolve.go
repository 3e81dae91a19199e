package expr

import (
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
)

// Choosing an overload follows PostgreSQL's parser (parse_func.c and
// parse_oper.c; "Type Conversion" in its manual): an exact match, else among
// those that the arguments can be cast to implicitly the one with most exact
// matches, then with most preferred types, then by the categories that
// untyped literals suggest.

// outcome of choosing an overload.
type outcome uint8

const (
	found outcome = iota
	notFound
	ambiguous
)

var unknownID = typeID(column.Unknown)

// chooseOperator chooses a unary or binary operator.
func chooseOperator(name string, args []typeID) (candidate, outcome) {
	list := candidates[true][name]
	exact := slices.Clone(args)
	if len(args) == 2 {
		// An untyped literal takes the other operand's type.
		if args[0] == unknownID {
			exact[0] = args[1]
		} else if args[1] == unknownID {
			exact[1] = args[0]
		}
	}
	if c, ok := exactMatch(list, exact); ok {
		return c, found
	}
	return chooseBest(list, args)
}

// chooseFunction chooses a function.
func chooseFunction(name string, args []typeID) (candidate, outcome) {
	list := candidates[false][name]
	if c, ok := exactMatch(list, args); ok {
		return c, found
	}
	return chooseBest(list, args)
}

func exactMatch(list []candidate, args []typeID) (candidate, bool) {
	for _, c := range list {
		if slices.Equal(c.args, args) {
			return c, true
		}
	}
	return candidate{}, false
}

func chooseBest(list []candidate, args []typeID) (candidate, outcome) {
	fit := filter(list, func(c candidate) bool { return coercible(args, c.args) })
	if len(fit) == 0 {
		return candidate{}, notFound
	}
	steps := []func([]candidate, []typeID) []candidate{mostExact, mostPreferred, byCategory, byKnownType}
	for _, step := range steps {
		if len(fit) == 1 {
			break
		}
		fit = step(fit, args)
	}
	if len(fit) != 1 {
		return candidate{}, ambiguous
	}
	return fit[0], found
}

func filter(list []candidate, keep func(candidate) bool) []candidate {
	var out []candidate
	for _, c := range list {
		if keep(c) {
			out = append(out, c)
		}
	}
	return out
}

func coercible(from, to []typeID) bool {
	if len(from) != len(to) {
		return false
	}
	for i := range from {
		if !implicitlyCoercible(from[i], to[i]) {
			return false
		}
	}
	return consistent(from, to)
}

// implicitlyCoercible tells whether PostgreSQL would cast without being told.
func implicitlyCoercible(from, to typeID) bool {
	if from == to || from == unknownID {
		return true
	}
	if to >= foreignBase {
		f := foreignTypes[to-foreignBase]
		switch f.name {
		case "anynonarray", "anycompatible", "anyelement", "any", "anyarray", "anycompatiblearray":
			return to.takes(from)
		}
		return from < foreignBase && slices.Contains(strings.Split(f.from, ","), catalogueName(column.Kind(from)))
	}
	if from >= foreignBase {
		return false
	}
	c, ok := casts[[2]column.Kind{column.Kind(from), column.Kind(to)}]
	return ok && c.context == implicitCast
}

// most keeps the candidates with the highest count of matching arguments.
func most(list []candidate, args []typeID, match func(arg, declared typeID) bool) []candidate {
	best := -1
	var out []candidate
	for _, c := range list {
		n := 0
		for i, a := range args {
			if a != unknownID && match(a, c.args[i]) {
				n++
			}
		}
		if n > best {
			best, out = n, nil
		}
		if n == best {
			out = append(out, c)
		}
	}
	return out
}

func mostExact(list []candidate, args []typeID) []candidate {
	return most(list, args, func(arg, declared typeID) bool { return arg == declared })
}

func mostPreferred(list []candidate, args []typeID) []candidate {
	return most(list, args, func(arg, declared typeID) bool {
		return arg == declared || declared.preferred() && declared.category() == arg.category()
	})
}

// byCategory chooses for each untyped literal the category that all
// candidates agree on, or the string category if any takes a string.
func byCategory(list []candidate, args []typeID) []candidate {
	type slot struct {
		category  byte
		preferred bool
	}
	slots := make([]slot, len(args))
	for i, a := range args {
		if a != unknownID {
			continue
		}
		s, conflict := slot{}, false
		for _, c := range list {
			category, preferred := c.args[i].category(), c.args[i].preferred()
			switch {
			case s.category == 0:
				s = slot{category, preferred}
			case category == s.category:
				s.preferred = s.preferred || preferred
			case category == 'S':
				s = slot{category, preferred}
			default:
				conflict = true
			}
		}
		if conflict && s.category != 'S' {
			return list
		}
		slots[i] = s
	}
	kept := filter(list, func(c candidate) bool {
		for i, s := range slots {
			if s.category == 0 {
				continue
			}
			if c.args[i].category() != s.category || s.preferred && !c.args[i].preferred() {
				return false
			}
		}
		return true
	})
	if len(kept) == 0 {
		return list
	}
	return kept
}

// byKnownType supposes that untyped literals have the type that all other
// arguments share.
func byKnownType(list []candidate, args []typeID) []candidate {
	known := unknownID
	for _, a := range args {
		switch {
		case a == unknownID:
		case known == unknownID:
			known = a
		case known != a:
			return list
		}
	}
	if known == unknownID {
		return list
	}
	same := make([]typeID, len(args))
	for i := range same {
		same[i] = known
	}
	kept := filter(list, func(c candidate) bool { return coercible(same, c.args) })
	if len(kept) != 1 {
		return list
	}
	return kept
}
