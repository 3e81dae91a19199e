package postgres

import (
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

// Columns that Millstream adds to a view's table: where a row came from.
const (
	sourceColumn    = "_source"
	partitionColumn = "_partition"
	offsetColumn    = "_offset"
	eventTimeColumn = "_event_time"
)

// table is a view's table and the statements that change it.
type table struct {
	id      engine.ViewID
	view    *plan.View
	schema  string
	columns []plan.OutputColumn // the table's, in order
	key     []int               // indexes into columns
}

// newTable lays out the table of a view as engine.TableChange gives its rows.
func newTable(schema string, id engine.ViewID, view *plan.View) *table {
	origin := []plan.OutputColumn{
		{Name: sourceColumn, Type: column.Of(column.Int4)},
		{Name: partitionColumn, Type: column.Of(column.Int4)},
		{Name: offsetColumn, Type: column.Of(column.Int8)},
	}
	t := &table{id: id, view: view, schema: schema}
	switch view.Mode {
	case plan.Append:
		t.columns = append(origin, view.Columns...)
		t.key = []int{0, 1, 2}
	case plan.Latest:
		t.columns = append(t.columns, view.Columns...)
		t.columns = append(t.columns, plan.OutputColumn{Name: eventTimeColumn, Type: column.Of(column.Timestamptz)})
		t.columns = append(t.columns, origin...)
		t.key = view.Key
	case plan.Grouped:
		t.columns = view.Columns
		t.key = view.Key
	}
	return t
}

// name is the table's qualified, quoted name.
func (t *table) name() string { return quote(t.schema, t.view.Name) }

// temporary is the table that a session copies many rows into before it
// merges them.
func (t *table) temporary() string { return quote("pg_temp", fmt.Sprintf("millstream_rows_%d", t.id)) }

func (t *table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.Name
	}
	return names
}

// list gives columns, quoted, each behind prefix.
func (t *table) list(prefix string, indexes []int) string {
	parts := make([]string, len(indexes))
	for i, j := range indexes {
		parts[i] = prefix + quote(t.columns[j].Name)
	}
	return join(parts)
}

func (t *table) all() []int {
	all := make([]int, len(t.columns))
	for i := range all {
		all[i] = i
	}
	return all
}

// conflict is the unique key as ON CONFLICT and CREATE INDEX name it. A view
// of one group has a key of no columns, which is a constant.
func (t *table) conflict() string {
	if len(t.key) == 0 {
		return "(true)"
	}
	return t.list("", t.key)
}

// mode is what millstream.objects calls the view's mode.
func (t *table) mode() string {
	return map[plan.Mode]string{plan.Append: "append", plan.Latest: "latest", plan.Grouped: "grouped"}[t.view.Mode]
}

// insertArrays upserts rows that come as one array for each column.
func (t *table) insertArrays() string {
	arrays, names, values := make([]string, len(t.columns)), make([]string, len(t.columns)), make([]string, len(t.columns))
	for i, c := range t.columns {
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, unnested(c.Type.Kind))
		names[i] = fmt.Sprintf("c%d", i)
		values[i] = names[i] + unnestedCast(c.Type.Kind)
	}
	return t.insert(fmt.Sprintf("SELECT %s FROM unnest(%s) AS u (%s)", join(values), join(arrays), join(names)))
}

// unnested is the type of the elements in which a column's values come as one
// array: arrays come as texts, since arrays of arrays are of one kind with
// arrays of two dimensions.
func unnested(k column.Kind) string {
	if k.IsArray() {
		return "text"
	}
	return k.Name()
}

// unnestedCast makes a column's value of such an element.
func unnestedCast(k column.Kind) string {
	if k.IsArray() {
		return "::" + k.Name()
	}
	return ""
}

// insertCopied upserts what was copied into the temporary table. A scan gives
// it in the order that it came in, which for groups is the key's.
func (t *table) insertCopied() string {
	query := "SELECT " + t.list("", t.all()) + " FROM " + t.temporary()
	if t.view.Mode == plan.Latest {
		query += " ORDER BY " + t.list("", t.key)
	}
	return t.insert(query)
}

// insert writes rows, but not those that stand there with the same image: a
// row version that says nothing new costs WAL and vacuuming.
func (t *table) insert(query string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s AS t (%s) %s", t.name(), t.list("", t.all()), query)
	if t.view.Mode == plan.Append {
		return b.String()
	}
	sets := make([]string, len(t.columns))
	for i, c := range t.columns {
		sets[i] = fmt.Sprintf("%[1]s = EXCLUDED.%[1]s", quote(c.Name))
	}
	fmt.Fprintf(&b, " ON CONFLICT (%s) DO UPDATE SET %s", t.conflict(), join(sets))
	if t.view.AlwaysChanges() {
		return b.String() // to compare the images would cost a sixth of the upsert
	}
	b.WriteString(" WHERE ")
	if t.view.Mode == plan.Latest {
		n := len(t.columns)
		position := []int{n - 4, n - 3, n - 2, n - 1}
		fmt.Fprintf(&b, "(%s) < (%s)", t.list("t.", position), t.list("EXCLUDED.", position))
		return b.String()
	}
	// The casts keep PostgreSQL from comparing the rows field by field.
	fmt.Fprintf(&b, "ROW(%s)::record OPERATOR(pg_catalog.*<>) ROW(%s)::record", t.list("t.", t.all()), t.list("EXCLUDED.", t.all()))
	return b.String()
}

// deleteArrays deletes keys that come as one array for each key column that
// is not null in them. An index is used for equality and for IS NULL, but not
// for IS NOT DISTINCT FROM: so there is one statement for each pattern of
// nulls (bit j: key column j is null).
func (t *table) deleteArrays(nulls uint64) string {
	var arrays, names, conditions []string
	for j, c := range t.key {
		column := t.columns[c]
		if nulls&(1<<j) != 0 {
			conditions = append(conditions, "t."+quote(column.Name)+" IS NULL")
			continue
		}
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", len(arrays)+1, unnested(column.Type.Kind)))
		name := fmt.Sprintf("k%d", j)
		names = append(names, name)
		conditions = append(conditions, fmt.Sprintf("t.%s = d.%s%s", quote(column.Name), name, unnestedCast(column.Type.Kind)))
	}
	if len(conditions) == 0 {
		conditions = append(conditions, "true")
	}
	using := ""
	if len(arrays) > 0 {
		using = fmt.Sprintf(" USING unnest(%s) AS d (%s)", join(arrays), join(names))
	}
	return fmt.Sprintf("DELETE FROM %s AS t%s WHERE %s", t.name(), using, strings.Join(conditions, " AND "))
}

// expire deletes the first $2 rows whose event time column is before $1, in
// its order: an index gives them, and no scan goes over rows that stay.
func (t *table) expire() string {
	c := t.columns[t.expiryColumn()]
	return fmt.Sprintf("DELETE FROM %[1]s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %[1]s WHERE %[2]s < $1::%[3]s ORDER BY %[2]s LIMIT $2::int8))",
		t.name(), quote(c.Name), c.Type.Kind.Name())
}

// expiryColumn is the index of the event time column in the table's columns,
// -1 if there is none.
func (t *table) expiryColumn() int {
	if t.view.EventTimeColumn < 0 {
		return -1
	}
	if t.view.Mode == plan.Append {
		return t.view.EventTimeColumn + 3
	}
	return t.view.EventTimeColumn
}
