package serve

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Headers of preferences, RFC 7240.
const (
	headerPrefer  = "Prefer"
	headerApplied = "Preference-Applied"
)

// counting says how the rows are to be counted of which an answer is a part.
type counting string

// The ways to count.
const (
	countNot       counting = ""
	countExact     counting = "exact"
	countPlanned   counting = "planned"   // what PostgreSQL's planner expects
	countEstimated counting = "estimated" // exact up to a number, else planned
)

// preferences are what a request prefers.
type preferences struct {
	count   counting
	zone    string // "" for UTC
	applied []string
}

// prefer reads the Prefer headers. What is not known is passed over, unless
// handling=strict is among them.
func (s *Server) prefer(ctx context.Context, r *http.Request) (*preferences, error) {
	p := &preferences{}
	strict := false
	var unknown []string
	for name, value := range preferred(r.Header.Values(headerPrefer)) {
		ok := false
		switch name {
		case "count":
			c := counting(value)
			if ok = c == countExact || c == countPlanned || c == countEstimated; ok {
				p.count = c
			}
		case "handling":
			ok = value == "strict" || value == "lenient"
			strict = value == "strict"
		case "timezone":
			zone, err := s.zone(ctx, value)
			if err != nil {
				return nil, sqlProblem(err)
			}
			if ok = zone != ""; ok {
				p.zone = zone
			}
		}
		if ok {
			p.applied = append(p.applied, name+"="+value)
		} else {
			unknown = append(unknown, strings.TrimSuffix(name+"="+value, "="))
		}
	}
	if strict && unknown != nil {
		return nil, problem(http.StatusBadRequest, codePrefer, "preferences that are not known: %s", printable(strings.Join(unknown, ", "))).
			hint("there are count=exact|planned|estimated, timezone=NAME and handling=strict|lenient; leave handling=strict out to have others ignored")
	}
	return p, nil
}

// preferred gives names and values of preferences, each name once: the first
// counts. Parameters after a semicolon have no meaning here.
func preferred(headers []string) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		var seen []string
		for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
			part, _, _ = strings.Cut(part, ";")
			name, value, _ := strings.Cut(part, "=")
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "" || slices.Contains(seen, name) {
				continue
			}
			seen = append(seen, name)
			if !yield(name, strings.Trim(strings.TrimSpace(value), `"`)) {
				return
			}
		}
	}
}

// zone gives PostgreSQL's spelling of a time zone's name, "" if it has none.
// The names are read once.
func (s *Server) zone(ctx context.Context, name string) (string, error) {
	s.zones.mu.Lock()
	defer s.zones.mu.Unlock()
	if s.zones.names == nil {
		rows, err := s.config.Pool.Query(ctx, "SELECT name FROM pg_timezone_names")
		if err != nil {
			return "", err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return "", err
		}
		s.zones.names = map[string]string{}
		for _, n := range names {
			s.zones.names[strings.ToLower(n)] = n
		}
	}
	return s.zones.names[strings.ToLower(name)], nil
}
