package plan

import (
	"fmt"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
)

// scope resolves column names of one SELECT.
type scope struct {
	relation *relation
	alias    string      // what qualifies the columns
	table    string      // the relation's own name, when an alias hides it
	parts    []scopePart // of a join, whose relation holds the columns of all
	schema   string      // of the pipeline, for names that are written in full
	outputs  []string    // names of the SELECT's outputs, for hints
	// offsets remembers where each reference stands, for messages that can
	// only be given later.
	offsets map[*expr.Column]int32
}

// resolve finds a column by its possibly qualified name.
func (s *scope) resolve(parts []string, pos diag.Position, offset int32) (*expr.Column, error) {
	name := parts[len(parts)-1]
	if len(parts) > 3 || len(parts) == 3 && parts[0] != s.schema {
		return nil, problem(codeColumn, pos, "write column or table.column", "no column %q", joinName(parts))
	}
	first, end, qualified := 0, len(s.relation.columns), len(parts) > 1
	if qualified {
		var err error
		if first, end, err = s.part(parts[len(parts)-2], pos); err != nil {
			return nil, err
		}
	}
	found := -1
	for i, c := range s.relation.columns[:end] {
		if i < first || c.name != name || c.merged && !qualified {
			continue
		}
		if found >= 0 {
			return nil, problem(codeAmbiguous, pos, s.apart(name),
				"column reference %q is ambiguous", name)
		}
		found = i
	}
	if found < 0 && qualified && len(s.parts) > 0 {
		return nil, s.missingOf(parts[len(parts)-2], name, s.relation.columns[first:end], pos)
	}
	if found < 0 {
		return nil, s.missing(name, pos)
	}
	c := s.relation.columns[found]
	if c.bad {
		return nil, failed
	}
	if c.unreadable != "" {
		return nil, unreadable(c, pos)
	}
	out := &expr.Column{Index: found, Name: c.name, T: c.typ}
	if s.offsets == nil {
		s.offsets = map[*expr.Column]int32{}
	}
	s.offsets[out] = offset
	return out, nil
}

func (s *scope) checkQualifier(qualifier string, pos diag.Position) error {
	switch qualifier {
	case s.alias:
		return nil
	case s.table:
		return problem(codeRelation, pos, fmt.Sprintf("write %q: an alias hides the name", s.alias),
			"invalid reference to FROM-clause entry for table %q", qualifier)
	}
	hint := ""
	if s.alias != "" {
		hint = suggest(qualifier, []string{s.alias})
	}
	return problem(codeRelation, pos, hint, "missing FROM-clause entry for table %q", qualifier)
}

// missingOf tells of a column that one part of a join does not have.
func (s *scope) missingOf(qualifier, name string, columns []relationColumn, pos diag.Position) error {
	return problem(codeColumn, pos, suggest(name, offered(columns, name)), "no column %q in %q", name, qualifier)
}

// offered are the columns that could have been meant by a name.
func offered(columns []relationColumn, name string) (names []string) {
	for _, c := range columns {
		if !c.hidden || len(name) > 0 && name[0] == '_' {
			names = append(names, c.name)
		}
	}
	return names
}

func (s *scope) missing(name string, pos diag.Position) error {
	names := offered(s.relation.columns, name)
	if name == s.alias || s.hasPart(name) {
		return problem(codeColumn, pos, "name its columns", "%q is a whole row, which can't be used as a value", name)
	}
	if len(s.parts) > 0 {
		return problem(codeColumn, pos, suggest(name, names), "no column %q in %s", name, s.partNames())
	}
	for _, o := range s.outputs {
		if o == name {
			return problem(codeColumn, pos, "an output's name can be used in GROUP BY only: repeat its expression here",
				"no column %q in %q", name, s.alias)
		}
	}
	return problem(codeColumn, pos, suggest(name, names), "no column %q in %q", name, s.alias)
}

func joinName(parts []string) string {
	out := ""
	for i, p := range parts {
		if i > 0 {
			out += "."
		}
		out += p
	}
	return out
}
