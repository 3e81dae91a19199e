package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/plan"
)

// The stable codes of diagnostics about deploying: MS4xxx.
const (
	codeStatementFailed = "MS4001"
	codeOnceChanged     = "MS4002"
	codeTableTaken      = "MS4003"
	codeTableDiffers    = "MS4004"
	codeKeyColumns      = "MS4005"
	codeZoneDiffers     = "MS4006"
	codeLookupDiffers   = "MS4007"
)

// Codes describes the codes of this package, for `millstream explain CODE`.
var Codes = map[string]string{
	codeStatementFailed: "PostgreSQL refused a statement of the file. Nothing was deployed: all statements run in one transaction.",
	codeOnceChanged:     "A table, an index or another thing that can't be replaced in place was changed in the file after it had been made. Run the ALTER yourself and put the file's old text back until then, or drop the object: it is then made anew.",
	codeTableTaken:      "A table that a materialized view needs exists and belongs to somebody else. Rename the view, drop the table, or choose another --schema.",
	codeTableDiffers:    "A materialized view's table was changed by hand: it has other columns, or triggers or constraints that would refuse or change what the engine writes. Undo the change.",
	codeZoneDiffers:     "Millstream and PostgreSQL know different rules for a time zone that the pipeline uses, so their calendar days would differ. Update the older of the two: PostgreSQL's rules come from its package or the system's tzdata, Millstream's are built in.",
	codeLookupDiffers:   "A table that views join with is not what the file declares: it is missing, can't be read by the pipeline's role, has other types in the columns that views use, or no unique key over the columns that they join by. Correct the declaration (CREATE TABLE IF NOT EXISTS), or the table.",
	codeKeyColumns:      "A key has more columns than a PostgreSQL index can have.",
}

// maxKeyColumns is PostgreSQL's INDEX_MAX_KEYS.
const maxKeyColumns = 32

// ChangedError tells that the pipeline stands with another definition: what
// it has computed does not follow from the file's.
type ChangedError struct {
	Pipeline   string
	Statements []string // what changed: "materialized view totals is new"
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the definition of pipeline %q has changed: %s", e.Pipeline, strings.Join(e.Statements, "; "))
}

// deployment is one deployment under way, in its transaction.
type deployment struct {
	db         *Database
	tx         pgx.Tx
	plan       *plan.Pipeline
	names      tableNames
	entries    []entry          // the file's definitions, in order
	remembered map[string]entry // by object
	dropped    map[string]bool  // result tables that this deployment has dropped
	rebuild    bool
	again      bool // replaceable statements run again from here on: something that they hang on was dropped
	committed  bool // there are commits: an empty table would be wrong
}

// Deploy makes the pipeline's tables and runs the file's statements, once
// each, in one transaction. It fails with *ChangedError where the pipeline
// stands with other topics or views, and with diagnostics where the file or
// the database must be mended.
func (db *Database) Deploy(ctx context.Context, p *plan.Pipeline, clusterID string) error {
	return db.deploy(ctx, p, clusterID, false)
}

// Rebuild drops all that the pipeline has computed and deploys p in its
// place, in one transaction: the next engine reads the log from its start. An
// engine that runs is fenced.
func (db *Database) Rebuild(ctx context.Context, p *plan.Pipeline, clusterID string) error {
	return db.deploy(ctx, p, clusterID, true)
}

func (db *Database) deploy(ctx context.Context, p *plan.Pipeline, clusterID string, rebuild bool) error {
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	tx, err := db.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("postgres: deploy: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	d := &deployment{db: db, tx: tx, plan: p, names: namesOf(p), entries: entries(p), rebuild: rebuild, dropped: map[string]bool{}}
	if err := d.run(ctx, clusterID); err != nil {
		if diag.From(err) != nil {
			return err
		}
		if changed, ok := errors.AsType[*ChangedError](err); ok {
			return changed
		}
		if h := hint(err); h != "" {
			return fmt.Errorf("postgres: deploy pipeline %q: %w (%s)", db.pipeline, err, h)
		}
		return fmt.Errorf("postgres: deploy pipeline %q: %w", db.pipeline, err)
	}
	return nil
}

func (d *deployment) run(ctx context.Context, clusterID string) error {
	if err := d.checkKeys(); err != nil {
		return err
	}
	if err := d.register(ctx, clusterID); err != nil {
		return err
	}
	if err := d.recall(ctx); err != nil {
		return err
	}
	if d.rebuild {
		if err := d.recordDecisions(ctx); err != nil {
			return err
		}
		if err := d.clear(ctx); err != nil {
			return err
		}
	} else if changed := d.changed(); changed != nil {
		return changed
	}
	if err := d.refuseChangedOnce(ctx); err != nil {
		return err
	}
	if err := d.checkZones(ctx); err != nil {
		return err
	}
	for i := range d.entries {
		if err := d.apply(ctx, &d.entries[i]); err != nil {
			return err
		}
	}
	if err := d.conclude(ctx); err != nil {
		return err
	}
	tag, err := d.tx.Conn().Exec(ctx, "COMMIT")
	if err == nil && tag.String() != "COMMIT" {
		err = errRolledBack
	}
	return err
}

func (d *deployment) checkKeys() error {
	var list diag.List
	for _, e := range d.entries {
		if e.view != nil && len(e.view.Key) > maxKeyColumns {
			list = append(list, &diag.Diagnostic{Code: codeKeyColumns, Pos: e.position(),
				Message: fmt.Sprintf("the key of %s has %d columns; PostgreSQL's indexes have at most %d", e.view.Name, len(e.view.Key), maxKeyColumns),
				Hint:    "group by fewer columns, or by one that joins them"})
		}
	}
	return list.Err()
}

const (
	registerSQL = `
INSERT INTO millstream.pipelines (name, cluster_id, target_schema, definition, definition_hash, state_format)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING`

	registeredSQL = `
SELECT cluster_id, target_schema, EXISTS (SELECT FROM millstream.commits WHERE pipeline = name AND build = p.build)
       OR EXISTS (SELECT FROM millstream.spark_commits WHERE pipeline = name AND build = p.build)
FROM millstream.pipelines AS p WHERE name = $1 FOR NO KEY UPDATE`
)

// register enters the pipeline, or checks that it is the one that stands
// there, and locks its row.
func (d *deployment) register(ctx context.Context, clusterID string) error {
	db := d.db
	if db.schema != DefaultSchema {
		if _, err := d.tx.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+quote(db.schema)); err != nil {
			return err
		}
	}
	if _, err := d.tx.Exec(ctx, registerSQL, db.pipeline, clusterID, db.schema, d.plan.Text, d.plan.Hash, StateFormat); err != nil {
		return err
	}
	var cluster, schema string
	if err := d.tx.QueryRow(ctx, registeredSQL, db.pipeline).Scan(&cluster, &schema, &d.committed); err != nil {
		return err
	}
	return db.sameHome(cluster, schema, clusterID)
}

const recallSQL = `SELECT object, kind, hash, coalesce(relation, ''), ordinal FROM millstream.statements WHERE pipeline = $1`

// recall reads what the pipeline has defined and run.
func (d *deployment) recall(ctx context.Context) error {
	rows, err := d.tx.Query(ctx, recallSQL, d.db.pipeline)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e entry, err error) {
		err = row.Scan(&e.object, &e.kind, &e.hash, &e.relation, &e.ordinal)
		return e, err
	})
	if err != nil {
		return err
	}
	d.remembered = map[string]entry{}
	for _, e := range list {
		d.remembered[e.object] = e
	}
	return nil
}

// changed tells which topics and views differ from those that the results
// were computed by; nil if none, or if nothing has been deployed yet.
func (d *deployment) changed() error {
	if len(d.remembered) == 0 {
		return nil
	}
	e := &ChangedError{Pipeline: d.db.pipeline}
	now := map[string]bool{}
	for _, n := range d.entries {
		if !n.streams() {
			continue
		}
		now[n.object] = true
		old, ok := d.remembered[n.object]
		switch {
		case !ok:
			e.Statements = append(e.Statements, n.object+" is new")
		case old.hash != n.hash:
			e.Statements = append(e.Statements, n.object+" has changed")
		}
	}
	for _, old := range sortedEntries(d.remembered) {
		if old.streams() && !now[old.object] {
			e.Statements = append(e.Statements, old.object+" is gone")
		}
	}
	if len(e.Statements) == 0 {
		return nil
	}
	return e
}

// refuseChangedOnce refuses changed statements that can't be run a second
// time while what they made is there; all of them at once.
func (d *deployment) refuseChangedOnce(ctx context.Context) error {
	var list diag.List
	for _, e := range d.entries {
		old, ok := d.remembered[e.object]
		if e.kind != kindOnce || !ok || old.hash == e.hash {
			continue
		}
		there, err := d.exists(ctx, e.relation)
		if err != nil {
			return err
		}
		if there || e.relation == "" && !d.lost(&e) {
			list = append(list, &diag.Diagnostic{Code: codeOnceChanged, Pos: e.position(),
				Message: fmt.Sprintf("%s has changed, and can't be replaced in place", e.object),
				Detail:  "it was made by an earlier version of the file and holds data or is in use",
				Hint:    alterHint(e)})
		}
	}
	return list.Err()
}

func alterHint(e entry) string {
	kind, name, _ := strings.Cut(e.object, " ")
	kind = strings.ToUpper(kind)
	update := fmt.Sprintf("UPDATE millstream.statements SET hash = '%s' WHERE object = '%s'", e.hash, strings.ReplaceAll(e.object, "'", "''"))
	if kind == "INDEX" {
		return fmt.Sprintf("DROP INDEX %s; it is then made anew", name)
	}
	return fmt.Sprintf("run ALTER %s %s … yourself, and then %s; or DROP %s %s, and it is made anew", kind, name, update, kind, name)
}

// exists tells whether a relation is there.
func (d *deployment) exists(ctx context.Context, relation string) (bool, error) {
	if relation == "" {
		return false, nil
	}
	var there bool
	err := d.tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", relation).Scan(&there)
	return there, err
}

const concludeSQL = `
UPDATE millstream.pipelines SET definition = $2, definition_hash = $3, state_format = $4, changed_at = now()
WHERE name = $1 AND (definition, definition_hash, state_format) IS DISTINCT FROM ($2, $3, $4)`

// conclude notes the definition, and checks the tables as they stand.
func (d *deployment) conclude(ctx context.Context) error {
	var list diag.List
	for _, e := range d.entries {
		if e.view == nil {
			continue
		}
		t := newTable(d.db.schema, d.names.views[e.view.Name], e.view)
		found, err := inspect(ctx, d.tx, t)
		if err != nil {
			return err
		}
		if differs := append(found.layout, found.foreign...); len(differs) > 0 {
			list = append(list, &diag.Diagnostic{Code: codeTableDiffers, Pos: e.position(),
				Message: fmt.Sprintf("table %s is not as the engine made it: %s", t.name(), strings.Join(differs, "; ")),
				Hint:    "undo the change; put triggers and constraints on a table of your own that copies from this one"})
		}
		for _, w := range found.warnings {
			d.db.warn("table %s: %s", t.name(), w)
		}
	}
	more, err := d.checkLookups(ctx)
	if err != nil {
		return err
	}
	if err := append(list, more...).Err(); err != nil {
		return err
	}
	_, err = d.tx.Exec(ctx, concludeSQL, d.db.pipeline, d.plan.Text, d.plan.Hash, StateFormat)
	return err
}

// statementError is PostgreSQL's refusal of a statement of the file.
func statementError(e *entry, err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	if Classify(err) == TryAgain {
		return fmt.Errorf("%s: %w", e.object, err)
	}
	return diag.List{{Code: codeStatementFailed, Pos: e.position(), Message: fmt.Sprintf("%s: %s (SQLSTATE %s)", e.object, pg.Message, pg.Code),
		Detail: pg.Detail, Hint: pg.Hint}}
}
