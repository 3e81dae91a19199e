package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// maxGroupsLimit is the most that max_groups allows: more do not fit memory.
const maxGroupsLimit = 1_000_000_000

// reservedColumns can't be an output's name: Millstream's own, and
// PostgreSQL's system columns.
var reservedColumns = []string{
	"_source", "_partition", "_offset", "_event_time", "_final",
	"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid",
}

// viewReader reads one CREATE MATERIALIZED VIEW.
type viewReader struct {
	*builder
	statement *sqlfile.Statement
	view      *View
	pos       diag.Position
	key       []string      // of the option
	refresh   time.Duration // likewise, 0 for none
	ttl       time.Duration // likewise
	places    map[string]diag.Position
}

// buildView plans a materialized view and puts it at its place in the file.
func (b *builder) buildView(s *sqlfile.Statement, stmt *pg_query.CreateTableAsStmt) {
	rel := stmt.GetInto().GetRel()
	r := &viewReader{builder: b, statement: s, pos: s.Position(rel.GetLocation()), places: map[string]diag.Position{}}
	r.view = &View{Name: rel.GetRelname(), EventTimeColumn: -1, SQL: s.Text, Position: r.pos}
	b.checkSchema(s, "materialized view", rel)
	r.checkShape(stmt)
	r.readOptions(stmt.GetInto().GetOptions())
	sel := stmt.GetQuery().GetSelectStmt()
	if sel == nil {
		b.report(problem(codeNoFrom, r.pos, "write AS SELECT …", "materialized view %q is not made of a SELECT", r.view.Name))
		return
	}
	q := &query{builder: b, statement: s, view: r.view.Name, maxGroups: r.view.MaxGroups, ttl: r.ttl}
	relation, err := q.selectStatement(sel, nil, false)
	if err == nil {
		relation, err = relation.rename(textsOf(stmt.GetInto().GetColNames()), r.pos, r.view.Name)
		if err != nil {
			b.reportError(err)
		}
	}
	if err != nil {
		return
	}
	r.mergeKey(q.key, relation)
	r.finish(resolveUnknown(relation))
	b.pipeline.Views = append(b.pipeline.Views, r.view)
	b.pipeline.Statements = append(b.pipeline.Statements, &Statement{
		Kind: StatementView, View: r.view, Object: "materialized view " + r.view.Name,
		Relation: b.schema + "." + r.view.Name, Hash: hashOf(normalised(s)), Line: r.pos.Line,
	})
}

// resolveUnknown makes the untyped columns of a UNION ALL text.
func resolveUnknown(r *relation) *relation {
	exprs := make([]expr.Expr, len(r.columns))
	columns := slices.Clone(r.columns)
	changed := false
	for i, c := range r.columns {
		exprs[i] = &expr.Column{Index: i, Name: c.name, T: c.typ}
		if c.typ.Kind == column.Unknown {
			if e, err := expr.Coerce(r.operand(i), column.Of(column.Text)); err == nil {
				exprs[i], columns[i].typ, changed = e, column.Of(column.Text), true
			}
		}
	}
	if !changed {
		return r
	}
	return r.project(columns, exprs)
}

func (r *viewReader) checkShape(stmt *pg_query.CreateTableAsStmt) {
	into := stmt.GetInto()
	switch {
	case into.GetSkipData():
		r.report(problem(codeViewShape, r.pos, "leave WITH NO DATA out", "materialized view %q can't be made WITH NO DATA: it follows its topics from the start", r.view.Name))
	case into.GetAccessMethod() != "":
		r.report(problem(codeViewShape, r.pos, "leave USING out", "materialized view %q can't choose an access method", r.view.Name))
	case into.GetTableSpaceName() != "":
		r.report(problem(codeViewShape, r.pos, "leave TABLESPACE out", "materialized view %q can't choose a tablespace", r.view.Name))
	}
}

// finish makes the view of the relation that its query gives.
func (r *viewReader) finish(rel *relation) {
	for _, c := range rel.columns {
		if !c.hidden {
			r.view.Columns = append(r.view.Columns, OutputColumn{Name: c.name, Type: c.typ})
		}
	}
	r.checkColumns()
	if rel.groups != nil {
		r.finishGrouped(rel.groups)
	} else {
		r.finishRows(rel)
	}
	r.checkRetention()
	r.finishCorrectable()
	r.setRefresh()
}

func (r *viewReader) checkColumns() {
	seen := map[string]bool{}
	for _, c := range r.view.Columns {
		switch {
		case seen[c.Name]:
			r.report(problem(codeOutputColumn, r.pos, "give one of them another name with AS",
				"column %q of view %q specified more than once", c.Name, r.view.Name))
		case slices.Contains(reservedColumns, c.Name):
			r.report(problem(codeOutputColumn, r.pos, fmt.Sprintf("give it another name: … AS %s", strings.TrimLeft(c.Name, "_")+"_"),
				"view %q can't have a column %q: the name is taken by the system", r.view.Name, c.Name))
		case c.Type.Kind == column.Interval:
			r.report(problem(codeOutputColumn, r.pos, "select extract(epoch FROM …), the seconds",
				"column %q of view %q is an interval, which a table of results can't hold yet", c.Name, r.view.Name))
		}
		seen[c.Name] = true
	}
	if len(r.view.Columns) > maxColumns {
		r.report(problem(codeOutputColumn, r.pos, "", "view %q has %d columns, more than %d", r.view.Name, len(r.view.Columns), maxColumns))
	}
}

// finishRows makes an Append or a Latest view.
func (r *viewReader) finishRows(rel *relation) {
	v := r.view
	if a := rel.groupWindows(); a != nil {
		r.report(ungroupedWindow(r.pos, "view "+quoteName(v.Name), a))
	}
	for i, in := range rel.inputs {
		b := in.branch(i)
		for j, c := range rel.columns {
			if !c.hidden {
				b.Outputs = append(b.Outputs, in.columns[j])
			}
		}
		v.Branches = append(v.Branches, b)
	}
	if r.key != nil {
		v.Mode = Latest
		v.Key = r.keyColumns()
	}
	for j := range v.Columns {
		all := true
		for i, in := range rel.inputs {
			all = all && in.isEventTime(v.Branches[i].Outputs[j])
		}
		if all {
			v.EventTimeColumn = j
			break
		}
	}
	if v.Final {
		r.report(problem(codeEmitFinal, r.places["emit"], "remove it: each row is final as it comes",
			"emit 'final' needs windows, and view %q has no GROUP BY", v.Name))
	}
	if v.MaxGroups > 0 {
		r.report(problem(codeViewValue, r.places["max_groups"], "remove it", "max_groups needs a GROUP BY, and view %q has none", v.Name))
	}
	if r.ttl > 0 {
		r.report(problem(codeViewValue, r.places["ttl"], "remove it; retention deletes old rows", "ttl needs a GROUP BY, and view %q has none", v.Name))
	}
}

// keyColumns finds the columns that the key option names.
func (r *viewReader) keyColumns() []int {
	var names []string
	for _, c := range r.view.Columns {
		names = append(names, c.Name)
	}
	var out []int
	for _, k := range r.key {
		i := slices.Index(names, k)
		if i < 0 {
			r.report(problem(codeKeyOption, r.places["key"], suggest(k, names), "key names %q, which is no column of view %q", k, r.view.Name))
			continue
		}
		out = append(out, i)
	}
	return out
}

// finishGrouped makes a Grouped view.
func (r *viewReader) finishGrouped(g *groups) {
	v := r.view
	v.Mode, v.Branches, v.Window = Grouped, g.branches, g.window
	v.GroupKeys, v.Aggs, v.Having, v.Outputs = g.keyTypes, g.aggs, g.having, g.columns
	r.selectKeys(g)
	windowed := g.window != nil && !g.window.TTL
	if windowed && r.ttl > 0 {
		r.report(problem(codeViewValue, r.places["ttl"], "remove it: closing windows bound the state",
			"ttl is for a GROUP BY without a window, and view %q has one", v.Name))
	}
	switch {
	case windowed && v.MaxGroups > 0:
		r.report(problem(codeViewValue, r.places["max_groups"], "remove it: closing windows bound the state",
			"max_groups is for a GROUP BY without a window, and view %q has one", v.Name))
	case g.window == nil && v.MaxGroups == 0:
		v.MaxGroups = 1 // constants only
	}
	if v.Final && !windowed {
		r.report(problem(codeEmitFinal, r.places["emit"], "group by a window, or remove emit: rows are then corrected as events come",
			"emit 'final' needs a window, and view %q has none: its rows are never final", v.Name))
	}
	if r.key != nil {
		r.checkGroupKey()
	}
}

// selectKeys finds the output of each group key.
func (r *viewReader) selectKeys(g *groups) {
	v := r.view
	outputOf := func(index int) int {
		return slices.IndexFunc(v.Outputs, func(e expr.Expr) bool {
			c, ok := e.(*expr.Column)
			return ok && c.Index == index
		})
	}
	add := func(i int) {
		if !slices.Contains(v.Key, i) {
			v.Key = append(v.Key, i)
		}
	}
	switch at := outputOf(0); {
	case g.window == nil || g.window.TTL:
	case isSession(g.window):
		r.selectSession(g, at, outputOf(1))
	default:
		if at < 0 {
			at = outputOf(1)
		}
		if at >= 0 {
			v.EventTimeColumn = at
			add(at)
		}
	}
	var missing []groupKey
	for _, k := range g.keys {
		switch at := outputOf(k.index); {
		case k.window:
			if v.EventTimeColumn < 0 {
				missing = append(missing, k)
			}
		case at >= 0:
			add(at)
		case !k.constant:
			missing = append(missing, k)
		}
	}
	for _, k := range missing {
		r.report(problem(codeKeySelected, k.pos, fmt.Sprintf("add %s to the SELECT", k.name),
			"GROUP BY column %q of view %q is not selected: the group's key is the table's key", k.name, v.Name))
	}
	if len(missing) == 0 && len(v.Key) == 0 {
		r.report(problem(codeKeySelected, r.pos, "select the constant that it is grouped by",
			"view %q selects no column of its GROUP BY: its table would have no key", v.Name))
	}
}

func isSession(w *Window) bool {
	_, ok := w.Assigner.(*window.Session)
	return ok
}

// selectSession makes a session's start, if it is selected, and its end, which
// has to be, the first of the key: the end does not follow from the start, and
// tells whether a row is final.
func (r *viewReader) selectSession(g *groups, start, end int) {
	if start >= 0 {
		r.view.Key = append(r.view.Key, start)
	}
	if r.view.EventTimeColumn = end; end >= 0 {
		r.view.Key = append(r.view.Key, end)
		return
	}
	at := slices.IndexFunc(g.keys, func(k groupKey) bool { return k.window })
	r.report(problem(codeKeySelected, g.keys[at].pos, "add window_end to GROUP BY and to the SELECT",
		"view %q does not select window_end: a session's end does not follow from its start, and tells when a row is final", r.view.Name))
	r.view.EventTimeColumn = max(start, 0) // reported
}

// mergeKey takes the key of DISTINCT ON, which the option may only repeat.
func (r *viewReader) mergeKey(outputs []int, rel *relation) {
	var key []string
	for _, i := range outputs {
		key = append(key, rel.columns[i].name)
	}
	switch {
	case key == nil:
	case r.key == nil:
		r.key = key
	case !slices.Equal(slices.Sorted(slices.Values(key)), slices.Sorted(slices.Values(r.key))):
		r.report(problem(codeKeyOption, r.places["key"], "leave key out", "view %q has the key of its DISTINCT ON (%s) and can't have another", r.view.Name, strings.Join(key, ", ")))
	}
}

// checkGroupKey compares the key option with the group's key.
func (r *viewReader) checkGroupKey() {
	var names []string
	for _, i := range r.view.Key {
		names = append(names, r.view.Columns[i].Name)
	}
	same := len(names) == len(r.key)
	for _, k := range r.key {
		same = same && slices.Contains(names, k)
	}
	if !same {
		r.report(problem(codeKeyOption, r.places["key"], "leave key out",
			"the key of view %q is its GROUP BY key (%s) and can't be another", r.view.Name, strings.Join(names, ", ")))
	}
}

func (r *viewReader) checkRetention() {
	if r.view.Retention == 0 || r.view.EventTimeColumn >= 0 {
		return
	}
	what := "the topic's event time column"
	if r.view.Mode == Grouped {
		what = "the window's start or end"
		if r.view.Window == nil || r.view.Window.TTL {
			r.report(problem(codeRetention, r.places["retention"], "group by a window, or remove retention",
				"retention needs rows that have a time, and the groups of view %q have none", r.view.Name))
			return
		}
	}
	r.report(problem(codeRetention, r.places["retention"], "select "+what+" too",
		"retention needs a column that tells the row's event time, and view %q selects none", r.view.Name))
}
