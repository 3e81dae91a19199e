package oracle

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	pgquery "github.com/wasilibs/go-pgquery"
)

// definition is a pipeline file as the oracle reads it: taken to be valid,
// since an engine ran it.
type definition struct {
	topics  []*topic
	views   []*view
	servers map[string][]string // brokers by server
}

// topic is a foreign table.
type topic struct {
	index     int
	table     string
	server    string
	topic     string
	columns   []topicColumn
	eventTime string // column, "" for the record's timestamp
	delay     string // interval texts
	future    string
}

// topicColumn is a declared column; its SQL parts are PostgreSQL text.
type topicColumn struct {
	name      string
	sqlType   string
	notNull   bool
	path      []pathStep // nil: the member of the column's own name
	epoch     string     // "", s, ms, us, ns
	generated string     // expression, "" if read from the record
}

type pathStep struct {
	member bool
	name   string
	index  int
}

// view is a materialized view.
type view struct {
	index     int
	name      string
	query     *pg.SelectStmt
	final     bool
	columns   []string // of CREATE MATERIALIZED VIEW v (…)
	key       []string // of WITH (key = …)
	retention string   // interval text
	ttl       string   // interval text
}

// parseDefinition reads the statements that concern the engine.
func parseDefinition(text string) (*definition, error) {
	tree, err := pgquery.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse the pipeline file: %w", err)
	}
	d := &definition{servers: map[string][]string{}}
	for _, raw := range tree.Stmts {
		switch {
		case raw.Stmt.GetCreateForeignServerStmt() != nil:
			s := raw.Stmt.GetCreateForeignServerStmt()
			if b := options(s.Options)["brokers"]; b != "" {
				d.servers[s.Servername] = splitList(b)
			}
		case raw.Stmt.GetCreateForeignTableStmt() != nil:
			t, err := parseTopic(raw.Stmt.GetCreateForeignTableStmt())
			if err != nil {
				return nil, err
			}
			t.index = len(d.topics)
			d.topics = append(d.topics, t)
		case raw.Stmt.GetCreateTableAsStmt() != nil:
			s := raw.Stmt.GetCreateTableAsStmt()
			if s.Objtype != pg.ObjectType_OBJECT_MATVIEW || s.Query.GetSelectStmt() == nil {
				continue
			}
			o := options(s.Into.Options)
			key := distinctOn(s.Query.GetSelectStmt(), texts(s.Into.ColNames))
			if key == nil {
				key = splitList(o["key"])
			}
			d.views = append(d.views, &view{
				index:     len(d.views),
				name:      s.Into.Rel.Relname,
				query:     s.Query.GetSelectStmt(),
				columns:   texts(s.Into.ColNames),
				final:     o["emit"] == "final",
				key:       key,
				retention: o["retention"],
				ttl:       o["ttl"],
			})
		}
	}
	return d, nil
}

// distinctOn takes DISTINCT ON out of a query and gives the output columns that
// it names: the row with the greatest event time is taken by their names, as
// for WITH (key = …).
func distinctOn(s *pg.SelectStmt, columns []string) []string {
	if len(s.DistinctClause) == 0 || s.DistinctClause[0].GetNode() == nil {
		return nil
	}
	var key []string
	for _, n := range s.DistinctClause {
		for i, t := range s.TargetList {
			rt := t.GetResTarget()
			name := rt.Name
			if name == "" {
				name = refName(rt.Val)
			}
			if position := n.GetAConst().GetIval(); position != nil && int(position.Ival) == i+1 || refName(n) != "" && refName(n) == name || equal(n, rt.Val) {
				if i < len(columns) {
					name = columns[i]
				}
				key = append(key, name)
				break
			}
		}
	}
	s.DistinctClause, s.SortClause = nil, nil
	return key
}

func (d *definition) topic(name string) *topic {
	i := slices.IndexFunc(d.topics, func(t *topic) bool { return t.table == name })
	if i < 0 {
		return nil
	}
	return d.topics[i]
}

func parseTopic(s *pg.CreateForeignTableStmt) (*topic, error) {
	o := options(s.Options)
	name := s.BaseStmt.Relation.Relname
	t := &topic{
		table: name, server: s.Servername, topic: o["topic"],
		eventTime: o["event_time"], delay: o["watermark"], future: o["future_limit"],
	}
	if t.topic == "" {
		t.topic = name
	}
	if t.delay == "" {
		t.delay = "0"
	}
	if t.future == "" {
		t.future = "1 minute"
	}
	for _, e := range s.BaseStmt.TableElts {
		def := e.GetColumnDef()
		if def == nil {
			continue
		}
		c, err := parseColumn(def)
		if err != nil {
			return nil, fmt.Errorf("foreign table %s: %w", name, err)
		}
		t.columns = append(t.columns, c)
	}
	return t, nil
}

func parseColumn(def *pg.ColumnDef) (topicColumn, error) {
	c := topicColumn{name: def.Colname, notNull: def.IsNotNull}
	var err error
	if c.sqlType, err = typeSQL(def.TypeName); err != nil {
		return c, err
	}
	o := options(def.Fdwoptions)
	c.epoch = o["epoch"]
	if p := o["path"]; p != "" {
		if c.path, err = parsePath(p); err != nil {
			return c, fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	for _, n := range def.Constraints {
		switch k := n.GetConstraint(); k.GetContype() {
		case pg.ConstrType_CONSTR_NOTNULL:
			c.notNull = true
		case pg.ConstrType_CONSTR_GENERATED:
			fixCollations(k.RawExpr)
			if c.generated, err = exprSQL(k.RawExpr); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// metaColumns are what every topic has to select besides its own columns.
var metaColumns = []string{"_topic", "_partition", "_offset", "_timestamp", "_key", "_headers"}

// names are the columns that a star stands for.
func (t *topic) names() []string {
	out := make([]string, len(t.columns))
	for i, c := range t.columns {
		out[i] = c.name
	}
	return out
}

// parsePath reads '$.user.id', '$."a b"[0]', "$['a']".
func parsePath(s string) ([]pathStep, error) {
	bad := func() ([]pathStep, error) { return nil, fmt.Errorf("can't read the path %q", s) }
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return bad()
	}
	var out []pathStep
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, `."`):
			name, tail, ok := strings.Cut(rest[2:], `"`)
			if !ok {
				return bad()
			}
			out, rest = append(out, pathStep{member: true, name: name}), tail
		case rest[0] == '.':
			n := strings.IndexAny(rest[1:], ".[")
			if n < 0 {
				n = len(rest) - 1
			}
			out, rest = append(out, pathStep{member: true, name: rest[1 : n+1]}), rest[n+1:]
		case rest[0] == '[':
			inner, tail, ok := strings.Cut(rest[1:], "]")
			if !ok {
				return bad()
			}
			if len(inner) >= 2 && (inner[0] == '\'' || inner[0] == '"') {
				out = append(out, pathStep{member: true, name: inner[1 : len(inner)-1]})
			} else if i, err := strconv.Atoi(inner); err == nil {
				out = append(out, pathStep{index: i})
			} else {
				return bad()
			}
			rest = tail
		default:
			return bad()
		}
	}
	return out, nil
}

func texts(list []*pg.Node) []string {
	var out []string
	for _, n := range list {
		out = append(out, n.GetString_().GetSval())
	}
	return out
}

func options(list []*pg.Node) map[string]string {
	out := map[string]string{}
	for _, n := range list {
		d := n.GetDefElem()
		if d == nil {
			continue
		}
		switch {
		case d.Arg.GetString_() != nil:
			out[d.Defname] = d.Arg.GetString_().Sval
		case d.Arg.GetInteger() != nil:
			out[d.Defname] = strconv.Itoa(int(d.Arg.GetInteger().Ival))
		case d.Arg.GetTypeName() != nil: // an unquoted word
			t := d.Arg.GetTypeName()
			out[d.Defname] = t.Names[len(t.Names)-1].GetString_().GetSval()
		}
	}
	return out
}

func splitList(s string) []string {
	var out []string
	for _, part := range strings.Split(s, ",") {
		part = strings.TrimSpace(part)
		if len(part) > 1 && part[0] == '"' && part[len(part)-1] == '"' {
			part = strings.ReplaceAll(part[1:len(part)-1], `""`, `"`)
		}
		if part != "" {
			out = append(out, part)
		}
	}
	return out
}
