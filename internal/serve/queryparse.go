package serve

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	parser "github.com/wasilibs/go-pgquery"
	parsererr "github.com/wasilibs/go-pgquery/parser"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

// parsedQuery is a statement that only reads, as far as its text tells:
// whether its functions and relations may be used is asked of the catalogue.
type parsedQuery struct {
	sql     string // without what surrounds the statement
	explain bool
	params  int // the greatest $n

	functions map[string]int // that are called: position in the text
	members   map[string]int // names after a dot, which may be calls: (x).f
	relations []*pg_query.RangeVar
	ctes      map[string]bool
	fault     *Problem // the first
}

// queryNodes are the nodes of PostgreSQL's parse tree that a statement may be
// made of. What is not among them (other statements, INTO, FOR UPDATE, cursors,
// XML, defaults) is refused, also what later versions of PostgreSQL add.
var queryNodes = map[protoreflect.Name]bool{
	"ParseResult": true, "RawStmt": true, "SelectStmt": true, "ExplainStmt": true, "Node": true, "List": true, "DefElem": true,
	"WithClause": true, "CommonTableExpr": true, "CTESearchClause": true, "CTECycleClause": true,
	"ResTarget": true, "ColumnRef": true, "A_Star": true, "ParamRef": true, "String": true, "Integer": true, "Float": true, "Boolean": true, "BitString": true,
	"A_Const": true, "A_Expr": true, "A_Indirection": true, "A_Indices": true, "A_ArrayExpr": true, "RowExpr": true, "BoolExpr": true, "NullTest": true, "BooleanTest": true,
	"CaseExpr": true, "CaseWhen": true, "CoalesceExpr": true, "MinMaxExpr": true, "SQLValueFunction": true, "SubLink": true, "TypeCast": true, "TypeName": true, "CollateClause": true,
	"FuncCall": true, "NamedArgExpr": true, "WindowDef": true, "SortBy": true, "GroupingSet": true, "GroupingFunc": true,
	"RangeVar": true, "RangeSubselect": true, "RangeFunction": true, "RangeTableSample": true, "JoinExpr": true, "Alias": true, "ColumnDef": true,
	"JsonFormat": true, "JsonReturning": true, "JsonValueExpr": true, "JsonKeyValue": true, "JsonOutput": true, "JsonIsPredicate": true,
	"JsonObjectConstructor": true, "JsonArrayConstructor": true, "JsonArrayQueryConstructor": true, "JsonAggConstructor": true, "JsonObjectAgg": true, "JsonArrayAgg": true,
}

// queryWords say what a refused node is to whoever has written it.
var queryWords = map[protoreflect.Name]string{
	"IntoClause": "SELECT INTO", "LockingClause": "locking rows (FOR UPDATE, FOR SHARE)", "XmlExpr": "XML", "XmlSerialize": "XML", "RangeTableFunc": "XMLTABLE",
	"SetToDefault": "DEFAULT", "CurrentOfExpr": "CURRENT OF",
}

// explainOptions are those that run nothing and tell nothing of the server.
var explainOptions = []string{"costs", "format", "verbose"}

// parseQuery reads a statement by PostgreSQL's own parser.
func parseQuery(sql string) (*parsedQuery, *Problem) {
	tree, err := parser.Parse(sql)
	if err != nil {
		p := refused(0, "it is not one statement of SQL: %s", err)
		p.Status, p.Title, p.Code, p.SQLState = http.StatusBadRequest, http.StatusText(http.StatusBadRequest), codeSQL, "42601"
		var syntax *parsererr.Error
		if errors.As(err, &syntax) && syntax.Cursorpos > 0 {
			p.Position = syntax.Cursorpos
		}
		return nil, p
	}
	if len(tree.Stmts) != 1 {
		return nil, refused(0, "one statement is read at a time, and these are %d", len(tree.Stmts))
	}
	q := &parsedQuery{functions: map[string]int{}, members: map[string]int{}, ctes: map[string]bool{}}
	raw := tree.Stmts[0]
	start, end := int(raw.StmtLocation), len(sql)
	if raw.StmtLen > 0 {
		end = start + int(raw.StmtLen)
	}
	q.sql = sql[start:end]
	top := raw.Stmt
	if e := top.GetExplainStmt(); e != nil {
		q.explain, top = true, e.Query
		for _, o := range e.Options {
			if name := o.GetDefElem().GetDefname(); !slices.Contains(explainOptions, name) {
				return nil, refused(int(o.GetDefElem().GetLocation())+1, "EXPLAIN is read with %s, and not with %s", strings.Join(explainOptions, ", "), name)
			}
		}
	}
	if top.GetSelectStmt() == nil {
		return nil, refused(0, "only statements that read are: SELECT, VALUES, TABLE, WITH … SELECT, and EXPLAIN of these")
	}
	q.walk(tree.ProtoReflect(), sql)
	if q.fault != nil {
		return nil, q.fault
	}
	return q, nil
}

// refused is the answer to a statement that may not be run.
func refused(position int, format string, args ...any) *Problem {
	p := problem(http.StatusUnprocessableEntity, codeRefused, format, args...)
	p.Parameter, p.Position = "sql", position
	return p
}

// walk looks at every node.
func (q *parsedQuery) walk(m protoreflect.Message, sql string) {
	if q.fault != nil {
		return
	}
	name := m.Descriptor().Name()
	// Constants are messages within the message of the node.
	if !queryNodes[name] {
		word := queryWords[name]
		if word == "" {
			word = strings.TrimSuffix(string(name), "Stmt")
		}
		q.fault = refused(place(m, sql), "%s is not read here: only statements that read are", word)
		return
	}
	q.note(m.Interface(), place(m, sql))
	m.Range(func(_ protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch x := v.Interface().(type) {
		case protoreflect.Message:
			q.walk(x, sql)
		case protoreflect.List:
			for i := range x.Len() {
				if child, ok := x.Get(i).Interface().(protoreflect.Message); ok {
					q.walk(child, sql)
				}
			}
		}
		return q.fault == nil
	})
}

// place is the character at which a node begins, 0 where it does not say.
func place(m protoreflect.Message, sql string) int {
	f := m.Descriptor().Fields().ByName("location")
	if f == nil {
		return 0
	}
	at := int(m.Get(f).Int())
	if at <= 0 || at > len(sql) {
		return 0
	}
	return 1 + utf8.RuneCountInString(sql[:at])
}

// note takes down what a node names, and refuses names of elsewhere.
func (q *parsedQuery) note(node any, at int) {
	switch n := node.(type) {
	case *pg_query.FuncCall:
		q.system(q.functions, n.Funcname, at, "function")
	case *pg_query.A_Expr:
		q.system(nil, n.Name, at, "operator")
	case *pg_query.SubLink:
		q.system(nil, n.OperName, at, "operator")
	case *pg_query.SortBy:
		q.system(nil, n.UseOp, at, "operator")
	case *pg_query.RangeTableSample:
		q.system(nil, n.Method, at, "sampling method")
	case *pg_query.TypeName:
		q.system(nil, n.Names, at, "type")
		if last := lastName(n.Names); strings.HasPrefix(last, "reg") || strings.HasPrefix(last, "pg_") || last == "xml" || n.PctType {
			q.fault = refused(at, "the type %s is not read here", last)
		}
	case *pg_query.ColumnRef:
		if name := lastName(n.Fields); len(n.Fields) > 1 && name != "" {
			q.members[name] = at
		}
	case *pg_query.A_Indirection:
		for _, i := range n.Indirection {
			if s := i.GetString_(); s != nil {
				q.members[s.Sval] = at
			}
		}
	case *pg_query.RangeVar:
		q.relations = append(q.relations, n)
	case *pg_query.CommonTableExpr:
		if strings.HasPrefix(n.Ctename, "pg_") {
			q.fault = refused(at, "the name %s of a WITH query is like those of PostgreSQL's own tables", n.Ctename).hint("take another")
		}
		q.ctes[n.Ctename] = true
	case *pg_query.ParamRef:
		q.params = max(q.params, int(n.Number))
	case *pg_query.SQLValueFunction:
		if n.Op > pg_query.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N {
			q.fault = refused(at, "who is connected is not told here")
		}
	}
}

// system takes down a name that must be one of PostgreSQL's own.
func (q *parsedQuery) system(into map[string]int, names []*pg_query.Node, at int, what string) {
	last := lastName(names)
	if len(names) > 2 || len(names) == 2 && names[0].GetString_().GetSval() != "pg_catalog" {
		q.fault = refused(at, "the %s %s is not PostgreSQL's own", what, last).hint("only what is in pg_catalog is read")
		return
	}
	if into != nil && last != "" {
		into[last] = at
	}
}

func lastName(names []*pg_query.Node) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1].GetString_().GetSval()
}

// reads gives the relations that the statement names, if they are all of the
// pipeline's schema.
func (q *parsedQuery) reads(state *catalog.State, schema string) ([]*catalog.Relation, *Problem) {
	found := map[string]*catalog.Relation{}
	for _, n := range q.relations {
		name := n.Relname
		own := n.Catalogname == "" && (n.Schemaname == "" || n.Schemaname == schema)
		if n.Schemaname == "" && q.ctes[name] {
			continue
		}
		r := state.Relation(name)
		switch {
		case !own || r == nil && strings.HasPrefix(name, "pg_"):
			if n.Schemaname != "" {
				name = n.Schemaname + "." + name
			}
			return nil, refused(int(n.Location)+1, "%s is none of the pipeline's tables", name).hint("GET /v1/tables lists them")
		case r == nil:
			p := problem(http.StatusNotFound, codeTable, "there is no table or view %q", name).hint("GET /v1/tables lists them")
			p.Parameter, p.Position = "sql", int(n.Location)+1
			return nil, p
		case n.Schemaname == "" && strings.HasPrefix(name, "pg_"):
			return nil, refused(int(n.Location)+1, "the name %s is like those of PostgreSQL's own tables", name).hint("write %s", r.SQL())
		}
		found[name] = r
	}
	return slices.Collect(maps.Values(found)), nil
}
