package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

// Kinds of entries in millstream.statements.
const (
	kindTopic       = "topic"
	kindView        = "view"
	kindReplaceable = "replaceable"
	kindOnce        = "once"
)

// entry is one definition of the file: a topic, a view, or a statement that
// PostgreSQL runs.
type entry struct {
	object   string // its identity: "view stats"
	kind     string
	hash     string
	sql      string
	relation string
	ordinal  int
	line     int
	view     *plan.View // of kindView
}

// streams tells definitions that results follow from.
func (e *entry) streams() bool { return e.kind == kindTopic || e.kind == kindView }

func (e *entry) position() diag.Position { return diag.Position{Line: e.line, Column: 1} }

// entries are a plan's definitions: its topics, then its statements in file
// order.
func entries(p *plan.Pipeline) []entry {
	var out []entry
	for _, t := range p.Topics {
		text := describeTopic(t)
		sum := sha256.Sum256([]byte(text))
		out = append(out, entry{object: topicObject(t), kind: kindTopic, hash: hex.EncodeToString(sum[:]), sql: text})
	}
	for _, s := range p.Statements {
		e := entry{object: s.Object, hash: s.Hash, sql: s.SQL, relation: quoteRelation(s.Relation), line: s.Line}
		switch s.Kind {
		case plan.StatementView:
			e.kind, e.view, e.object, e.sql = kindView, s.View, "materialized view "+s.View.Name, s.View.SQL
		case plan.Replaceable:
			e.kind = kindReplaceable
		case plan.Once:
			e.kind = kindOnce
		}
		out = append(out, e)
	}
	for i := range out {
		out[i].ordinal = i
	}
	return out
}

// quoteRelation makes "schema.name" as the plan gives it an SQL identifier.
func quoteRelation(name string) string {
	if name == "" {
		return ""
	}
	if schema, relation, ok := strings.Cut(name, "."); ok {
		return quote(schema, relation)
	}
	return quote(name)
}

func sortedEntries(m map[string]entry) []entry {
	out := make([]entry, 0, len(m))
	for _, e := range m {
		out = append(out, e)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ordinal < out[j].ordinal })
	return out
}

// describeTopic is all of a foreign table that results follow from, as text:
// its hash tells a change.
func describeTopic(t *plan.Topic) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s SERVER %s topic %q format %s event_time %d watermark %s idle_after %s future_limit %s stop %t start %t %s\n",
		t.Name, t.Server, t.Topic, t.Format, t.EventTime, t.Watermark, t.IdleAfter, t.Future, t.StopOnBad,
		t.Start.Latest, t.Start.At.UTC().Format("2006-01-02T15:04:05.999999Z"))
	for _, c := range t.Columns {
		fmt.Fprintf(&b, "%q %s not null %t epoch %d path %v", c.Name, c.Type, c.NotNull, c.Epoch, c.Path)
		if c.Generated != nil {
			fmt.Fprintf(&b, " generated %s", expr.SQL(c.Generated))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// apply brings one definition into the database, if it is not there already.
func (d *deployment) apply(ctx context.Context, e *entry) error {
	old, known := d.remembered[e.object]
	same := known && old.hash == e.hash
	switch e.kind {
	case kindView:
		if err := d.applyView(ctx, e); err != nil {
			return err
		}
	case kindReplaceable:
		gone := false
		if e.relation != "" && same {
			there, err := d.exists(ctx, e.relation)
			if err != nil {
				return err
			}
			gone = !there
		}
		if same && !gone && !d.again {
			return d.remember(ctx, e, same)
		}
		if err := d.replace(ctx, e); err != nil {
			return err
		}
		same = false
	case kindOnce:
		there, err := d.exists(ctx, e.relation)
		if err != nil {
			return err
		}
		if known && (there || e.relation == "" && !d.lost(e)) {
			return d.remember(ctx, e, same)
		}
		if err := d.execute(ctx, e); err != nil {
			return err
		}
		same = false
	}
	return d.remember(ctx, e, same)
}

// onTable matches the table that an index or statistics are made on.
var onTable = regexp.MustCompile(`(?i)^create\s+(?:index|statistics)\b.*?\b(?:on|from)\s+(?:only\s+)?(?:(?:"[^"]+"|[a-z0-9_$]+)\.)?("[^"]+"|[a-z0-9_$]+)`)

// lost tells an index or statistics that went with a table which this
// deployment has dropped.
func (d *deployment) lost(e *entry) bool {
	m := onTable.FindStringSubmatch(strings.Join(strings.Fields(e.sql), " "))
	return m != nil && d.dropped[strings.Trim(m[1], `"`)]
}

const rememberSQL = `
INSERT INTO millstream.statements (pipeline, object, kind, hash, sql, relation, ordinal, line)
VALUES ($1, $2, $3, $4, $5, nullif($6, ''), $7, $8)
ON CONFLICT (pipeline, object) DO UPDATE
SET kind = EXCLUDED.kind, hash = EXCLUDED.hash, sql = EXCLUDED.sql, relation = EXCLUDED.relation, ordinal = EXCLUDED.ordinal,
    line = EXCLUDED.line, run_at = now()`

// remember notes a definition as deployed. One that stands unchanged keeps
// its row, and the time at which it was run.
func (d *deployment) remember(ctx context.Context, e *entry, same bool) error {
	if same && d.remembered[e.object].ordinal == e.ordinal {
		return nil
	}
	_, err := d.tx.Exec(ctx, rememberSQL, d.db.pipeline, e.object, e.kind, e.hash, e.sql, e.relation, e.ordinal, e.line)
	return err
}

// execute runs a statement of the file as it stands.
func (d *deployment) execute(ctx context.Context, e *entry) error {
	if _, err := d.tx.Conn().PgConn().Exec(ctx, e.sql).ReadAll(); err != nil {
		return statementError(e, err)
	}
	return nil
}

// replace runs a statement that may have been run before: the plan says OR
// REPLACE where there is such a thing. Where an object can't be replaced in
// place (a view with other columns), it and the pipeline's own views on top
// of it are dropped and made again.
func (d *deployment) replace(ctx context.Context, e *entry) error {
	there, err := d.exists(ctx, e.relation)
	if err != nil {
		return err
	}
	if _, known := d.remembered[e.object]; !there {
		return d.execute(ctx, e)
	} else if !known {
		return diag.List{{Code: codeTableTaken, Pos: e.position(), Message: fmt.Sprintf("%s exists already, and this pipeline has not made it", e.relation),
			Hint: "rename yours, or drop what is there"}}
	}
	if _, err := d.tx.Exec(ctx, "SAVEPOINT millstream"); err != nil {
		return err
	}
	failure := d.execute(ctx, e)
	if failure == nil {
		_, err := d.tx.Exec(ctx, "RELEASE SAVEPOINT millstream")
		return err
	}
	if _, err := d.tx.Exec(ctx, "ROLLBACK TO SAVEPOINT millstream"); err != nil {
		return failure
	}
	if err := d.dropViews(ctx, []string{e.relation}); err != nil {
		return err
	}
	return d.execute(ctx, e)
}

const dependentViewsSQL = `
WITH RECURSIVE dependent (relation) AS (
    SELECT to_regclass(name)::oid FROM unnest($1::text[]) AS name
    UNION
    SELECT r.ev_class FROM dependent AS d
    JOIN pg_catalog.pg_depend AS p ON p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = d.relation
    JOIN pg_catalog.pg_rewrite AS r ON p.classid = 'pg_catalog.pg_rewrite'::regclass AND p.objid = r.oid AND r.ev_class <> d.relation
)
SELECT s.relation FROM dependent AS d JOIN millstream.statements AS s ON to_regclass(s.relation) = d.relation::regclass
JOIN pg_catalog.pg_class AS c ON c.oid = d.relation
WHERE s.pipeline = $2 AND c.relkind = 'v'
ORDER BY s.ordinal DESC`

// dropViews drops the pipeline's plain views that stand on the relations,
// themselves included, the last ones first. Those of others stay, and make
// the drop of what they need fail.
func (d *deployment) dropViews(ctx context.Context, relations []string) error {
	rows, err := d.tx.Query(ctx, dependentViewsSQL, relations, d.db.pipeline)
	if err != nil {
		return err
	}
	names, err := collectText(rows)
	if err != nil {
		return err
	}
	for _, name := range names {
		// The name is an identifier as PostgreSQL's parser gave it.
		if _, err := d.tx.Exec(ctx, "DROP VIEW IF EXISTS "+name); err != nil {
			return dropError("view "+name, err)
		}
		d.again = true
	}
	return nil
}

// topicObject is a foreign table's identity among a plan's definitions.
func topicObject(t *plan.Topic) string { return "foreign table " + t.Name }
