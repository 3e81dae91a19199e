package plan

import (
	"errors"
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// DefaultSchema is where a pipeline's tables live unless it is told
// otherwise.
const DefaultSchema = "public"

// DefaultServer is the configured Kafka cluster's name in a pipeline file.
const DefaultServer = "kafka"

// Options of Build.
type Options struct {
	Schema string // where the pipeline's tables live; "" is DefaultSchema
}

// Build makes the plan of a pipeline file, or says all that is wrong with it.
// The plan is nil exactly when the list holds an error.
func Build(file *sqlfile.File, options Options) (*Pipeline, diag.List) {
	if options.Schema == "" {
		options.Schema = DefaultSchema
	}
	b := &builder{
		file: file, schema: options.Schema,
		pipeline: &Pipeline{Text: file.Text()},
		names:    map[string]*name{}, servers: map[string]bool{DefaultServer: true},
		lookups: map[*name]*lookupTable{},
	}
	b.collect()
	b.buildServers()
	b.buildTopics()
	b.buildStatements()
	b.problems.Sort()
	if b.problems.Err() != nil {
		return nil, b.problems
	}
	b.findNeeded()
	b.hash()
	return b.pipeline, b.problems
}

// builder holds what is known of the file while it is planned.
type builder struct {
	file     *sqlfile.File
	schema   string
	pipeline *Pipeline
	problems diag.List
	names    map[string]*name // relations by name
	order    []*name          // in file order
	servers  map[string]bool
	lookups  map[*name]*lookupTable // tables that are joined
	hashed   []string               // normalised statements that are no statement of PostgreSQL
}

// nameKind is what a relation's name stands for.
type nameKind uint8

const (
	topicName nameKind = iota
	viewName
	otherName // a relation that PostgreSQL keeps: table, view, sequence, …
)

// name is a relation that the file makes.
type name struct {
	kind      nameKind
	name      string
	what      string // "topic", "materialized view", "table", …
	statement *sqlfile.Statement
	pos       diag.Position
	topic     *topicScope // for topics, once built
}

func (b *builder) report(problems ...*diag.Diagnostic) { b.problems = append(b.problems, problems...) }

// reportError adds the diagnostics that an error holds.
func (b *builder) reportError(err error) {
	var list diag.List // may be empty: what failed has been reported already
	if errors.As(err, &list) {
		b.problems = append(b.problems, list...)
		return
	}
	var d *diag.Diagnostic
	if !errors.As(err, &d) {
		d = &diag.Diagnostic{Code: codeStatement, Message: err.Error()}
	}
	b.report(d)
}

// collect finds the names of all relations, so that the order of statements
// matters to PostgreSQL only.
func (b *builder) collect() {
	for _, s := range b.file.Statements {
		n := relationOf(s)
		if n == nil {
			continue
		}
		if other := b.names[n.name]; other != nil {
			if n.kind == otherName && other.kind == otherName {
				continue // PostgreSQL's to judge: IF NOT EXISTS, OR REPLACE
			}
			b.report(problem(codeNameTaken, n.pos, "give one of them another name",
				"%s %q has the name of the %s at line %d", n.what, n.name, other.what, other.pos.Line))
			continue
		}
		b.names[n.name] = n
		b.order = append(b.order, n)
	}
}

// relationOf gives the relation that a statement makes, or nil.
func relationOf(s *sqlfile.Statement) *name {
	make := func(kind nameKind, what string, rel *pg_query.RangeVar) *name {
		return &name{kind: kind, name: rel.GetRelname(), what: what, statement: s, pos: s.Position(rel.GetLocation())}
	}
	switch n := s.Node.GetNode().(type) {
	case *pg_query.Node_CreateForeignTableStmt:
		return make(topicName, "topic", n.CreateForeignTableStmt.GetBaseStmt().GetRelation())
	case *pg_query.Node_CreateTableAsStmt:
		if n.CreateTableAsStmt.GetObjtype() == pg_query.ObjectType_OBJECT_MATVIEW {
			return make(viewName, "materialized view", n.CreateTableAsStmt.GetInto().GetRel())
		}
		return make(otherName, "table", n.CreateTableAsStmt.GetInto().GetRel())
	case *pg_query.Node_CreateStmt:
		return make(otherName, "table", n.CreateStmt.GetRelation())
	case *pg_query.Node_ViewStmt:
		return make(otherName, "view", n.ViewStmt.GetView())
	case *pg_query.Node_CreateSeqStmt:
		return make(otherName, "sequence", n.CreateSeqStmt.GetSequence())
	}
	return nil
}

// buildStatements goes through the file in order: views are planned, and what
// PostgreSQL runs is classified.
func (b *builder) buildStatements() {
	for _, s := range b.file.Statements {
		switch n := s.Node.GetNode().(type) {
		case *pg_query.Node_CreateForeignTableStmt, *pg_query.Node_CreateForeignServerStmt:
			b.hashed = append(b.hashed, normalised(s))
		case *pg_query.Node_CreateTableAsStmt:
			if n.CreateTableAsStmt.GetObjtype() == pg_query.ObjectType_OBJECT_MATVIEW {
				b.hashed = append(b.hashed, normalised(s))
				b.buildView(s, n.CreateTableAsStmt)
				continue
			}
			b.buildPassThrough(s)
		default:
			b.buildPassThrough(s)
		}
	}
}

// unparsed tells whether a name occurs in a statement that did not parse: then
// it is no news that there is no such relation.
func (b *builder) unparsed(word string) bool {
	for _, text := range b.file.Unparsed {
		if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
			return true
		}
	}
	return false
}

// checkSchema refuses a schema in the name of a topic or a view.
func (b *builder) checkSchema(s *sqlfile.Statement, what string, rel *pg_query.RangeVar) {
	if rel.GetCatalogname() == "" && (rel.GetSchemaname() == "" || rel.GetSchemaname() == b.schema) {
		return
	}
	b.report(problem(codeSchema, s.Position(rel.GetLocation()),
		fmt.Sprintf("leave the schema out: the pipeline's tables are in schema %q", b.schema),
		"%s %q can't be put into schema %q", what, rel.GetRelname(), rel.GetSchemaname()))
}
