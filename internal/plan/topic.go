package plan

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// Limits of a topic.
const (
	maxPartitions = 10_000 // far above what one pipeline reads, below what hurts a broker
	maxColumns    = 1_500  // PostgreSQL's tables have at most 1600
)

// topicScope is a topic while its file is planned.
type topicScope struct {
	topic *Topic
	// bad are the columns whose type or expression is wrong: who names one
	// hears nothing more about it.
	bad []bool
	// broken: the statement is wrong in a way that makes its columns unknown.
	broken bool
}

func (b *builder) buildTopics() {
	for _, n := range b.order {
		if n.kind == topicName {
			n.topic = b.buildTopic(n, n.statement.Node.GetCreateForeignTableStmt())
			b.pipeline.Topics = append(b.pipeline.Topics, n.topic.topic)
		}
	}
}

// buildTopic reads CREATE FOREIGN TABLE.
func (b *builder) buildTopic(n *name, stmt *pg_query.CreateForeignTableStmt) *topicScope {
	base := stmt.GetBaseStmt()
	r := &topicReader{
		builder: b, statement: n.statement, pos: n.pos,
		topic: &Topic{
			Name: n.name, Server: stmt.GetServername(), Topic: n.name, Format: "json", EventTime: -1,
			IdleAfter: DefaultIdleAfter, Future: DefaultFutureLimit, Position: n.pos,
		},
	}
	r.scope = &topicScope{topic: r.topic}
	b.checkSchema(n.statement, "topic", base.GetRelation())
	r.checkServer()
	r.checkShape(base)
	r.readColumns(base.GetTableElts())
	r.readOptions(stmt.GetOptions())
	r.bindGenerated()
	return r.scope
}

// topicReader reads one CREATE FOREIGN TABLE.
type topicReader struct {
	*builder
	statement *sqlfile.Statement
	pos       diag.Position
	topic     *Topic
	scope     *topicScope
	generated []generatedColumn
}

type generatedColumn struct {
	index int
	expr  *pg_query.Node
	pos   diag.Position
}

func (r *topicReader) checkServer() {
	if r.servers[r.topic.Server] {
		return
	}
	var names []string
	for s := range r.servers {
		names = append(names, s)
	}
	hint := suggest(r.topic.Server, names)
	if diag.Closest(r.topic.Server, names) == "" {
		hint = fmt.Sprintf("use SERVER kafka, or add CREATE SERVER %s FOREIGN DATA WRAPPER kafka OPTIONS (brokers 'host:9092')", r.topic.Server)
	}
	r.report(problem(codeServer, r.statement.Find(r.topic.Server, 0), hint, "there is no server %q", r.topic.Server))
}

func (r *topicReader) checkShape(base *pg_query.CreateStmt) {
	switch {
	case len(base.GetInhRelations()) > 0 || base.GetPartbound() != nil:
		r.scope.broken = true
		r.report(problem(codeTopicShape, r.pos, "list the columns in the statement itself",
			"topic %q can't inherit from another relation or be a partition of one", r.topic.Name))
	case base.GetRelation().GetRelpersistence() == "t":
		r.report(problem(codeTopicShape, r.pos, "", "topic %q can't be temporary", r.topic.Name))
	}
}

func (r *topicReader) readColumns(elements []*pg_query.Node) {
	for _, e := range elements {
		switch {
		case e.GetColumnDef() != nil:
			r.readColumn(e.GetColumnDef())
		case e.GetConstraint() != nil:
			c := e.GetConstraint()
			r.report(r.refuseConstraint(c, fmt.Sprintf("topic %q", r.topic.Name)))
		default:
			r.scope.broken = true
			r.report(problem(codeTopicShape, r.pos, "list the columns in the statement itself",
				"topic %q can't take its columns from another relation", r.topic.Name))
		}
	}
	switch n := len(r.topic.Columns); {
	case n == 0 && !r.scope.broken:
		r.report(problem(codeTopicShape, r.pos, "name the fields of its records: (id bigint, at timestamptz, …)",
			"topic %q has no columns", r.topic.Name))
	case n > maxColumns:
		r.report(problem(codeTopicShape, r.pos, "", "topic %q has %d columns, more than %d", r.topic.Name, n, maxColumns))
	}
}

func (r *topicReader) readColumn(def *pg_query.ColumnDef) {
	c := TopicColumn{Name: def.GetColname()}
	pos := r.statement.Position(def.GetLocation())
	bad := false
	if d := r.checkColumnName(c.Name, pos); d != nil {
		r.report(d)
	}
	t, err := expr.ResolveType(def.GetTypeName())
	if err == nil && t.Kind == column.Interval {
		err = problem(codeTopicShape, pos, "declare it as text", "a topic's column can't be an interval: intervals are for constants")
	}
	if err != nil {
		bad = true
		for _, d := range diag.From(err) {
			placed := *d
			placed.Pos = r.statement.Position(def.GetTypeName().GetLocation())
			r.report(&placed)
		}
	}
	c.Type = t
	r.checkCollation(def, c.Name)
	index := len(r.topic.Columns)
	for _, node := range def.GetConstraints() {
		switch constraint := node.GetConstraint(); constraint.GetContype() {
		case pg_query.ConstrType_CONSTR_NOTNULL:
			c.NotNull = true
		case pg_query.ConstrType_CONSTR_NULL:
		case pg_query.ConstrType_CONSTR_GENERATED:
			r.generated = append(r.generated, generatedColumn{index, constraint.GetRawExpr(), r.statement.Position(constraint.GetLocation())})
		default:
			r.report(r.refuseConstraint(constraint, fmt.Sprintf("column %q of topic %q", c.Name, r.topic.Name)))
		}
	}
	r.readColumnOptions(&c, def, bad)
	r.topic.Columns = append(r.topic.Columns, c)
	r.scope.bad = append(r.scope.bad, bad)
}

func (r *topicReader) checkColumnName(name string, pos diag.Position) *diag.Diagnostic {
	for _, m := range MetaColumns {
		if m.Name == name {
			return problem(codeColumnName, pos, fmt.Sprintf("give it another name and OPTIONS (path '$.%s')", name),
				"topic %q can't have a column %q: that is a metadata column, which every topic has", r.topic.Name, name)
		}
	}
	for _, c := range r.topic.Columns {
		if c.Name == name {
			return problem(codeColumnName, pos, "remove one, or give it another name and OPTIONS (path …)",
				"column %q of topic %q specified more than once", name, r.topic.Name)
		}
	}
	return nil
}

func (r *topicReader) checkCollation(def *pg_query.ColumnDef, name string) {
	c := def.GetCollClause()
	if c == nil {
		return
	}
	names := c.GetCollname()
	if last := names[len(names)-1].GetString_().GetSval(); last != "C" {
		r.report(problem(codeConstraint, r.statement.Position(c.GetLocation()), "leave COLLATE out: all text compares as COLLATE \"C\"",
			"column %q of topic %q can't have the collation %q", name, r.topic.Name, last))
	}
}

// refuseConstraint says why a constraint is none of a topic's.
func (r *topicReader) refuseConstraint(c *pg_query.Constraint, what string) *diag.Diagnostic {
	word, hint := "this constraint", "remove it"
	switch c.GetContype() {
	case pg_query.ConstrType_CONSTR_DEFAULT:
		word, hint = "DEFAULT", "records are read, not written: use coalesce(column, value) in the view, or GENERATED ALWAYS AS (coalesce(…)) STORED in another column"
	case pg_query.ConstrType_CONSTR_CHECK:
		word, hint = "CHECK", "filter in the view's WHERE instead"
	case pg_query.ConstrType_CONSTR_PRIMARY:
		word, hint = "PRIMARY KEY", "a topic may hold a key many times: use CREATE MATERIALIZED VIEW … WITH (key = …) for the last row of each"
	case pg_query.ConstrType_CONSTR_UNIQUE:
		word, hint = "UNIQUE", "a topic may hold a value many times: use CREATE MATERIALIZED VIEW … WITH (key = …) for the last row of each"
	case pg_query.ConstrType_CONSTR_FOREIGN:
		word = "REFERENCES"
	case pg_query.ConstrType_CONSTR_IDENTITY:
		word, hint = "GENERATED … AS IDENTITY", "the metadata columns _partition and _offset tell records apart"
	}
	return problem(codeConstraint, r.statement.Position(c.GetLocation()), hint, "%s can't have %s", what, word)
}
