package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
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

func (r *topicReader) readColumnOptions(c *TopicColumn, def *pg_query.ColumnDef, bad bool) {
	c.Path = []codec.PathStep{{Member: true, Name: c.Name}}
	set := &optionSet{
		statement: r.statement, what: fmt.Sprintf("column %q", c.Name), unknown: codeOption, invalid: codeOptionValue,
		known: map[string]func(option) *diag.Diagnostic{
			"path": func(o option) *diag.Diagnostic {
				steps, err := parsePath(o.value)
				if err != nil {
					return problem(codePath, o.pos, "write it as in '$.user.id', '$.items[0]' or '$.\"odd name\"'",
						"path %q of column %q can't be read: %v", o.value, c.Name, err)
				}
				c.Path = steps
				return nil
			},
			"epoch": func(o option) *diag.Diagnostic {
				word, d := o.choice("s", "ms", "us", "ns")
				if d != nil {
					return d
				}
				if !bad && c.Type.Kind != column.Timestamptz {
					return o.wrong("declare the column as timestamptz", fmt.Sprintf("the column is %s", c.Type))
				}
				c.Epoch = map[string]codec.Epoch{
					"s": codec.EpochSeconds, "ms": codec.EpochMillis, "us": codec.EpochMicros, "ns": codec.EpochNanos,
				}[word]
				return nil
			},
		},
	}
	r.report(set.read(def.GetFdwoptions())...)
	if len(def.GetFdwoptions()) > 0 && len(r.generated) > 0 && r.generated[len(r.generated)-1].index == len(r.topic.Columns) {
		r.report(problem(codeGenerated, r.statement.Position(def.GetLocation()), "put the options at the column that it is computed from",
			"generated column %q can't have OPTIONS: it is not read from the record", c.Name))
	}
}

// kafkaName is what Kafka lets a topic be called.
var kafkaName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (r *topicReader) readOptions(list []*pg_query.Node) {
	t := r.topic
	duration := func(to *time.Duration) func(option) *diag.Diagnostic {
		return func(o option) (d *diag.Diagnostic) {
			*to, d = o.duration()
			return d
		}
	}
	set := &optionSet{
		statement: r.statement, what: fmt.Sprintf("topic %q", t.Name), unknown: codeOption, invalid: codeOptionValue,
		known: map[string]func(option) *diag.Diagnostic{
			"topic": func(o option) *diag.Diagnostic {
				if !kafkaName.MatchString(o.value) || o.value == "." || o.value == ".." {
					return o.wrong("", "Kafka's names have 1 to 249 letters, digits, dots, dashes and underscores")
				}
				t.Topic = o.value
				return nil
			},
			"format":       r.readFormat,
			"event_time":   r.readEventTime,
			"watermark":    duration(&t.Watermark),
			"idle_after":   duration(&t.IdleAfter),
			"future_limit": duration(&t.Future),
			"start":        r.readStart,
			"on_error": func(o option) *diag.Diagnostic {
				word, d := o.choice("quarantine", "stop")
				t.StopOnBad = word == "stop"
				return d
			},
			"partitions": func(o option) *diag.Diagnostic {
				n, d := o.count(maxPartitions)
				t.Partitions = int(n)
				return d
			},
		},
	}
	r.report(set.read(list)...)
	if !kafkaName.MatchString(t.Topic) {
		r.report(problem(codeOptionValue, r.pos, "add OPTIONS (topic '…')",
			"%q can't be the name of a topic in Kafka: those have letters, digits, dots, dashes and underscores", t.Topic))
	}
}

// formats that are to come.
var laterFormats = []string{"avro", "protobuf", "csv", "text", "debezium-json", "cloudevents"}

func (r *topicReader) readFormat(o option) *diag.Diagnostic {
	switch value := strings.ToLower(o.value); {
	case value == "json":
		return nil
	case slices.Contains(laterFormats, value):
		return problem(codeFormat, o.pos, "what is supported: format 'json'", "format %q is not supported yet", value)
	default:
		return problem(codeFormat, o.pos, "what is supported: format 'json'", "there is no format %q", o.value)
	}
}

func (r *topicReader) readEventTime(o option) *diag.Diagnostic {
	t := r.topic
	if o.value == MetaColumns[MetaTimestamp].Name {
		return nil // the default, said aloud
	}
	i := slices.IndexFunc(t.Columns, func(c TopicColumn) bool { return c.Name == o.value })
	if i < 0 {
		return problem(codeEventTime, o.pos, suggest(o.value, t.timeColumns()),
			"event_time names %q, which is no column of topic %q", o.value, t.Name)
	}
	if k := t.Columns[i].Type.Kind; !r.scope.bad[i] && k != column.Timestamptz && k != column.Timestamp {
		hint := "declare it as timestamptz"
		if k.IsNumber() {
			hint = "declare it as timestamptz OPTIONS (epoch 'ms') if its numbers count from 1970"
		}
		return problem(codeEventTime, o.pos, hint,
			"event_time names column %q, which is %s and not a timestamptz or timestamp", o.value, t.Columns[i].Type)
	}
	t.EventTime = i
	return nil
}

// timeColumns are the columns that can be the event time.
func (t *Topic) timeColumns() []string {
	var names []string
	for _, c := range t.Columns {
		if c.Type.Kind == column.Timestamptz || c.Type.Kind == column.Timestamp {
			names = append(names, c.Name)
		}
	}
	return names
}

func (r *topicReader) readStart(o option) *diag.Diagnostic {
	switch strings.ToLower(o.value) {
	case "earliest":
		return nil
	case "latest":
		r.topic.Start.Latest = true
		return nil
	}
	const hint = "write 'earliest', 'latest', or a time such as '2026-03-01 12:00:00+00'"
	if datum.Reserved([]byte(o.value), column.Timestamptz) {
		return o.wrong(hint, "it would be another time at each start")
	}
	v := column.NewVector(column.Of(column.Timestamptz), 1)
	if err := datum.Input(v, 0, []byte(o.value)); err != nil {
		return o.wrong(hint, err.Message)
	}
	if v.Int[0] == column.Infinity || v.Int[0] == column.NegativeInfinity {
		return o.wrong(hint, "it is no time")
	}
	r.topic.Start.At = time.UnixMicro(v.Int[0] - column.UnixEpochMicros).UTC()
	return nil
}

// bindGenerated binds the expressions of generated columns, once all columns
// are known.
func (r *topicReader) bindGenerated() {
	isGenerated := map[int]bool{}
	for _, g := range r.generated {
		isGenerated[g.index] = true
	}
	for _, g := range r.generated {
		c := &r.topic.Columns[g.index]
		c.Path = nil
		binder := &expr.Binder{
			Position: r.statement.Position, Clause: "a generated column",
			Column: func(parts []string, offset int32) (expr.Expr, error) {
				return r.generatedOperand(c.Name, isGenerated, parts, r.statement.Position(offset))
			},
		}
		e, err := binder.Bind(g.expr)
		if err == nil && !r.scope.bad[g.index] {
			e, err = coerceAt(e, c.Type, g.pos)
		}
		if err != nil {
			r.scope.bad[g.index] = true
			r.reportError(err)
			continue
		}
		c.Generated = e
	}
}

// generatedOperand resolves a column in a generated column's expression.
func (r *topicReader) generatedOperand(of string, isGenerated map[int]bool, parts []string, pos diag.Position) (expr.Expr, error) {
	t, name := r.topic, parts[len(parts)-1]
	if len(parts) > 1 && parts[0] != t.Name {
		return nil, problem(codeColumn, pos, "", "a generated column can name columns of topic %q only", t.Name)
	}
	var names []string
	for i, c := range t.Columns {
		if c.Name != name {
			if !isGenerated[i] {
				names = append(names, c.Name)
			}
			continue
		}
		switch {
		case isGenerated[i]:
			return nil, problem(codeGenerated, pos, "repeat its expression here",
				"generated column %q can't use generated column %q", of, name)
		case r.scope.bad[i]:
			return nil, failed
		}
		return &expr.Column{Index: i, Name: name, T: c.Type}, nil
	}
	for _, m := range MetaColumns {
		if m.Name == name {
			return nil, problem(codeGenerated, pos, "select it in the view",
				"generated column %q can't use metadata column %q: it is computed from the record alone", of, name)
		}
	}
	return nil, problem(codeColumn, pos, suggest(name, names), "no column %q in %q", name, t.Name)
}

// coerceAt is expr.Coerce whose diagnostics have a place.
func coerceAt(e expr.Expr, t column.Type, pos diag.Position) (expr.Expr, error) {
	out, err := expr.Coerce(e, t)
	return out, placed(err, pos)
}

// placed gives diagnostics without a place the one given.
func placed(err error, pos diag.Position) error {
	if err == nil {
		return nil
	}
	var list diag.List
	for _, d := range diag.From(err) {
		copied := *d
		if copied.Pos.Line == 0 {
			copied.Pos = pos
		}
		list = append(list, &copied)
	}
	if list == nil {
		return err
	}
	return list
}
