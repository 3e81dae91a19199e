package spark

import (
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

const codeNotPortable = "MS9001"

// Codes describes the stable codes of this package's diagnostics, for
// `millstream explain`.
var Codes = map[string]string{
	codeNotPortable: "The statement runs on the native engine, but not on Apache Spark with the same result, so it is refused there. `millstream validate FILE --engine spark` has a line for each statement.",
}

// Same, SameBut and NotPortable are what Portability says of a statement.
const (
	Same        = "same"
	SameBut     = "same but"
	NotPortable = "not portable"
)

// Portable is one line of the portability report.
type Portable struct {
	Statement string        `json:"statement"`
	Verdict   string        `json:"verdict"`
	Notes     []string      `json:"notes,omitempty"` // what differs, or why it can't run
	Position  diag.Position `json:"-"`
	Line      int           `json:"line"`
}

// String gives the line as it is printed.
func (p Portable) String() string {
	switch p.Verdict {
	case SameBut:
		return p.Statement + ": same but for " + strings.Join(p.Notes, "; ")
	case NotPortable:
		return p.Statement + ": not portable because " + strings.Join(p.Notes, "; ")
	}
	return p.Statement + ": same"
}

// Portability tells, statement by statement, how a pipeline runs on Spark.
func Portability(p *plan.Pipeline) []Portable {
	var out []Portable
	for _, t := range p.Topics {
		out = append(out, line("CREATE FOREIGN TABLE "+t.Name, t.Position, topicRefusals(t), topicNotes(t)))
	}
	for _, s := range p.Statements {
		if s.Kind == plan.StatementView {
			v := s.View
			out = append(out, line("CREATE MATERIALIZED VIEW "+v.Name, v.Position, viewRefusals(v), viewNotes(v)))
			continue
		}
		out = append(out, line(s.Object, diag.Position{Line: s.Line}, nil, nil))
	}
	return out
}

func line(statement string, position diag.Position, refusals, notes []string) Portable {
	out := Portable{Statement: statement, Verdict: Same, Position: position, Line: position.Line}
	switch {
	case len(refusals) > 0:
		out.Verdict, out.Notes = NotPortable, refusals
	case len(notes) > 0:
		out.Verdict, out.Notes = SameBut, notes
	}
	return out
}

// refusals gives all that keeps a pipeline from running on Spark, nil if
// nothing does.
func refusals(p *plan.Pipeline) error {
	var list diag.List
	for _, s := range Portability(p) {
		if s.Verdict != NotPortable {
			continue
		}
		for _, why := range s.Notes {
			list = append(list, &diag.Diagnostic{Code: codeNotPortable, Pos: s.Position,
				Message: s.Statement + " is not portable to Spark: " + why, Hint: "run it on the native engine, or leave this out"})
		}
	}
	return list.Err()
}

func topicRefusals(t *plan.Topic) (out []string) {
	if t.Format != "json" {
		out = append(out, fmt.Sprintf("format '%s' is not read on Spark, only 'json'", t.Format))
	}
	if t.StopOnBad {
		out = append(out, "on_error 'stop': a batch on Spark is not stopped at a record; take 'quarantine'")
	}
	return out
}

func topicNotes(*plan.Topic) []string {
	return []string{
		"lateness: Spark's one watermark is the greatest event time of all partitions less the delay, used one batch later, and no partition counts as idle; late rows are counted by Spark, not listed in late_rows",
		"future_limit: each query reads the clock when it reads the record",
	}
}

func viewRefusals(v *plan.View) (out []string) {
	if v.Mode > plan.Grouped {
		return []string{"views of this kind run on the native engine only"}
	}
	for _, b := range v.Branches {
		if len(b.Joins) > 0 {
			return []string{"it looks rows of a PostgreSQL table up, whose changes executors do not see"}
		}
	}
	if v.Mode != plan.Grouped {
		return nil
	}
	if w := v.Window; w != nil {
		switch w.Assigner.(type) {
		case *window.Session:
			what := "sessions: Spark begins another where an event comes between the end of one and the watermark"
			if w.TTL {
				what = "ttl: groups are not forgotten on Spark"
			}
			out = append(out, what)
		case *window.Fixed, *window.Calendar:
		default:
			out = append(out, "windows of this kind ("+w.Assigner.String()+") run on the native engine only")
		}
	}
	for _, a := range v.Aggs {
		if why := aggregateRefusal(a); why != "" {
			out = append(out, why)
		}
	}
	if v.Window == nil && v.MaxGroups > 1 && v.Having != nil {
		out = append(out, "max_groups with HAVING: the groups that HAVING hides are not counted on Spark")
	}
	if v.Retention > 0 {
		out = append(out, "retention: rows are not expired on Spark")
	}
	return out
}

func viewNotes(v *plan.View) (out []string) {
	if v.Mode != plan.Grouped {
		return nil
	}
	if v.Window != nil {
		out = append(out, "windows that the last records leave open: a quiet stream closes none")
	}
	for _, a := range v.Aggs {
		switch {
		case a.Arg.Kind.IsFloat() && (a.Kind == expr.Sum || a.Kind == expr.Avg):
			out = append(out, fmt.Sprintf("the last digits of %s(%s), which depend on the order of rows", a.Kind, a.Arg))
		case a.Kind == expr.ApproxCountDistinct:
			out = append(out, "approx_count_distinct, which is another estimate on Spark, with a standard error of 5 %")
		case a.Arg.Kind == column.Numeric && a.Kind != expr.Count:
			out = append(out, fmt.Sprintf("NaN and infinities in %s(%s), which go to quarantine", a.Kind, a.Arg))
		}
	}
	return out
}
