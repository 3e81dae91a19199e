package plan

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// comment reads COMMENT ON. What describes a topic stays in the plan, what
// describes a materialized view goes to its table. It is done when nothing is
// left for PostgreSQL.
func (b *builder) comment(s *sqlfile.Statement, c *pg_query.CommentStmt) (done bool) {
	parts := objectName(c.GetObject())
	if len(parts) == 0 {
		return false
	}
	if c.GetObjtype() == pg_query.ObjectType_OBJECT_COLUMN {
		return b.commentColumn(s, c, parts)
	}
	name := parts[len(parts)-1]
	pos := s.Find(name, 0)
	n := b.names[name]
	isView := n != nil && n.kind == viewName
	isTopic := n != nil && n.kind == topicName
	switch c.GetObjtype() {
	case pg_query.ObjectType_OBJECT_FOREIGN_TABLE:
		if !isTopic {
			b.reportMissing(codeRelation, s, name, topicName)
			return true
		}
		n.topic.topic.Comment = c.GetComment()
		b.hashed = append(b.hashed, normalised(s))
		return true
	case pg_query.ObjectType_OBJECT_MATVIEW:
		if !isView {
			b.reportMissing(codeRelation, s, name, viewName)
			return true
		}
		c.Objtype = pg_query.ObjectType_OBJECT_TABLE
		b.setViewComment(name, c.GetComment())
	case pg_query.ObjectType_OBJECT_TABLE, pg_query.ObjectType_OBJECT_VIEW:
		if isTopic {
			b.report(problem(codeTopicInSQL, pos, fmt.Sprintf("write COMMENT ON FOREIGN TABLE %s", quoteName(name)), "%q is a topic", name))
			return true
		}
		if isView && c.GetObjtype() == pg_query.ObjectType_OBJECT_VIEW {
			b.report(problem(codeViewTouched, pos, fmt.Sprintf("write COMMENT ON MATERIALIZED VIEW %s", quoteName(name)), "%q is a materialized view", name))
			return true
		}
		if isView {
			b.setViewComment(name, c.GetComment())
		}
	case pg_query.ObjectType_OBJECT_FOREIGN_SERVER:
		b.report(problem(codeStatement, s.Position(-1), "write it as an SQL comment: -- …", "COMMENT ON SERVER is refused: a server is no object of PostgreSQL"))
		return true
	}
	return false
}

func (b *builder) setViewComment(name, text string) {
	for _, v := range b.pipeline.Views {
		if v.Name == name {
			v.Comment = text
		}
	}
}

// reportMissing says that there is no relation of a kind.
func (b *builder) reportMissing(code string, s *sqlfile.Statement, name string, kind nameKind) {
	var names []string
	for _, n := range b.order {
		if n.kind == kind {
			names = append(names, n.name)
		}
	}
	what := "topic"
	if kind == viewName {
		what = "materialized view"
	}
	if n := b.names[name]; n != nil {
		b.report(problem(code, s.Find(name, 0), "", "%q is a %s, not a %s", name, n.what, what))
		return
	}
	if b.unparsed(name) {
		return
	}
	b.report(problem(code, s.Find(name, 0), suggest(name, names), "there is no %s %q", what, name))
}

// commentColumn reads COMMENT ON COLUMN relation.column.
func (b *builder) commentColumn(s *sqlfile.Statement, c *pg_query.CommentStmt, parts []string) (done bool) {
	if len(parts) < 2 {
		return false
	}
	column, relation := parts[len(parts)-1], parts[len(parts)-2]
	n := b.names[relation]
	if n == nil || n.kind == otherName || len(parts) > 2 && parts[len(parts)-3] != b.schema {
		return false
	}
	var names []string
	if n.kind == topicName {
		t := n.topic.topic
		for i := range t.Columns {
			if t.Columns[i].Name == column {
				t.Columns[i].Comment = c.GetComment()
				b.hashed = append(b.hashed, normalised(s))
				return true
			}
			names = append(names, t.Columns[i].Name)
		}
		b.report(problem(codeColumn, s.Find(column, 0), suggest(column, names), "no column %q in %q", column, relation))
		return true
	}
	for _, v := range b.pipeline.Views {
		if v.Name != relation {
			continue
		}
		for _, o := range v.Columns {
			names = append(names, o.Name)
		}
		if !slices.Contains(names, column) && !slices.Contains(reservedColumns, column) {
			b.report(problem(codeColumn, s.Find(column, 0), suggest(column, names), "no column %q in %q", column, relation))
			return true
		}
	}
	return false
}
