package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/diag"
)

func (r *viewReader) readOptions(list []*pg_query.Node) {
	set := &optionSet{
		statement: r.statement, what: quoteWhat("materialized view", r.view.Name), unknown: codeViewOption, invalid: codeViewValue,
		known: map[string]func(option) *diag.Diagnostic{
			"emit": func(o option) *diag.Diagnostic {
				word, d := o.choice("update", "final")
				r.view.Final = word == "final"
				return d
			},
			"key": func(o option) (d *diag.Diagnostic) {
				r.key, d = o.nameList()
				return d
			},
			"retention": func(o option) *diag.Diagnostic {
				d, problem := o.duration()
				if problem == nil && d == 0 {
					return o.wrong("write it as in '30 days'", "nothing would stay")
				}
				r.view.Retention = d
				return problem
			},
			"ttl": func(o option) *diag.Diagnostic {
				d, problem := o.duration()
				if problem == nil && d < time.Microsecond {
					return o.wrong("write it as in '1 day'", "each event would be forgotten at once")
				}
				r.ttl = d
				return problem
			},
			"lookup_refresh": func(o option) *diag.Diagnostic {
				d, problem := o.duration()
				if problem == nil && d < minLookupRefresh {
					return o.wrong("write it as in '10 seconds'", "each look reads the table")
				}
				r.refresh = d
				return problem
			},
			"correctable": func(o option) (d *diag.Diagnostic) {
				if r.view.Correctable, d = o.duration(); d != nil {
					r.view.Correctable = DefaultCorrectable
				}
				return d
			},
			"correctable_bytes": func(o option) (d *diag.Diagnostic) {
				r.view.CorrectableBytes, d = o.size()
				return d
			},
			"max_groups": func(o option) (d *diag.Diagnostic) {
				r.view.MaxGroups, d = o.count(maxGroupsLimit)
				return d
			},
		},
	}
	for _, n := range list {
		r.places[n.GetDefElem().GetDefname()] = r.statement.Position(n.GetDefElem().GetLocation())
	}
	r.report(set.read(list)...)
}

// What is kept of closed windows, where nothing else is said.
const (
	DefaultCorrectable      = 24 * time.Hour
	DefaultCorrectableBytes = 256 << 20
)

// finishCorrectable checks the options that say what is kept of closed
// windows, and sets the usual values.
func (r *viewReader) finishCorrectable() {
	v := r.view
	_, says := r.places["correctable"]
	_, saysBytes := r.places["correctable_bytes"]
	for _, name := range []string{"correctable", "correctable_bytes"} {
		if place, ok := r.places[name]; ok && (v.Window == nil || v.Window.TTL) {
			r.report(problem(codeViewValue, place, "remove it: nothing of this view closes", "%s is for views with windows, and view %q has none", name, v.Name))
		}
	}
	switch {
	case v.Window == nil || v.Window.TTL:
		v.Correctable, v.CorrectableBytes = 0, 0
		return
	case isSession(v.Window):
		if v.Correctable > 0 || v.CorrectableBytes > 0 {
			r.report(problem(codeViewValue, r.firstPlace("correctable", "correctable_bytes"), "remove it", "nothing is kept of closed sessions: what came late could join two of them to a third"))
		}
		v.Correctable, v.CorrectableBytes = 0, 0
		return
	case says && v.Correctable == 0 && v.CorrectableBytes > 0:
		r.report(problem(codeViewValue, r.places["correctable_bytes"], "remove one of them", "view %q keeps nothing of closed windows: correctable is '0'", v.Name))
	}
	if !says {
		v.Correctable = DefaultCorrectable
	}
	if !saysBytes {
		v.CorrectableBytes = DefaultCorrectableBytes
	}
}

// firstPlace is where the first of the options stands that the view has.
func (r *viewReader) firstPlace(names ...string) (pos diag.Position) {
	for _, name := range names {
		if place, ok := r.places[name]; ok {
			return place
		}
	}
	return r.pos
}

// nameList reads a list of identifiers as SQL writes them.
func (o option) nameList() ([]string, *diag.Diagnostic) {
	const hint = "write it as in key = 'a, b'"
	var names []string
	for rest := strings.TrimSpace(o.value); ; {
		name, after, ok := cutName(rest)
		if !ok {
			return nil, o.wrong(hint, "it is a list of column names")
		}
		if slices.Contains(names, name) {
			return nil, o.wrong("remove one", fmt.Sprintf("%q is there twice", name))
		}
		names = append(names, name)
		after = strings.TrimSpace(after)
		if after == "" {
			return names, nil
		}
		if !strings.HasPrefix(after, ",") {
			return nil, o.wrong(hint, "it is a list of column names")
		}
		rest = strings.TrimSpace(after[1:])
	}
}

// cutName takes an identifier, quoted or not, from the front of a text.
func cutName(text string) (name, rest string, ok bool) {
	if strings.HasPrefix(text, `"`) {
		var b strings.Builder
		for i := 1; i < len(text); i++ {
			if text[i] != '"' {
				b.WriteByte(text[i])
				continue
			}
			if i+1 < len(text) && text[i+1] == '"' {
				b.WriteByte('"')
				i++
				continue
			}
			return b.String(), text[i+1:], b.Len() > 0
		}
		return "", "", false
	}
	end := strings.IndexAny(text, ", \t\r\n\"")
	if end < 0 {
		end = len(text)
	}
	return strings.ToLower(text[:end]), text[end:], end > 0
}
