package plan

import (
	"fmt"
	"slices"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// Lookup is an ordinary PostgreSQL table that views join their streams with.
// The file declares it with CREATE TABLE, so that it can be planned without a
// database; whether the real table is as declared is checked when it is read.
type Lookup struct {
	Schema, Table string
	Columns       []LookupColumn // as declared
	// Needed[i] tells that some view reads column i or joins by it.
	Needed []bool
	// Indexes are the sets of columns that views join by, each in rising
	// order and covering a unique key of the table: a row at most matches.
	Indexes [][]int
	// Refresh is how often changes of the table are looked for; 0 leaves it to
	// the engine.
	Refresh  time.Duration
	Position diag.Position // of its name in the file
}

// LookupColumn is one column of a table that is looked up.
type LookupColumn struct {
	Name string
	Type column.Type
	// Unreadable names a type that views don't know; Type is then void.
	Unreadable string
}

// QualifiedName is schema.table, as it stands in commits.
func (l *Lookup) QualifiedName() string { return l.Schema + "." + l.Table }

// Read gives the columns that are read, by index, in rising order.
func (l *Lookup) Read() []int {
	var out []int
	for i, needed := range l.Needed {
		if needed {
			out = append(out, i)
		}
	}
	return out
}

// Join is a branch's meeting with a table that is looked up. The batch that
// expressions are evaluated over has the table's columns from First on.
type Join struct {
	Lookup *Lookup
	Left   bool // LEFT JOIN: a record without a match stays, with NULLs
	Index  int  // into Lookup.Indexes
	First  int
	// Keys are compared with the index's columns, one each: over the record
	// and the tables joined before.
	Keys []expr.Expr
	// On is what a matching row must satisfy too, for LEFT JOIN; nil for
	// nothing.
	On expr.Expr
	// Filter are the conditions that can be told once this table is joined;
	// nil for none. Those that need no table stand in Branch.Filter.
	Filter expr.Expr
}

// lookupTable is a table of the file, as far as joins must know it.
type lookupTable struct {
	lookup *Lookup
	keys   [][]int // its unique keys, columns in rising order
}

// lookupOf gives what the file says of a table, nil if it does not list the
// columns.
func (b *builder) lookupOf(n *name) *lookupTable {
	create := n.statement.Node.GetCreateStmt()
	if create == nil || len(create.GetInhRelations()) > 0 || create.GetPartbound() != nil || create.GetOfTypename() != nil {
		return nil
	}
	if t := b.lookups[n]; t != nil {
		return t
	}
	schema := create.GetRelation().GetSchemaname()
	if schema == "" {
		schema = b.schema
	}
	t := &lookupTable{lookup: &Lookup{Schema: schema, Table: n.name, Position: n.pos}}
	for _, e := range create.GetTableElts() {
		switch {
		case e.GetColumnDef() != nil:
			t.addColumn(e.GetColumnDef())
		case e.GetConstraint() != nil:
			t.addConstraint(e.GetConstraint(), "")
		default:
			return nil // LIKE
		}
	}
	b.alterations(t)
	t.lookup.Needed = make([]bool, len(t.lookup.Columns))
	b.lookups[n] = t
	return t
}

// alterations reads what later statements add to a table.
func (b *builder) alterations(t *lookupTable) {
	same := func(v *pg_query.RangeVar) bool {
		return v.GetRelname() == t.lookup.Table && (v.GetSchemaname() == t.lookup.Schema || v.GetSchemaname() == "" && t.lookup.Schema == b.schema)
	}
	for _, s := range b.file.Statements {
		if i := s.Node.GetIndexStmt(); i != nil && i.GetUnique() && same(i.GetRelation()) && i.GetWhereClause() == nil {
			var names []string
			for _, p := range i.GetIndexParams() {
				names = append(names, p.GetIndexElem().GetName()) // "" for an expression
			}
			t.addKey(names)
		}
		if a := s.Node.GetAlterTableStmt(); a != nil && same(a.GetRelation()) {
			for _, node := range a.GetCmds() {
				switch c := node.GetAlterTableCmd(); c.GetSubtype() {
				case pg_query.AlterTableType_AT_AddColumn:
					t.addColumn(c.GetDef().GetColumnDef())
				case pg_query.AlterTableType_AT_AddConstraint:
					t.addConstraint(c.GetDef().GetConstraint(), "")
				}
			}
		}
	}
}

// serials are the types that are spelled for their default.
var serials = map[string]column.Kind{
	"smallserial": column.Int2, "serial2": column.Int2, "serial": column.Int4, "serial4": column.Int4,
	"bigserial": column.Int8, "serial8": column.Int8,
}

func (t *lookupTable) addColumn(def *pg_query.ColumnDef) {
	c := LookupColumn{Name: def.GetColname()}
	typeName := lastName(def.GetTypeName().GetNames())
	if kind, ok := serials[typeName]; ok {
		c.Type = column.Of(kind)
	} else if resolved, err := expr.ResolveType(def.GetTypeName()); err == nil && resolved.Kind != column.Interval {
		c.Type = resolved
	} else {
		c.Unreadable = typeName
		if len(def.GetTypeName().GetArrayBounds()) > 0 {
			c.Unreadable += "[]"
		}
	}
	t.lookup.Columns = append(t.lookup.Columns, c)
	for _, node := range def.GetConstraints() {
		t.addConstraint(node.GetConstraint(), c.Name)
	}
}

// addConstraint notes a unique key; column is the one that the constraint
// stands beside.
func (t *lookupTable) addConstraint(c *pg_query.Constraint, column string) {
	if c.GetContype() != pg_query.ConstrType_CONSTR_PRIMARY && c.GetContype() != pg_query.ConstrType_CONSTR_UNIQUE {
		return
	}
	names := textsOf(c.GetKeys())
	if len(names) == 0 && column != "" {
		names = []string{column}
	}
	t.addKey(names)
}

func (t *lookupTable) addKey(names []string) {
	var key []int
	for _, name := range names {
		i := slices.IndexFunc(t.lookup.Columns, func(c LookupColumn) bool { return c.Name == name })
		if i < 0 {
			return
		}
		key = append(key, i)
	}
	if len(key) > 0 {
		slices.Sort(key)
		t.keys = append(t.keys, key)
	}
}

// unique tells whether at most one row has given values in these columns.
func (t *lookupTable) unique(columns []int) bool {
	return slices.ContainsFunc(t.keys, func(key []int) bool {
		return !slices.ContainsFunc(key, func(c int) bool { return !slices.Contains(columns, c) })
	})
}

// index gives the number of the index over columns, which are in rising
// order.
func (l *Lookup) index(columns []int) int {
	for i, have := range l.Indexes {
		if slices.Equal(have, columns) {
			return i
		}
	}
	l.Indexes = append(l.Indexes, columns)
	return len(l.Indexes) - 1
}

// relation gives the table's columns; what they are computed from is known
// once the table is joined.
func (t *lookupTable) relation() *relation {
	r := &relation{}
	for _, c := range t.lookup.Columns {
		r.columns = append(r.columns, relationColumn{name: c.Name, typ: c.Type, unreadable: c.Unreadable})
	}
	return r
}

// columnNames writes columns as SQL lists them.
func (l *Lookup) columnNames(columns []int) string {
	out := ""
	for i, c := range columns {
		if i > 0 {
			out += ", "
		}
		out += quoteName(l.Columns[c].Name)
	}
	return out
}

// unreadable says that a column has a type that views don't know.
func unreadable(c relationColumn, pos diag.Position) *diag.Diagnostic {
	return problem(codeLookup, pos, "leave the column out, or keep its value in a column of a type that views know",
		"column %q has the type %s, which a view can't read", c.name, c.unreadable)
}

// noSuchTable says that FROM names a table of which the file knows nothing.
func (q *query) noSuchTable(name string, pos diag.Position) error {
	return problem(codeLookup, pos,
		fmt.Sprintf("declare it in the file: CREATE TABLE IF NOT EXISTS %s (…) with the columns that are used and its primary key, which leaves a table that is there as it is", quoteName(name)),
		"the file says nothing of a table %q", name)
}

// needed gives flags for the columns of the branch's batch, the topic's own
// as they stand.
func (b *Branch) needed() []bool {
	out := slices.Clone(b.Topic.Needed)
	for _, j := range b.Joins {
		out = append(out, make([]bool, len(j.Lookup.Columns))...)
	}
	return out
}

// spread notes what is needed of the batch with the topic and the tables that
// it comes from.
func (b *Branch) spread(needed []bool) {
	copy(b.Topic.Needed, needed)
	for _, j := range b.Joins {
		for i := range j.Lookup.Columns {
			j.Lookup.Needed[i] = j.Lookup.Needed[i] || needed[j.First+i]
		}
		for _, c := range j.Lookup.Indexes[j.Index] {
			j.Lookup.Needed[c] = true
		}
	}
}

// relationVar is the name that a statement's relation is made under.
func relationVar(s *sqlfile.Statement) *pg_query.RangeVar {
	switch n := s.Node.GetNode().(type) {
	case *pg_query.Node_CreateStmt:
		return n.CreateStmt.GetRelation()
	case *pg_query.Node_CreateTableAsStmt:
		return n.CreateTableAsStmt.GetInto().GetRel()
	case *pg_query.Node_ViewStmt:
		return n.ViewStmt.GetView()
	case *pg_query.Node_CreateSeqStmt:
		return n.CreateSeqStmt.GetSequence()
	}
	return nil
}
