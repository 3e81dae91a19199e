package plan

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// classify says what PostgreSQL does with a statement, or why it has no place
// in a pipeline file.
func classify(node *pg_query.Node) (class, *refusal) {
	if c, ok := classifyReplaceable(node); ok {
		return c, nil
	}
	if c, ok := classifyOnce(node); ok {
		if r := refuseForm(node); r != nil {
			return class{}, r
		}
		return c, nil
	}
	return class{}, refuse(node)
}

// classifyReplaceable knows the statements of which a changed one is run
// again.
func classifyReplaceable(node *pg_query.Node) (class, bool) {
	c := class{kind: Replaceable, reads: true}
	switch n := node.GetNode().(type) {
	case *pg_query.Node_ViewStmt:
		if n.ViewStmt.GetView().GetRelpersistence() == "t" {
			return c, false
		}
		c.relation = n.ViewStmt.GetView()
		c.object = "view " + rangeName(c.relation)
	case *pg_query.Node_CreateFunctionStmt:
		word := "function"
		if n.CreateFunctionStmt.GetIsProcedure() {
			word = "procedure"
		}
		c.object = fmt.Sprintf("%s %s(%s)", word, joinName(textsOf(n.CreateFunctionStmt.GetFuncname())), parameterTypes(n.CreateFunctionStmt))
	case *pg_query.Node_CommentStmt:
		c.object = fmt.Sprintf("comment on %s %s", strings.ToLower(dropWords(n.CommentStmt.GetObjtype())), joinName(objectName(n.CommentStmt.GetObject())))
	case *pg_query.Node_GrantStmt:
		c.object = grantObject(n.GrantStmt)
	case *pg_query.Node_GrantRoleStmt:
		c.label = "grant of roles"
	case *pg_query.Node_AlterDefaultPrivilegesStmt:
		c.label = "default privileges"
	case *pg_query.Node_CreateTrigStmt:
		c.object = fmt.Sprintf("trigger %s on %s", n.CreateTrigStmt.GetTrigname(), rangeName(n.CreateTrigStmt.GetRelation()))
	default:
		return c, false
	}
	return c, true
}

// classifyOnce knows the statements that are run once, and of which a changed
// one is refused.
func classifyOnce(node *pg_query.Node) (class, bool) {
	c := class{kind: Once}
	switch n := node.GetNode().(type) {
	case *pg_query.Node_CreateStmt:
		c.relation = n.CreateStmt.GetRelation()
		c.object = "table " + rangeName(c.relation)
	case *pg_query.Node_CreateTableAsStmt:
		c.relation = n.CreateTableAsStmt.GetInto().GetRel()
		c.object = "table " + rangeName(c.relation)
	case *pg_query.Node_CreateSeqStmt:
		c.relation = n.CreateSeqStmt.GetSequence()
		c.object = "sequence " + rangeName(c.relation)
	case *pg_query.Node_IndexStmt:
		c.reads = true
		c.label = "index on " + rangeName(n.IndexStmt.GetRelation())
		if n.IndexStmt.GetIdxname() != "" {
			c.object = "index " + n.IndexStmt.GetIdxname()
		}
	case *pg_query.Node_CreateStatsStmt:
		c.reads = true
		c.label = "statistics"
		if names := n.CreateStatsStmt.GetDefnames(); len(names) > 0 {
			c.object = "statistics " + joinName(textsOf(names))
		}
	case *pg_query.Node_CreateEnumStmt:
		c.object = "type " + joinName(textsOf(n.CreateEnumStmt.GetTypeName()))
	case *pg_query.Node_CompositeTypeStmt:
		c.object = "type " + rangeName(n.CompositeTypeStmt.GetTypevar())
		c.relation = n.CompositeTypeStmt.GetTypevar()
	case *pg_query.Node_CreateRangeStmt:
		c.object = "type " + joinName(textsOf(n.CreateRangeStmt.GetTypeName()))
	case *pg_query.Node_CreateDomainStmt:
		c.object = "domain " + joinName(textsOf(n.CreateDomainStmt.GetDomainname()))
	case *pg_query.Node_CreateSchemaStmt:
		c.object = "schema " + n.CreateSchemaStmt.GetSchemaname()
	case *pg_query.Node_CreateExtensionStmt:
		c.object = "extension " + n.CreateExtensionStmt.GetExtname()
	case *pg_query.Node_CreateRoleStmt:
		c.object = "role " + n.CreateRoleStmt.GetRole()
	case *pg_query.Node_CreatePolicyStmt:
		c.object = fmt.Sprintf("policy %s on %s", n.CreatePolicyStmt.GetPolicyName(), rangeName(n.CreatePolicyStmt.GetTable()))
	case *pg_query.Node_RuleStmt:
		c.object = fmt.Sprintf("rule %s on %s", n.RuleStmt.GetRulename(), rangeName(n.RuleStmt.GetRelation()))
	case *pg_query.Node_DefineStmt:
		c.object = fmt.Sprintf("%s %s", strings.ToLower(dropWords(n.DefineStmt.GetKind())), joinName(textsOf(n.DefineStmt.GetDefnames())))
	case *pg_query.Node_AlterTableStmt:
		c.label = "change of " + rangeName(n.AlterTableStmt.GetRelation())
	case *pg_query.Node_InsertStmt:
		c.label = "rows of " + rangeName(n.InsertStmt.GetRelation())
	case *pg_query.Node_CreateCastStmt, *pg_query.Node_AlterEnumStmt, *pg_query.Node_AlterSeqStmt,
		*pg_query.Node_AlterFunctionStmt, *pg_query.Node_AlterDomainStmt, *pg_query.Node_AlterRoleStmt:
		c.label = strings.ToLower(statementWords(fmt.Sprintf("%T", n)))
	default:
		return c, false
	}
	return c, true
}

// refuseForm refuses forms of statements that are fine otherwise.
func refuseForm(node *pg_query.Node) *refusal {
	temporary := ""
	switch n := node.GetNode().(type) {
	case *pg_query.Node_IndexStmt:
		if n.IndexStmt.GetConcurrent() {
			return &refusal{"CREATE INDEX CONCURRENTLY", "the deployment is one transaction, in which it can't run", "leave CONCURRENTLY out, or make the index by hand"}
		}
	case *pg_query.Node_CreateStmt:
		temporary = n.CreateStmt.GetRelation().GetRelpersistence()
	case *pg_query.Node_CreateTableAsStmt:
		temporary = n.CreateTableAsStmt.GetInto().GetRel().GetRelpersistence()
	case *pg_query.Node_CreateSeqStmt:
		temporary = n.CreateSeqStmt.GetSequence().GetRelpersistence()
	}
	if temporary == "t" {
		return &refusal{"a temporary relation", "it would be gone after the deployment", "leave TEMPORARY out"}
	}
	return nil
}

// refuse says why a statement has no place in a pipeline file.
func refuse(node *pg_query.Node) *refusal {
	switch n := node.GetNode().(type) {
	case *pg_query.Node_TransactionStmt:
		return &refusal{"transaction control", "the deployment is one transaction", "remove BEGIN, COMMIT and the like"}
	case *pg_query.Node_CopyStmt:
		return &refusal{"COPY", "it reads or writes data, and the file says what is to be there", "load the data with psql, or use INSERT INTO … VALUES for a few rows"}
	case *pg_query.Node_VacuumStmt:
		return &refusal{"VACUUM and ANALYZE", "autovacuum does it, and VACUUM can't run in the deployment's transaction", "remove it"}
	case *pg_query.Node_ClusterStmt, *pg_query.Node_ReindexStmt:
		return &refusal{"maintenance", "the file says what is to be there", "run it by hand"}
	case *pg_query.Node_VariableSetStmt, *pg_query.Node_AlterRoleSetStmt, *pg_query.Node_AlterDatabaseSetStmt:
		return &refusal{"SET", "Millstream's sessions have fixed settings: time zone UTC, ISO styles, a set search_path", "say it in the statement itself: qualify names, write time zones out"}
	case *pg_query.Node_AlterSystemStmt, *pg_query.Node_CreatedbStmt, *pg_query.Node_DropdbStmt,
		*pg_query.Node_CreateTableSpaceStmt, *pg_query.Node_AlterDatabaseStmt:
		return &refusal{"a statement about the server", "it can't run in the deployment's transaction", "run it by hand, before the pipeline"}
	case *pg_query.Node_DoStmt:
		return &refusal{"DO", "what its code does to the pipeline's tables can't be known", "write the statements themselves; each is run once"}
	case *pg_query.Node_TruncateStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt, *pg_query.Node_MergeStmt:
		return &refusal{"a statement that changes rows", "the file says what is to be there, not what to do", "INSERT INTO an ordinary table works, as seed data that is inserted once; run the rest by hand"}
	case *pg_query.Node_SelectStmt:
		return &refusal{"a bare SELECT", "nobody would see its rows", "name it: CREATE VIEW … AS SELECT, or CREATE MATERIALIZED VIEW over topics"}
	case *pg_query.Node_ViewStmt:
		return &refusal{"a temporary view", "it would be gone after the deployment", "leave TEMPORARY out"}
	case *pg_query.Node_RefreshMatViewStmt:
		return &refusal{"REFRESH MATERIALIZED VIEW", "Millstream's views are always up to date, and others are not made here", "remove it"}
	case *pg_query.Node_RenameStmt, *pg_query.Node_AlterOwnerStmt, *pg_query.Node_AlterObjectSchemaStmt:
		return &refusal{"renaming and moving", "the file says what is to be there", "change the CREATE statement, and rename by hand what is there"}
	case *pg_query.Node_CreateFdwStmt, *pg_query.Node_CreateUserMappingStmt, *pg_query.Node_ImportForeignSchemaStmt,
		*pg_query.Node_AlterForeignServerStmt, *pg_query.Node_AlterFdwStmt:
		return &refusal{"a foreign data wrapper of PostgreSQL", "foreign tables of a pipeline are Kafka topics", "make it by hand, outside of the file"}
	case *pg_query.Node_LockStmt, *pg_query.Node_NotifyStmt, *pg_query.Node_ListenStmt, *pg_query.Node_UnlistenStmt,
		*pg_query.Node_PrepareStmt, *pg_query.Node_ExecuteStmt, *pg_query.Node_DeallocateStmt, *pg_query.Node_DiscardStmt,
		*pg_query.Node_CheckPointStmt, *pg_query.Node_ExplainStmt, *pg_query.Node_VariableShowStmt, *pg_query.Node_CallStmt,
		*pg_query.Node_LoadStmt, *pg_query.Node_DeclareCursorStmt, *pg_query.Node_FetchStmt, *pg_query.Node_ClosePortalStmt:
		return &refusal{"a statement for a session", "it leaves nothing behind", "remove it"}
	default:
		return &refusal{statementWords(fmt.Sprintf("%T", n)), "it makes nothing that a pipeline needs", "run it by hand"}
	}
}

// statementWords makes "alter operator" of the parser's type name.
func statementWords(typeName string) string {
	name := typeName[strings.LastIndexByte(typeName, '_')+1:]
	name = strings.TrimSuffix(name, "Stmt")
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' && i > 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

func rangeName(v *pg_query.RangeVar) string {
	if v.GetSchemaname() != "" {
		return v.GetSchemaname() + "." + v.GetRelname()
	}
	return v.GetRelname()
}

// parameterTypes tells overloaded functions apart.
func parameterTypes(f *pg_query.CreateFunctionStmt) string {
	var types []string
	for _, n := range f.GetParameters() {
		p := n.GetFunctionParameter()
		switch p.GetMode() {
		case pg_query.FunctionParameterMode_FUNC_PARAM_OUT, pg_query.FunctionParameterMode_FUNC_PARAM_TABLE:
			continue
		}
		t := lastName(p.GetArgType().GetNames())
		if len(p.GetArgType().GetArrayBounds()) > 0 {
			t += "[]"
		}
		types = append(types, t)
	}
	return strings.Join(types, ", ")
}

func grantObject(g *pg_query.GrantStmt) string {
	verb := "grant"
	if !g.GetIsGrant() {
		verb = "revoke"
	}
	var objects, roles []string
	for _, n := range g.GetObjects() {
		if v := n.GetRangeVar(); v != nil {
			objects = append(objects, rangeName(v))
			continue
		}
		objects = append(objects, joinName(objectName(n)))
	}
	for _, n := range g.GetGrantees() {
		name := n.GetRoleSpec().GetRolename()
		if name == "" {
			name = strings.ToLower(strings.TrimPrefix(n.GetRoleSpec().GetRoletype().String(), "ROLESPEC_"))
		}
		roles = append(roles, name)
	}
	return fmt.Sprintf("%s on %s %s to %s", verb, strings.ToLower(dropWords(g.GetObjtype())), strings.Join(objects, ", "), strings.Join(roles, ", "))
}
