package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

// Description is a plan in a form that prints as JSON.
type Description struct {
	Hash       string                 `json:"hash"`
	Topics     []TopicDescription     `json:"topics"`
	Views      []ViewDescription      `json:"views"`
	Statements []StatementDescription `json:"statements"`
}

// TopicDescription describes a foreign table.
type TopicDescription struct {
	Name        string              `json:"name"`
	Topic       string              `json:"topic"`
	Server      string              `json:"server"`
	Format      string              `json:"format"`
	EventTime   string              `json:"event_time"`
	Watermark   string              `json:"watermark"`
	IdleAfter   string              `json:"idle_after"`
	FutureLimit string              `json:"future_limit"`
	Start       string              `json:"start"`
	OnError     string              `json:"on_error"`
	Partitions  int                 `json:"partitions,omitempty"`
	Comment     string              `json:"comment,omitempty"`
	Columns     []ColumnDescription `json:"columns"`
	Decoded     []string            `json:"decoded"`
}

// ColumnDescription describes a column of a topic or a view.
type ColumnDescription struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	NotNull   bool   `json:"not_null,omitempty"`
	Path      string `json:"path,omitempty"`
	Epoch     string `json:"epoch,omitempty"`
	Generated string `json:"generated,omitempty"`
	Value     string `json:"value,omitempty"` // of a grouped view: the expression over the group
	Comment   string `json:"comment,omitempty"`
}

// ViewDescription describes a materialized view.
type ViewDescription struct {
	Name       string              `json:"name"`
	Mode       string              `json:"mode"`
	Emit       string              `json:"emit"`
	Key        []string            `json:"key"`
	Columns    []ColumnDescription `json:"columns"`
	Window     string              `json:"window,omitempty"`
	Keys       []string            `json:"group_by,omitempty"`
	Aggregates []string            `json:"aggregates,omitempty"`
	Having     string              `json:"having,omitempty"`
	Retention  string              `json:"retention,omitempty"`
	TTL        string              `json:"ttl,omitempty"`
	// Correctable is left out where it is the usual.
	Correctable string             `json:"correctable,omitempty"`
	Watermark   string             `json:"watermark"`
	State       string             `json:"state"`
	Inputs      []InputDescription `json:"inputs"`
	Comment     string             `json:"comment,omitempty"`
}

// InputDescription describes one branch of a view.
type InputDescription struct {
	Topic      string            `json:"topic"`
	Source     int               `json:"source"`
	Filter     string            `json:"filter,omitempty"`
	Joins      []JoinDescription `json:"joins,omitempty"`
	WindowTime string            `json:"window_time,omitempty"`
	GroupBy    []string          `json:"group_by,omitempty"`
	Outputs    []string          `json:"outputs,omitempty"`
}

// StatementDescription describes what PostgreSQL runs.
type StatementDescription struct {
	Object string `json:"object"`
	Runs   string `json:"runs"` // "view", "again when changed", "once"
	SQL    string `json:"sql,omitempty"`
	Line   int    `json:"line"`
}

// Describe gives a plan in a form that prints as JSON.
func Describe(p *Pipeline) Description {
	d := Description{Hash: p.Hash}
	for _, t := range p.Topics {
		d.Topics = append(d.Topics, describeTopic(t))
	}
	for _, v := range p.Views {
		d.Views = append(d.Views, describeView(v))
	}
	for _, s := range p.Statements {
		runs := map[StatementKind]string{StatementView: "view", Replaceable: "again when changed", Once: "once"}[s.Kind]
		d.Statements = append(d.Statements, StatementDescription{Object: s.Object, Runs: runs, SQL: s.SQL, Line: s.Line})
	}
	return d
}

func durationText(d time.Duration) string { return window.Duration(d.Microseconds()) }

func describeTopic(t *Topic) TopicDescription {
	d := TopicDescription{
		Name: t.Name, Topic: t.Topic, Server: t.Server, Format: t.Format, EventTime: t.EventTimeName(),
		Watermark: durationText(t.Watermark), IdleAfter: durationText(t.IdleAfter), FutureLimit: durationText(t.Future),
		Start: "earliest", OnError: "quarantine", Partitions: t.Partitions, Comment: t.Comment,
	}
	switch {
	case t.Start.Latest:
		d.Start = "latest"
	case !t.Start.At.IsZero():
		d.Start = t.Start.At.Format(time.RFC3339Nano)
	}
	if t.StopOnBad {
		d.OnError = "stop"
	}
	for i, c := range t.Columns {
		cd := ColumnDescription{Name: c.Name, Type: c.Type.String(), NotNull: c.NotNull, Comment: c.Comment,
			Epoch: []string{"", "s", "ms", "us", "ns"}[c.Epoch]}
		if c.Generated != nil {
			cd.Generated = expr.SQL(c.Generated)
		} else {
			cd.Path = PathText(c.Path)
		}
		d.Columns = append(d.Columns, cd)
		if t.Needed[i] {
			d.Decoded = append(d.Decoded, c.Name)
		}
	}
	for i, m := range MetaColumns {
		if t.Needed[len(t.Columns)+i] {
			d.Decoded = append(d.Decoded, m.Name)
		}
	}
	return d
}

func describeView(v *View) ViewDescription {
	d := ViewDescription{
		Name: v.Name, Emit: "update", Comment: v.Comment,
		Mode:  map[Mode]string{Append: "one row per event", Latest: "last row per key", Grouped: "one row per group"}[v.Mode],
		State: stateBound(v) + keptText(v), Watermark: watermarkText(v),
	}
	if v.Final {
		d.Emit = "final"
	}
	group := groupColumns(v)
	d.Having = filterText(substitute(v.Having, group))
	if v.Retention > 0 {
		d.Retention = durationText(v.Retention)
	}
	d.Correctable = correctableText(v)
	for i, c := range v.Columns {
		cd := ColumnDescription{Name: c.Name, Type: c.Type.String()}
		if v.Mode == Grouped {
			cd.Value = expr.SQL(substitute(v.Outputs[i], group))
		}
		d.Columns = append(d.Columns, cd)
	}
	for _, i := range v.Key {
		d.Key = append(d.Key, v.Columns[i].Name)
	}
	if v.Mode == Append {
		d.Key = []string{"_source", "_partition", "_offset"}
	}
	switch {
	case v.Window == nil:
	case v.Window.TTL:
		d.TTL = window.Duration(v.Window.Assigner.(*window.Session).Gap())
	default:
		d.Window = v.Window.Assigner.String()
	}
	if v.Mode == Grouped {
		d.Keys, d.Aggregates = texts(v.Branches[0].Keys), aggregateTexts(v)
	}
	for _, b := range v.Branches {
		d.Inputs = append(d.Inputs, describeInput(v, b))
	}
	return d
}

func describeInput(v *View, b *Branch) InputDescription {
	d := InputDescription{Topic: b.Topic.Name, Source: b.Source, Filter: filterText(b.Filter), Outputs: texts(b.Outputs)}
	d.Joins = describeJoins(b)
	if b.WindowTime != nil {
		d.WindowTime = expr.SQL(b.WindowTime)
	}
	if v.Mode == Grouped {
		d.GroupBy = texts(b.Keys)
	}
	return d
}

func texts(exprs []expr.Expr) []string {
	var out []string
	for _, e := range exprs {
		out = append(out, expr.SQL(e))
	}
	return out
}

func aggregateTexts(v *View) []string {
	group := groupColumns(v)
	return texts(group[len(group)-len(v.Aggs):])
}

// groupColumns gives what the columns of a view's group batch stand for, in
// terms of its first branch.
func groupColumns(v *View) []expr.Expr {
	if v.Mode != Grouped {
		return nil
	}
	var out []expr.Expr
	if v.Window != nil {
		for _, name := range []string{"window_start", "window_end"} {
			out = append(out, &expr.Column{Index: len(out), Name: name, T: v.Window.Type})
		}
	}
	b := v.Branches[0]
	out = append(out, b.Keys...)
	for i, a := range v.Aggs {
		out = append(out, &expr.Aggregate{Kind: a.Kind, Arg: b.AggArgs[i], More: b.AggMore[i], Filter: b.AggFilters[i], AggregateForm: a.AggregateForm, T: a.Result})
	}
	return out
}

// filterText writes a filter without the guards that conjunction adds.
func filterText(e expr.Expr) string {
	if e == nil {
		return ""
	}
	parts := conjuncts(e)
	out := make([]string, len(parts))
	for i, p := range parts {
		if c, ok := p.(*expr.Coalesce); ok && i < len(parts)-1 && len(c.Args) == 2 && expr.Equal(c.Args[1], falseConst()) {
			p = c.Args[0]
		}
		out[i] = expr.SQL(p)
		if l, ok := p.(*expr.Logic); ok && l.Op == expr.Or && len(parts) > 1 {
			out[i] = "(" + out[i] + ")"
		}
	}
	return strings.Join(out, " AND ")
}

// correctableText says what is kept of closed windows, where it is not the
// usual.
func correctableText(v *View) string {
	switch {
	case v.Window == nil || v.Window.TTL || v.Correctable == DefaultCorrectable && v.CorrectableBytes == DefaultCorrectableBytes:
		return ""
	case v.Correctable == 0:
		return "nothing is kept of closed windows"
	}
	return fmt.Sprintf("%s after closing, at most %s", durationText(v.Correctable), sizeText(v.CorrectableBytes))
}

// watermarkText says how late a row may be.
func watermarkText(v *View) string {
	var parts []string
	seen := map[*Topic]bool{}
	for _, b := range v.Branches {
		if !seen[b.Topic] {
			parts = append(parts, fmt.Sprintf("%s, %s behind", b.Topic.Name+"."+b.Topic.EventTimeName(), durationText(b.Topic.Watermark)))
		}
		seen[b.Topic] = true
	}
	return strings.Join(parts, "; ")
}

// keptText names the aggregates that keep values or rows of each group, as far
// as their limit goes.
func keptText(v *View) string {
	var kept []string
	group := groupColumns(v)
	for i, a := range v.Aggs {
		if a.Distinct || len(a.More) > 0 || keepsValues[a.Kind] {
			kept = append(kept, expr.SQL(group[len(group)-len(v.Aggs)+i]))
		}
	}
	if len(kept) == 0 {
		return ""
	}
	return "; each group keeps the values of " + strings.Join(kept, ", ")
}

var keepsValues = map[expr.AggregateKind]bool{
	expr.StringAgg: true, expr.JSONBAgg: true, expr.JSONBObjectAgg: true,
	expr.PercentileCont: true, expr.PercentileDisc: true, expr.Mode: true,
}

// stateBound says in words what bounds a view's state.
func stateBound(v *View) string {
	switch {
	case v.Mode == Append:
		return "none: each event is a row of its own"
	case v.Mode == Latest:
		return "none in the engine: the table itself is the state, a row per key"
	case v.Window != nil && window.Overlap(v.Window.Assigner) > 1:
		return fmt.Sprintf("the groups of open windows, of which each event is in up to %d; a window's state goes once it is closed", window.Overlap(v.Window.Assigner))
	case v.Window != nil && v.Window.TTL:
		gap := v.Window.Assigner.(*window.Session).Gap()
		text := fmt.Sprintf("the groups that have had an event of late: one is forgotten once the watermark is %s past its last", window.Duration(2*gap))
		if v.MaxGroups > 0 {
			text += fmt.Sprintf("; at most %d of them (max_groups), then the pipeline stops", v.MaxGroups)
		}
		return text
	case v.Window != nil && isSession(v.Window):
		return fmt.Sprintf("the open sessions; a session's state goes once the watermark is %s past its end", window.Duration(v.Window.Assigner.(*window.Session).Gap()))
	case v.Window != nil && len(v.GroupKeys) == 0:
		return "one group per open window; a window's state goes once it is closed"
	case v.Window != nil:
		return "the groups of open windows; a window's state goes once it is closed"
	case v.MaxGroups == 1:
		return "one group"
	}
	return fmt.Sprintf("at most %d groups (max_groups), then the pipeline stops", v.MaxGroups)
}
