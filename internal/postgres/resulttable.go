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

// Storage settings of result tables.
const (
	// updatedSettings leave room in each page, so that a corrected row stays
	// in its page and no index changes; dead rows are removed early.
	updatedSettings = "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1"
	// appendedSettings are for tables whose rows never change.
	appendedSettings = "autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05"
)

const (
	ownerSQL = `SELECT pipeline FROM millstream.objects WHERE schema_name = $1 AND table_name = $2`

	enterObjectSQL = `
INSERT INTO millstream.objects (schema_name, table_name, pipeline, build, view_name, mode, emit, key_columns, window_start_column, window_end_column, relation)
SELECT $1, $2, $3, build, $2, $4, $5, $6, nullif($7, ''), nullif($8, ''), to_regclass($9)::oid FROM millstream.pipelines WHERE name = $3
ON CONFLICT (schema_name, table_name) DO UPDATE
SET build = EXCLUDED.build, mode = EXCLUDED.mode, emit = EXCLUDED.emit, key_columns = EXCLUDED.key_columns, relation = EXCLUDED.relation,
    window_start_column = EXCLUDED.window_start_column, window_end_column = EXCLUDED.window_end_column`
)

// applyView makes a view's table where it is not there. A table of somebody
// else, and one that has vanished with its rows, is refused.
func (d *deployment) applyView(ctx context.Context, e *entry) error {
	t := newTable(d.db.schema, d.names.views[e.view.Name], e.view)
	there, err := d.exists(ctx, t.name())
	if err != nil {
		return err
	}
	var owner string
	err = d.tx.QueryRow(ctx, ownerSQL, d.db.schema, e.view.Name).Scan(&owner)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	refuse := func(message, hint string) error {
		return diag.List{{Code: codeTableTaken, Pos: e.position(), Message: message, Hint: hint}}
	}
	switch {
	case owner != "" && owner != d.db.pipeline:
		return refuse(fmt.Sprintf("table %s belongs to pipeline %q", t.name(), owner), "rename the view, or choose another --schema")
	case owner == "" && there:
		return refuse(fmt.Sprintf("%s exists already, and Millstream has not made it", t.name()), "rename the view, drop the table, or choose another --schema")
	case owner != "" && !there && d.committed && !d.rebuild:
		return refuse(fmt.Sprintf("table %s was dropped, and its rows with it", t.name()), "restore it from a backup, or rebuild the pipeline")
	case there:
		return d.enterObject(ctx, t)
	}
	if err := d.createTable(ctx, t); err != nil {
		return statementError(e, err)
	}
	return d.enterObject(ctx, t)
}

func (d *deployment) createTable(ctx context.Context, t *table) error {
	columns := make([]string, len(t.columns))
	for i, c := range t.columns {
		columns[i] = quote(c.Name) + " " + c.Type.String()
		if c.Type.Kind.Elem().IsString() {
			columns[i] += ` COLLATE "C"`
		}
	}
	settings := updatedSettings
	if t.view.Mode == plan.Append {
		settings = appendedSettings
	}
	statements := []string{
		"CREATE TABLE " + t.name() + " (" + join(columns) + ") WITH (" + settings + ")",
		"CREATE UNIQUE INDEX ON " + t.name() + " (" + t.conflict() + ") NULLS NOT DISTINCT",
		"GRANT SELECT ON " + t.name() + " TO PUBLIC",
	}
	if c := t.expiryColumn(); t.view.Retention > 0 && c >= 0 && (len(t.key) == 0 || t.key[0] != c) {
		statements = append(statements, "CREATE INDEX ON "+t.name()+" ("+quote(t.columns[c].Name)+")")
	}
	for _, sql := range statements {
		if _, err := d.tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) enterObject(ctx context.Context, t *table) error {
	emit := "update"
	if t.view.Final {
		emit = "final"
	}
	keys := make([]string, len(t.key))
	for i, k := range t.key {
		keys[i] = t.columns[k].Name
	}
	start, end := windowColumns(t.view)
	_, err := d.tx.Exec(ctx, enterObjectSQL, d.db.schema, t.view.Name, d.db.pipeline, t.mode(), emit, keys, start, end, t.name())
	return err
}

const (
	clearSQL = `UPDATE millstream.pipelines SET generation = generation + 1, build = last_build + 1, last_build = last_build + 1 WHERE name = $1`

	ownTablesSQL = `SELECT view_name FROM millstream.objects WHERE pipeline = $1 ORDER BY view_name`
)

// computed are the tables of the schema millstream whose rows follow from
// what a build has read. Replays are requests, and stay.
var computed = []string{"commits", "state", "closed_windows", "idempotency_keys", "quarantine", "late_rows", "group_errors", "spark_commits", "spark_staging"}

// clear takes away what the pipeline has computed, and tables that the new
// definition has no use for or lays out in another way.
func (d *deployment) clear(ctx context.Context) error {
	if _, err := d.tx.Exec(ctx, clearSQL, d.db.pipeline); err != nil {
		return err
	}
	for _, name := range computed {
		if _, err := d.tx.Exec(ctx, "DELETE FROM millstream."+name+" WHERE pipeline = $1", d.db.pipeline); err != nil {
			return err
		}
	}
	rows, err := d.tx.Query(ctx, ownTablesSQL, d.db.pipeline)
	if err != nil {
		return err
	}
	names, err := collectText(rows)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.clearTable(ctx, name); err != nil {
			return err
		}
	}
	return d.forget(ctx)
}

func (d *deployment) clearTable(ctx context.Context, name string) error {
	qualified := quote(d.db.schema, name)
	there, err := d.exists(ctx, qualified)
	if err != nil || !there {
		return err
	}
	if id, ok := d.names.views[name]; ok {
		found, err := inspect(ctx, d.tx, newTable(d.db.schema, id, d.plan.Views[id]))
		if err != nil {
			return err
		}
		if len(found.foreign) > 0 {
			return diag.List{{Code: codeTableDiffers, Message: fmt.Sprintf("table %s: %s", qualified, strings.Join(found.foreign, "; ")),
				Hint: "drop these: a rebuild would lose them"}}
		}
		if len(found.layout) == 0 {
			_, err := d.tx.Exec(ctx, "TRUNCATE "+qualified)
			return err
		}
	}
	if err := d.dropViews(ctx, []string{qualified}); err != nil {
		return err
	}
	if _, err := d.tx.Exec(ctx, "DROP TABLE "+qualified); err != nil {
		return dropError("table "+qualified, err)
	}
	d.again, d.dropped[name] = true, true
	_, err = d.tx.Exec(ctx, "DELETE FROM millstream.objects WHERE schema_name = $1 AND table_name = $2", d.db.schema, name)
	return err
}

// forget drops topics and views of the old definition from what is
// remembered.
func (d *deployment) forget(ctx context.Context) error {
	for object, e := range d.remembered {
		if e.streams() {
			delete(d.remembered, object)
		}
	}
	_, err := d.tx.Exec(ctx, "DELETE FROM millstream.statements WHERE pipeline = $1 AND kind IN ('topic', 'view')", d.db.pipeline)
	return err
}

// dropError names what stands on something that has to be dropped.
func dropError(what string, err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pg.Code != dependentObjects {
		return err
	}
	return diag.List{{Code: codeStatementFailed, Message: fmt.Sprintf("%s has to be dropped and made again, and others stand on it", what),
		Detail: pg.Detail, Hint: "drop them first, or put them into the file"}}
}

func collectText(rows pgx.Rows) ([]string, error) { return pgx.CollectRows(rows, pgx.RowTo[string]) }
