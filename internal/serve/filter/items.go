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

// item reads * or [alias:]column[->path][::type][.aggregate()[::type]], or
// [alias:]count()[::type].
func (s *scanner) item() (Item, *Error) {
	s.spaces()
	if after, ok := strings.CutPrefix(s.rest(), "*"); ok && strings.Trim(after[:min(1, len(after))], " ,") == "" {
		s.at++
		return Item{Star: true}, nil
	}
	name, err := s.field()
	if err != nil {
		return Item{}, err
	}
	item := Item{Column: name}
	if strings.HasPrefix(s.rest(), ":") && !strings.HasPrefix(s.rest(), "::") {
		if item.Alias, err = alias(name); err != nil {
			return Item{}, err
		}
		s.at++
		if item.Column, err = s.field(); err != nil {
			return Item{}, err
		}
	}
	if item.Column.Text == string(Count) && item.Column.Path == nil && strings.HasPrefix(s.rest(), "()") {
		s.at += len("()")
		item.Aggregate, item.Column.Text = Count, ""
		item.Result, err = s.cast()
		return item, err
	}
	if item.Cast, err = s.cast(); err != nil {
		return Item{}, err
	}
	return item, s.aggregate(&item)
}

func alias(name Name) (string, *Error) {
	if name.Path != nil {
		return "", &Error{Place: name.Place, Message: "an alias has no path", Hint: "write alias:column->key"}
	}
	if len(name.Text) > MaxNameBytes {
		return "", &Error{Kind: Limit, Place: name.Place, Message: fmt.Sprintf("alias %s is longer than %d bytes", quote(name.Text), MaxNameBytes)}
	}
	return name.Text, nil
}

// aggregate reads .function()[::type], if it stands there.
func (s *scanner) aggregate(item *Item) (err *Error) {
	if strings.HasPrefix(s.rest(), "(") {
		return s.fail(s.at, "other relations can't be embedded in select", "make a view that joins them")
	}
	if !strings.HasPrefix(s.rest(), ".") {
		return nil
	}
	s.at++
	at := s.at
	word := s.upTo(",(:")
	if !strings.HasPrefix(s.rest(), "()") || !slices.Contains(Aggregates, Aggregate(word)) {
		return s.fail(at, fmt.Sprintf("unknown aggregate %s", quote(word)), "there are .avg(), .count(), .max(), .min() and .sum(); put a column's name with a dot into double quotes")
	}
	s.at += len("()")
	item.Aggregate = Aggregate(word)
	item.Result, err = s.cast()
	return err
}

// cast reads ::type, if it stands there.
func (s *scanner) cast() (string, *Error) {
	if !strings.HasPrefix(s.rest(), "::") {
		return "", nil
	}
	s.at += len("::")
	at := s.at
	word := strings.TrimSpace(s.upTo(",:."))
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
	name, err := s.field()
	if err != nil {
		return Term{}, err
	}
	t := Term{Column: name}
	directed := false
	for strings.HasPrefix(s.rest(), ".") {
		s.at++
		at := s.at
		word := strings.TrimRight(s.upTo(".,"), " ")
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
