package plan

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// class is what is done with a kind of statement that PostgreSQL runs.
type class struct {
	kind StatementKind
	// object names what the statement makes or changes. Without it statements
	// of this kind are told apart by their text, and label says what they do.
	object, label string
	// relation is what the statement makes, nil if no relation.
	relation *pg_query.RangeVar
	// reads: the statement may name materialized views.
	reads bool
}

// refusal is why a kind of statement has no place in a pipeline file.
type refusal struct{ what, reason, hint string }

// buildPassThrough classifies a statement that PostgreSQL runs and puts it at
// its place.
func (b *builder) buildPassThrough(s *sqlfile.Statement) {
	node := proto.Clone(s.Node).(*pg_query.Node)
	if c := node.GetCommentStmt(); c != nil {
		if done := b.comment(s, c); done {
			return
		}
	}
	if !b.checkTouched(s, node) {
		return
	}
	c, no := classify(node)
	if no != nil {
		pos := s.Position(-1)
		b.report(problem(codeStatement, pos, no.hint, "%s can't stand in a pipeline file: %s", no.what, no.reason))
		return
	}
	if !b.checkRelations(s, node, c) {
		return
	}
	b.addStatement(s, node, c)
}

func (b *builder) addStatement(s *sqlfile.Statement, node *pg_query.Node, c class) {
	sql := s.Text
	if rewrite(node) || !proto.Equal(node, s.Node) {
		sql = deparsed(node, s.Text)
	}
	hash := hashOf(deparsed(node, s.Text))
	object := c.object
	if object == "" {
		object = fmt.Sprintf("%s %.12s", c.label, hash)
	}
	object = b.distinctObject(object)
	st := &Statement{Kind: c.kind, SQL: sql, Object: object, Hash: hash, Line: s.Position(-1).Line}
	if c.relation != nil {
		st.Relation = qualified(c.relation, b.schema)
	}
	b.pipeline.Statements = append(b.pipeline.Statements, st)
}

// distinctObject numbers the statements of one identity.
func (b *builder) distinctObject(object string) string {
	name := object
	for n := 2; ; n++ {
		taken := false
		for _, s := range b.pipeline.Statements {
			taken = taken || s.Object == name
		}
		if !taken {
			return name
		}
		name = fmt.Sprintf("%s (%d)", object, n)
	}
}

func qualified(v *pg_query.RangeVar, schema string) string {
	if v.GetSchemaname() != "" {
		schema = v.GetSchemaname()
	}
	return schema + "." + v.GetRelname()
}

// rewrite makes a statement one that can be run again over its older self.
func rewrite(node *pg_query.Node) bool {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_ViewStmt:
		changed := !n.ViewStmt.GetReplace()
		n.ViewStmt.Replace = true
		return changed
	case *pg_query.Node_CreateFunctionStmt:
		changed := !n.CreateFunctionStmt.GetReplace()
		n.CreateFunctionStmt.Replace = true
		return changed
	case *pg_query.Node_CreateTrigStmt:
		changed := !n.CreateTrigStmt.GetReplace()
		n.CreateTrigStmt.Replace = true
		return changed
	}
	return false
}

// checkTouched refuses statements that would change a topic or a
// materialized view, whatever else they are.
func (b *builder) checkTouched(s *sqlfile.Statement, node *pg_query.Node) bool {
	var touched *pg_query.RangeVar
	verb := ""
	switch n := node.GetNode().(type) {
	case *pg_query.Node_InsertStmt:
		touched, verb = n.InsertStmt.GetRelation(), "INSERT INTO"
	case *pg_query.Node_UpdateStmt:
		touched, verb = n.UpdateStmt.GetRelation(), "UPDATE"
	case *pg_query.Node_DeleteStmt:
		touched, verb = n.DeleteStmt.GetRelation(), "DELETE FROM"
	case *pg_query.Node_MergeStmt:
		touched, verb = n.MergeStmt.GetRelation(), "MERGE INTO"
	case *pg_query.Node_AlterTableStmt:
		touched, verb = n.AlterTableStmt.GetRelation(), "ALTER TABLE"
	case *pg_query.Node_RenameStmt:
		touched, verb = n.RenameStmt.GetRelation(), "RENAME"
	case *pg_query.Node_AlterObjectSchemaStmt:
		touched, verb = n.AlterObjectSchemaStmt.GetRelation(), "SET SCHEMA"
	case *pg_query.Node_RefreshMatViewStmt:
		touched, verb = n.RefreshMatViewStmt.GetRelation(), "REFRESH"
	case *pg_query.Node_CreateTrigStmt:
		touched, verb = n.CreateTrigStmt.GetRelation(), "CREATE TRIGGER on"
	case *pg_query.Node_RuleStmt:
		touched, verb = n.RuleStmt.GetRelation(), "CREATE RULE on"
	case *pg_query.Node_CreatePolicyStmt:
		touched, verb = n.CreatePolicyStmt.GetTable(), "CREATE POLICY on"
	case *pg_query.Node_IndexStmt:
		if n.IndexStmt.GetUnique() {
			touched, verb = n.IndexStmt.GetRelation(), "CREATE UNIQUE INDEX on"
		}
	case *pg_query.Node_TruncateStmt:
		for _, r := range n.TruncateStmt.GetRelations() {
			if b.find(r.GetRangeVar()) != nil {
				touched, verb = r.GetRangeVar(), "TRUNCATE"
			}
		}
	case *pg_query.Node_DropStmt:
		return b.checkDrop(s, n.DropStmt)
	}
	n := b.find(touched)
	if n == nil || n.kind == otherName {
		return true
	}
	pos := s.Position(touched.GetLocation())
	if n.kind == topicName {
		if verb == "INSERT INTO" {
			b.report(problem(codeInsertTopic, pos, "make a materialized view of the SELECT", "INSERT INTO the topic %q is not supported yet", n.name))
			return false
		}
		b.report(problem(codeTopicInSQL, pos, "change its CREATE FOREIGN TABLE", "%s the topic %q is refused: it is no relation of PostgreSQL", verb, n.name))
		return false
	}
	hint := "change its CREATE MATERIALIZED VIEW"
	switch verb {
	case "REFRESH":
		hint = "remove it: the view is kept up to date by itself"
	case "CREATE TRIGGER on", "CREATE RULE on":
		hint = "follow the view's live stream, or read it"
	case "CREATE UNIQUE INDEX on":
		hint = "an index that is not unique is fine; the view's key is unique by itself"
	case "CREATE POLICY on":
		hint = "put an ordinary view with security_barrier over it"
	}
	b.report(problem(codeViewTouched, pos, hint, "%s the materialized view %q is refused: its table belongs to Millstream", verb, n.name))
	return false
}

func (b *builder) checkDrop(s *sqlfile.Statement, n *pg_query.DropStmt) bool {
	what := dropWords(n.GetRemoveType())
	names := ""
	for i, o := range n.GetObjects() {
		if i > 0 {
			names += ", "
		}
		names += joinName(objectName(o))
	}
	b.report(problem(codeStatement, s.Position(-1),
		"remove the statement that makes it; what an earlier version of the file made and this one doesn't, drop by hand",
		"DROP %s %s can't stand in a pipeline file: the file says what is to be there", what, names))
	return false
}

func dropWords(t pg_query.ObjectType) string {
	if t == pg_query.ObjectType_OBJECT_MATVIEW {
		return "MATERIALIZED VIEW"
	}
	return strings.ReplaceAll(strings.TrimPrefix(t.String(), "OBJECT_"), "_", " ")
}

// objectName gives the parts of an object's name in COMMENT and DROP.
func objectName(n *pg_query.Node) []string {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_List:
		return textsOf(v.List.GetItems())
	case *pg_query.Node_String_:
		return []string{v.String_.GetSval()}
	case *pg_query.Node_TypeName:
		return textsOf(v.TypeName.GetNames())
	case *pg_query.Node_ObjectWithArgs:
		return textsOf(v.ObjectWithArgs.GetObjname())
	case *pg_query.Node_RangeVar:
		return []string{v.RangeVar.GetRelname()}
	}
	return nil
}

// find gives the relation of the file that a RangeVar names.
func (b *builder) find(v *pg_query.RangeVar) *name {
	if v == nil || v.GetSchemaname() != "" && v.GetSchemaname() != b.schema {
		return nil
	}
	return b.names[v.GetRelname()]
}

// checkRelations looks at all relations that a statement names.
func (b *builder) checkRelations(s *sqlfile.Statement, node *pg_query.Node, c class) bool {
	ctes := map[string]bool{}
	walk(node, func(m proto.Message) bool {
		if cte, ok := m.(*pg_query.CommonTableExpr); ok {
			ctes[cte.GetCtename()] = true
		}
		return true
	})
	var problems diag.List
	walk(node, func(m proto.Message) bool {
		v, ok := m.(*pg_query.RangeVar)
		if !ok || v == c.relation || v.GetSchemaname() == "" && ctes[v.GetRelname()] {
			return true
		}
		if d := b.checkRelation(s, v, c); d != nil {
			problems = append(problems, d)
		}
		return true
	})
	b.report(problems...)
	return problems.Err() == nil
}

func (b *builder) checkRelation(s *sqlfile.Statement, v *pg_query.RangeVar, c class) *diag.Diagnostic {
	pos := s.Position(v.GetLocation())
	n := b.find(v)
	switch {
	case n == nil:
		return b.warnNearName(v, pos)
	case n.kind == topicName:
		return problem(codeTopicInSQL, pos, fmt.Sprintf("make a materialized view over %q and use that", n.name),
			"%q is a topic, which PostgreSQL can't read", n.name)
	case n.kind == viewName && !c.reads:
		return problem(codeViewTouched, pos, "ordinary views, functions, indexes, comments and grants can name it",
			"a statement of this kind can't use the materialized view %q: its table belongs to Millstream", n.name)
	case n.statement != s && b.after(n.statement, s) && (n.kind == viewName || c.kind == Once):
		return problem(codeRelation, pos, "move this statement below it", "%s %q is made further down, at line %d", n.what, n.name, n.pos.Line)
	}
	return nil
}

// warnNearName warns of a name that is no relation of the file but nearly
// one: it may be PostgreSQL's own, so it is no error.
func (b *builder) warnNearName(v *pg_query.RangeVar, pos diag.Position) *diag.Diagnostic {
	if v.GetSchemaname() != "" {
		return nil
	}
	var names []string
	for _, n := range b.order {
		if n.kind != topicName {
			names = append(names, n.name)
		}
	}
	near := diag.Closest(v.GetRelname(), names)
	if near == "" || b.unparsed(v.GetRelname()) {
		return nil
	}
	return &diag.Diagnostic{Code: codeRelation, Pos: pos, Warning: true, Hint: fmt.Sprintf("did you mean %q?", near),
		Message: fmt.Sprintf("the file makes no relation %q: PostgreSQL must have it already", v.GetRelname())}
}

// after tells whether statement a stands after b in the file.
func (b *builder) after(x, y *sqlfile.Statement) bool {
	for _, s := range b.file.Statements {
		switch s {
		case x:
			return false
		case y:
			return true
		}
	}
	return false
}
