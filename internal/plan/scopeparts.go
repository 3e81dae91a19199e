package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
)

// scopePart is one relation of a join: its names, and which columns of the
// joined relation are its own.
type scopePart struct {
	alias, table string
	first, end   int
}

// place gives the scope's relations as parts of a join in which its columns
// begin at offset.
func (s *scope) place(offset int) []scopePart {
	if len(s.parts) == 0 {
		return []scopePart{{s.alias, s.table, offset, offset + len(s.relation.columns)}}
	}
	out := slices.Clone(s.parts)
	for i := range out {
		out[i].first += offset
		out[i].end += offset
	}
	return out
}

// sameName gives an alias that two parts have, or "".
func (s *scope) sameName() string {
	for i, p := range s.parts {
		for _, o := range s.parts[:i] {
			if p.alias == o.alias && p.alias != "" {
				return p.alias
			}
		}
	}
	return ""
}

// part gives the columns that a qualifier stands for.
func (s *scope) part(qualifier string, pos diag.Position) (first, end int, err error) {
	if len(s.parts) == 0 {
		return 0, len(s.relation.columns), s.checkQualifier(qualifier, pos)
	}
	var names []string
	for _, p := range s.parts {
		if p.alias == qualifier {
			return p.first, p.end, nil
		}
		if p.table == qualifier && p.table != "" {
			return 0, 0, problem(codeRelation, pos, fmt.Sprintf("write %q: an alias hides the name", p.alias),
				"invalid reference to FROM-clause entry for table %q", qualifier)
		}
		names = append(names, p.alias)
	}
	return 0, 0, problem(codeRelation, pos, suggest(qualifier, names), "missing FROM-clause entry for table %q", qualifier)
}

func (s *scope) hasPart(name string) bool {
	return slices.ContainsFunc(s.parts, func(p scopePart) bool { return p.alias == name })
}

// partNames lists the relations of a join.
func (s *scope) partNames() string {
	var names []string
	for _, p := range s.parts {
		names = append(names, fmt.Sprintf("%q", p.alias))
	}
	return strings.Join(names, " or ")
}

// apart says how to tell columns of one name apart.
func (s *scope) apart(name string) string {
	if len(s.parts) == 0 {
		return fmt.Sprintf("give the columns of %q different names", s.alias)
	}
	return fmt.Sprintf("write %s.%s or %s.%s", quoteName(s.parts[0].alias), quoteName(name), quoteName(s.parts[1].alias), quoteName(name))
}

// aliasOf gives the name of the relation that a column belongs to.
func (s *scope) aliasOf(c *expr.Column) string {
	for _, p := range s.parts {
		if c.Index >= p.first && c.Index < p.end {
			return p.alias
		}
	}
	return s.alias
}

// starOrder gives the columns from first to end in the order in which a star
// lists them: without qualifier, those of USING first and once.
func (s *scope) starOrder(first, end int, qualified bool) []int {
	using := map[string]bool{}
	for _, c := range s.relation.columns {
		if c.merged && !qualified {
			using[c.name] = true
		}
	}
	var shared, others []int
	for i := first; i < end; i++ {
		switch c := s.relation.columns[i]; {
		case c.hidden || c.merged && !qualified:
		case using[c.name]:
			shared = append(shared, i)
		default:
			others = append(others, i)
		}
	}
	return append(shared, others...)
}
