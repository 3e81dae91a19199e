package oracle

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	pgquery "github.com/wasilibs/go-pgquery"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Parse trees are changed in place: a visitor gets a node and may put
// something else into it.

// visit calls f for every node below m, operands before their operator; it
// does not enter nodes for which enter is false (nil enters all).
func visit(m proto.Message, enter func(*pg.Node) bool, f func(*pg.Node)) {
	if m == nil || !m.ProtoReflect().IsValid() {
		return
	}
	node, isNode := m.(*pg.Node)
	if isNode && enter != nil && !enter(node) {
		return
	}
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Kind() != protoreflect.MessageKind:
		case fd.IsList():
			for i := range v.List().Len() {
				visit(v.List().Get(i).Message().Interface(), enter, f)
			}
		default:
			visit(v.Message().Interface(), enter, f)
		}
		return true
	})
	if isNode {
		f(node)
	}
}

// equal tells that two trees are the same but for their places in the source.
func equal(a, b *pg.Node) bool {
	x, err1 := exprSQL(a)
	y, err2 := exprSQL(b)
	return err1 == nil && err2 == nil && x == y
}

func clone[M proto.Message](m M) M { return proto.Clone(m).(M) }

// treeVersion is of the PostgreSQL whose grammar the trees follow; the
// printer wants it in every tree.
const treeVersion = 170007

func selectSQL(s *pg.SelectStmt) (string, error) {
	text, err := pgquery.Deparse(&pg.ParseResult{Version: treeVersion, Stmts: []*pg.RawStmt{{Stmt: selectNode(s)}}})
	if err != nil {
		return "", fmt.Errorf("print a query: %w", err)
	}
	return text, nil
}

func selectNode(s *pg.SelectStmt) *pg.Node {
	return &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: s}}
}

// exprSQL is the text of an expression.
func exprSQL(n *pg.Node) (string, error) {
	s := &pg.SelectStmt{TargetList: []*pg.Node{target("", n)}, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
	text, err := selectSQL(s)
	return strings.TrimPrefix(text, "SELECT "), err
}

// typeSQL is the text of a type.
func typeSQL(t *pg.TypeName) (string, error) {
	null := &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true}}}
	text, err := exprSQL(&pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: null, TypeName: t}}})
	return strings.TrimPrefix(text, "NULL::"), err
}

// parseSelect and parseExpr read text that the oracle itself has put
// together.
func parseSelect(sql string) (*pg.SelectStmt, error) {
	tree, err := pgquery.Parse(sql)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", sql, err)
	}
	return tree.Stmts[0].Stmt.GetSelectStmt(), nil
}

func parseExpr(sql string) (*pg.Node, error) {
	s, err := parseSelect("SELECT " + sql)
	if err != nil {
		return nil, err
	}
	return s.TargetList[0].GetResTarget().Val, nil
}

func target(name string, val *pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_ResTarget{ResTarget: &pg.ResTarget{Name: name, Val: val}}}
}

func columnRef(parts ...string) *pg.Node {
	fields := make([]*pg.Node, len(parts))
	for i, p := range parts {
		fields[i] = stringNode(p)
	}
	return &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: fields}}}
}

func stringNode(s string) *pg.Node {
	return &pg.Node{Node: &pg.Node_String_{String_: &pg.String{Sval: s}}}
}

// refName is the column that a reference names, "" for anything else.
func refName(n *pg.Node) string {
	r := n.GetColumnRef()
	if r == nil || len(r.Fields) == 0 {
		return ""
	}
	return r.Fields[len(r.Fields)-1].GetString_().GetSval()
}

// isStar tells * and t.*.
func isStar(n *pg.Node) bool {
	r := n.GetColumnRef()
	return r != nil && len(r.Fields) > 0 && r.Fields[len(r.Fields)-1].GetAStar() != nil
}

// funcName is the unqualified name of a called function, "" for anything else.
func funcName(n *pg.Node) string {
	c := n.GetFuncCall()
	if c == nil || len(c.Funcname) == 0 {
		return ""
	}
	return c.Funcname[len(c.Funcname)-1].GetString_().GetSval()
}

var aggregates = map[string]bool{
	"count": true, "sum": true, "avg": true, "min": true, "max": true, "bool_and": true, "bool_or": true, "every": true,
	"var_pop": true, "var_samp": true, "variance": true, "stddev_pop": true, "stddev_samp": true, "stddev": true,
	"bit_and": true, "bit_or": true, "bit_xor": true, "first_value": true, "last_value": true,
	"string_agg": true, "jsonb_agg": true, "jsonb_object_agg": true, "percentile_cont": true, "percentile_disc": true, "mode": true,
	"approx_count_distinct": true, "approx_percentile": true,
}

func isAggregate(n *pg.Node) bool { return aggregates[funcName(n)] }

// grouped tells a query that aggregates on its own level.
func grouped(s *pg.SelectStmt) bool {
	if len(s.GroupClause) > 0 || s.HavingClause != nil {
		return true
	}
	found := false
	for _, t := range s.TargetList {
		visit(t, notSublink, func(n *pg.Node) { found = found || isAggregate(n) })
	}
	return found
}

func notSublink(n *pg.Node) bool { return n.GetSubLink() == nil }

// fixCollations makes an expression independent of the database's locale:
// text made by casts and by -> > compares by bytes, and letters change case as
// in C.UTF-8.
func fixCollations(m proto.Message) {
	visit(m, nil, func(n *pg.Node) {
		switch {
		case n.GetTypeCast() != nil && isText(n.GetTypeCast().TypeName):
			collate(n, "C")
		case n.GetAExpr() != nil && strings.HasSuffix(operator(n.GetAExpr()), ">>"):
			if op := operator(n.GetAExpr()); op == "->>" || op == "#>>" {
				collate(n, "C")
			}
		case funcName(n) == "upper" || funcName(n) == "lower" || funcName(n) == "initcap":
			if args := n.GetFuncCall().Args; len(args) == 1 {
				collate(args[0], caseCollation)
				collate(n, "C")
			}
		}
	})
}

// caseCollation stands for the collation with C.UTF-8's case rules, whose
// name depends on the server; it is replaced in the finished text.
const caseCollation = "ms__case"

func operator(e *pg.A_Expr) string {
	if len(e.Name) == 0 {
		return ""
	}
	return e.Name[len(e.Name)-1].GetString_().GetSval()
}

func isText(t *pg.TypeName) bool {
	if t == nil || len(t.Names) == 0 || len(t.ArrayBounds) > 0 {
		return false
	}
	switch t.Names[len(t.Names)-1].GetString_().GetSval() {
	case "text", "varchar":
		return true
	}
	return false
}

// collate wraps what n holds in COLLATE.
func collate(n *pg.Node, name string) {
	inner := &pg.Node{Node: n.Node}
	n.Node = &pg.Node_CollateClause{CollateClause: &pg.CollateClause{Arg: inner, Collname: []*pg.Node{stringNode(name)}}}
}
