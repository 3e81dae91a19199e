package filter

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/diag"
)

// selection reads select=item,….
func (s *scanner) selection() *Error {
	for {
		item, err := s.item()
		if err != nil {
			return err
		}
		s.query.Select = append(s.query.Select, item)
		if len(s.query.Select) > MaxSelect {
			return s.limit(s.at, fmt.Sprintf("more than %d items in select", MaxSelect), "")
		}
		if !s.punct(',') {
			s.spaces()
			return s.end()
		}
	}
}

// item reads * or [alias:]column[::type].
func (s *scanner) item() (Item, *Error) {
	s.spaces()
	if after, ok := strings.CutPrefix(s.rest(), "*"); ok && strings.Trim(after[:min(1, len(after))], " ,") == "" {
		s.at++
		return Item{Star: true}, nil
	}
	name, err := s.name()
	if err != nil {
		return Item{}, err
	}
	item := Item{Column: name}
	if strings.HasPrefix(s.rest(), ":") && !strings.HasPrefix(s.rest(), "::") {
		if len(name.Text) > MaxNameBytes {
			return Item{}, &Error{Kind: Limit, Place: name.Place, Message: fmt.Sprintf("alias %s is longer than %d bytes", quote(name.Text), MaxNameBytes)}
		}
		s.at++
		item.Alias = name.Text
		if item.Column, err = s.name(); err != nil {
			return Item{}, err
		}
	}
	if strings.HasPrefix(s.rest(), "::") {
		s.at += 2
		if item.Cast, err = s.cast(); err != nil {
			return Item{}, err
		}
	}
	return item, s.afterItem()
}

// afterItem says what is not supported of what follows a column.
func (s *scanner) afterItem() *Error {
	switch {
	case strings.HasPrefix(s.rest(), "."):
		return s.fail(s.at, "aggregates are not supported in select", `make a view for them; put a column's name with a dot into double quotes`)
	case strings.HasPrefix(s.rest(), "("):
		return s.fail(s.at, "other relations can't be embedded in select", "make a view that joins them")
	}
	return nil
}

func (s *scanner) cast() (string, *Error) {
	at := s.at
	word := strings.TrimSpace(s.until(",:"))
	if t, ok := Casts[strings.ToLower(word)]; ok {
		return t, nil
	}
	names := slices.Sorted(maps.Keys(Casts))
	hint := "the types are " + strings.Join(names, ", ")
	if close := diag.Closest(word, names); close != "" {
		hint = fmt.Sprintf("did you mean %q?", close)
	}
	return "", s.fail(at, fmt.Sprintf("select can't cast to %s", quote(word)), hint)
}

// order reads order=column[.asc|.desc][.nullsfirst|.nullslast],….
func (s *scanner) order() *Error {
	for {
		s.spaces()
		term, err := s.term()
		if err != nil {
			return err
		}
		s.query.Order = append(s.query.Order, term)
		if len(s.query.Order) > MaxOrder {
			return s.limit(s.at, fmt.Sprintf("more than %d terms in order", MaxOrder), "")
		}
		if !s.punct(',') {
			s.spaces()
			return s.end()
		}
	}
}

func (s *scanner) term() (Term, *Error) {
	name, err := s.name()
	if err != nil {
		return Term{}, err
	}
	t := Term{Column: name}
	directed := false
	for strings.HasPrefix(s.rest(), ".") {
		s.at++
		at := s.at
		word := strings.TrimRight(s.until(".,"), " ")
		switch {
		case (word == "asc" || word == "desc") && !directed && t.Nulls == NullsDefault:
			t.Desc, directed = word == "desc", true
		case word == "nullsfirst" && t.Nulls == NullsDefault:
			t.Nulls = NullsFirst
		case word == "nullslast" && t.Nulls == NullsDefault:
			t.Nulls = NullsLast
		default:
			return Term{}, s.fail(at, fmt.Sprintf("unexpected %s in order", quote(word)), "write order=column.desc.nullslast")
		}
	}
	return t, nil
}
