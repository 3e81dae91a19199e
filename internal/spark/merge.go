package spark

import (
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
)

// The driver tells the statements which rows they are for by settings of the
// transaction: the statements have no parameters, since an expression may
// hold the question mark that JDBC takes for one.
const (
	settingPipeline   = "current_setting('millstream.pipeline')"
	settingQuery      = "current_setting('millstream.query')"
	settingRun        = "current_setting('millstream.run')"
	settingBuild      = "current_setting('millstream.build')::integer"
	settingBatch      = "current_setting('millstream.batch')::bigint"
	settingGeneration = "current_setting('millstream.generation')::bigint"
	// settingRow is the id of the one staged row that is meant, empty for all.
	settingRow = "nullif(current_setting('millstream.row'), '')::bigint"
)

// staged is the rows that one attempt at a batch has staged. A task that ran
// twice has staged some of them twice.
const staged = "FROM millstream.spark_staging WHERE pipeline = " + settingPipeline + " AND query = " + settingQuery +
	" AND run = " + settingRun + " AND id = coalesce(" + settingRow + ", id)"

func ledgerSQL() string {
	return postgres.InsertRefusedSQL("SELECT cells[1] AS refused "+staged, settingPipeline, settingBuild, settingBatch, settingGeneration)
}

// cell is a staged text; PostgreSQL's arrays begin with 1.
func cell(i int) string { return fmt.Sprintf("cells[%d]", i+1) }

// value reads a staged text as a type.
func value(text string, t column.Type) string { return text + "::" + t.String() }

// timeValue reads microseconds since 2000.
func timeValue(text string, t column.Type) string {
	out := "millstream.spark_time(" + text + "::bigint)"
	if t.Kind == column.Timestamp {
		out = "(" + out + " AT TIME ZONE 'UTC')"
	}
	return out
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func mergeSQL(q *Query, schema string, v *plan.View) {
	q.Table = postgres.TableName(schema, v)
	if v.Mode == plan.Grouped {
		mergeGroups(q, schema, v)
		return
	}
	columns, key := postgres.TableColumns(v)
	values, keys := make([]string, len(columns)), make([]string, len(key))
	for i, c := range columns {
		values[i] = value(cell(i), c.Type)
		if v.Mode == plan.Latest && i == len(v.Columns) {
			values[i] = timeValue(cell(i), c.Type)
		}
	}
	for i, k := range key {
		keys[i] = values[k]
	}
	query := "SELECT DISTINCT ON (" + strings.Join(keys, ", ") + ") " + strings.Join(values, ", ") + " " + staged
	if v.Mode == plan.Latest {
		query += " ORDER BY " + strings.Join(keys, ", ")
		for _, position := range values[len(v.Columns):] {
			query += ", " + position + " DESC"
		}
	}
	q.Merge = []string{postgres.UpsertSQL(schema, v, query)}
}

// mergeGroups prints the groups' outputs and HAVING for PostgreSQL, over the
// staged aggregates.
func mergeGroups(q *Query, schema string, v *plan.View) {
	group, columns := groupBatch(v)
	named := func(e expr.Expr) string {
		return expr.SQL(expr.Transform(e, func(e expr.Expr) (expr.Expr, bool) {
			c, ok := e.(*expr.Column)
			if !ok {
				return nil, false
			}
			return &expr.Column{Index: c.Index, Name: fmt.Sprintf("c%d", c.Index), T: c.T}, true
		}))
	}
	outputs := make([]string, len(v.Outputs))
	all := make([]string, len(v.Outputs))
	for i, e := range v.Outputs {
		all[i] = fmt.Sprintf("o%d", i)
		outputs[i] = fmt.Sprintf("(%s)::%s AS %s", named(e), v.Columns[i].Type, all[i])
	}
	groups := "g AS MATERIALIZED (SELECT "
	if len(group) > 0 {
		groups += "DISTINCT ON (" + strings.Join(group, ", ") + ") "
	}
	groups += strings.Join(columns, ", ") + " " + staged
	if len(group) == 0 {
		groups += " LIMIT 1"
	}
	groups += ")"
	kept := "true"
	if v.Having != nil {
		kept = "(" + named(v.Having) + ") IS TRUE"
	}
	rows := groups + ", o AS MATERIALIZED (SELECT " + strings.Join(outputs, ", ") + ", " + kept + " AS kept FROM g)"
	q.Merge = []string{postgres.UpsertSQL(schema, v, "WITH "+rows+" SELECT "+strings.Join(all, ", ")+" FROM o WHERE kept")}
	if v.Having != nil {
		q.Merge = append(q.Merge, "WITH "+rows+" DELETE FROM "+q.Table+" AS t USING o WHERE NOT o.kept AND "+sameKey(v, func(i int) string { return all[i] }))
	}
	if canFail(v) {
		q.Failed, q.Healed = groupErrors(q, v, groups, named)
	}
}

// groupBatch gives the columns that outputs are evaluated over, as PostgreSQL
// reads them from the staged cells, and those that tell groups apart.
func groupBatch(v *plan.View) (group, columns []string) {
	next := 0
	add := func(sql string) { columns = append(columns, fmt.Sprintf("%s AS c%d", sql, len(columns))) }
	if v.Window != nil {
		add(timeValue(cell(0), v.Window.Type))
		add(timeValue(cell(1), v.Window.Type))
		group = append(group, cell(0), cell(1))
		next = 2
	}
	for _, t := range v.GroupKeys {
		add(value(cell(next), t))
		group = append(group, cell(next))
		next++
	}
	for _, a := range v.Aggs {
		add(aggregateValue(a, cell(next), cell(next+1)))
		next += len(parts(a))
	}
	return group, columns
}

// aggregateValue reads an aggregate from the staged parts.
func aggregateValue(a plan.Agg, first, second string) string {
	switch {
	case a.Kind == expr.Avg && a.Arg.Kind.IsFloat():
		return fmt.Sprintf("(%s::double precision / nullif(%s::double precision, 0))", first, second)
	case a.Kind == expr.Avg:
		return fmt.Sprintf("(%s::numeric / nullif(%s::numeric, 0))", first, second)
	case a.Kind == expr.Sum && a.Result.Kind == column.Float4:
		return first + "::double precision::real"
	case (a.Kind == expr.Min || a.Kind == expr.Max) && a.Arg.Kind == column.Date:
		return fmt.Sprintf("CASE %[1]s WHEN '2147483647' THEN 'infinity'::date WHEN '-2147483648' THEN '-infinity'::date ELSE date '2000-01-01' + %[1]s::integer END", first)
	case (a.Kind == expr.Min || a.Kind == expr.Max) && a.Arg.Kind.IsTime():
		return timeValue(first, a.Arg)
	}
	return value(first, a.Result)
}

// sameKey compares the table's key, t, with the columns that name gives.
func sameKey(v *plan.View, name func(i int) string) string {
	terms := []string{"true"}
	for _, i := range v.Key {
		comparison := "IS NOT DISTINCT FROM"
		if c, ok := v.Outputs[i].(*expr.Column); ok && v.Window != nil && c.Index < 2 {
			comparison = "=" // a window is never NULL: the index is used
		}
		terms = append(terms, fmt.Sprintf("t.%s %s %s", quote(v.Columns[i].Name), comparison, name(i)))
	}
	return strings.Join(terms, " AND ")
}

// canFail tells whether a group's row may fail to evaluate.
func canFail(v *plan.View) bool {
	for _, e := range append([]expr.Expr{v.Having}, v.Outputs...) {
		if e == nil {
			continue
		}
		if _, ok := e.(*expr.Column); !ok {
			return true
		}
	}
	return false
}

// groupErrors prints what enters a group that does not evaluate into the
// ledger of groups, its row taken away, and what takes out those that do.
func groupErrors(q *Query, v *plan.View, groups string, named func(expr.Expr) string) (failed, healed string) {
	var pairs []string
	first := 0
	if v.Window != nil {
		pairs, first = append(pairs, "'window_start', c0"), 2
	}
	for j := range v.GroupKeys {
		name := "key"
		for i, e := range v.Outputs {
			if c, ok := e.(*expr.Column); ok && c.Index == first+j {
				name = v.Columns[i].Name
			}
		}
		pairs = append(pairs, fmt.Sprintf("'%s', c%d", strings.ReplaceAll(name, "'", "''"), first+j))
	}
	key := "json_build_object(" + strings.Join(pairs, ", ") + ")::text"
	view := "'" + strings.ReplaceAll(v.Name, "'", "''") + "'"
	failed = fmt.Sprintf(`WITH %s, gone AS (DELETE FROM %s AS t USING g WHERE %s)
INSERT INTO millstream.group_errors AS e (pipeline, build, view_name, key_sha256, group_key, sqlstate, message, seq, generation)
SELECT %s, %s, %s, sha256(convert_to(%s, 'UTF8')), %s, current_setting('millstream.sqlstate'), current_setting('millstream.message'), %s, %s FROM g
ON CONFLICT (pipeline, build, view_name, key_sha256) DO UPDATE
SET sqlstate = EXCLUDED.sqlstate, message = EXCLUDED.message, seq = EXCLUDED.seq, generation = EXCLUDED.generation, failed_at = now()`,
		groups, q.Table, sameKey(v, func(i int) string { return named(v.Outputs[i]) }),
		settingPipeline, settingBuild, view, key, key, settingBatch, settingGeneration)
	healed = fmt.Sprintf(`WITH %s DELETE FROM millstream.group_errors AS e USING g
WHERE e.pipeline = %s AND e.build = %s AND e.view_name = %s AND e.key_sha256 = sha256(convert_to(%s, 'UTF8'))`,
		groups, settingPipeline, settingBuild, view, key)
	return failed, healed
}
