package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/internal/expr"
)

// minLookupRefresh keeps a table that is looked up from being read all the
// time.
const minLookupRefresh = 100 * time.Millisecond

// JoinDescription describes a join with a table that is looked up.
type JoinDescription struct {
	Table   string   `json:"table"`
	Left    bool     `json:"left,omitempty"` // LEFT JOIN
	By      []string `json:"by"`             // column = expression
	On      string   `json:"on,omitempty"`
	Reads   []string `json:"reads"`            // columns of the table
	Filter  string   `json:"filter,omitempty"` // told once the table is joined
	Refresh string   `json:"refresh,omitempty"`
}

func describeJoins(b *Branch) []JoinDescription {
	var out []JoinDescription
	for _, j := range b.Joins {
		d := JoinDescription{Table: j.Lookup.QualifiedName(), Left: j.Left, On: filterText(j.On), Filter: filterText(j.Filter)}
		for i, c := range j.Lookup.Indexes[j.Index] {
			d.By = append(d.By, fmt.Sprintf("%s = %s", quoteName(j.Lookup.Columns[c].Name), expr.SQL(j.Keys[i])))
		}
		for _, c := range j.Lookup.Read() {
			d.Reads = append(d.Reads, j.Lookup.Columns[c].Name)
		}
		if j.Lookup.Refresh > 0 {
			d.Refresh = durationText(j.Lookup.Refresh)
		}
		out = append(out, d)
	}
	return out
}

func explainJoin(b *strings.Builder, j JoinDescription) {
	text := j.Table + " by " + strings.Join(j.By, ", ")
	if j.Left {
		text = "left, " + text
	}
	if j.On != "" {
		text += " and " + j.On
	}
	line(b, "  join", text)
	line(b, "    reads", strings.Join(j.Reads, ", "))
	line(b, "    filter", j.Filter)
	if j.Refresh != "" {
		line(b, "    looks", "for changes every "+j.Refresh)
	}
}

// setRefresh gives the tables that the view joins the refresh that it asks
// for; of several views' the shortest counts.
func (r *viewReader) setRefresh() {
	if r.refresh == 0 {
		return
	}
	joins := 0
	for _, b := range r.view.Branches {
		for _, j := range b.Joins {
			joins++
			if l := j.Lookup; l.Refresh == 0 || r.refresh < l.Refresh {
				l.Refresh = r.refresh
			}
		}
	}
	if joins == 0 {
		r.report(problem(codeViewValue, r.places["lookup_refresh"], "remove it",
			"lookup_refresh is for views that join a table, and view %q joins none", r.view.Name))
	}
}
