package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

// findings are how a view's table differs from what the engine made.
type findings struct {
	layout   []string // columns, key: what a changed definition changes too
	foreign  []string // triggers, constraints, rules: what somebody put there
	warnings []string // what works, but costs
}

// querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const (
	relationSQL = `
SELECT c.oid, c.relkind::text, c.relpersistence::text, c.relrowsecurity,
       EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid OR inhrelid = c.oid)
FROM pg_catalog.pg_class AS c WHERE c.oid = to_regclass($1)`

	columnsSQL = `
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), coalesce(c.collname::text, ''),
       a.attnotnull, a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''
FROM pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_collation AS c ON c.oid = a.attcollation
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

	foreignSQL = `
SELECT 'has trigger ' || tgname FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal
UNION ALL
SELECT CASE WHEN conrelid = $1 THEN 'has constraint ' || conname || ' ' || pg_get_constraintdef(oid)
            ELSE 'is referenced by constraint ' || conname || ' of ' || conrelid::regclass END
FROM pg_catalog.pg_constraint WHERE conrelid = $1 OR confrelid = $1
UNION ALL
SELECT 'has rule ' || rulename FROM pg_catalog.pg_rewrite WHERE ev_class = $1
ORDER BY 1`

	indexesSQL = `
SELECT i.indexrelid::regclass::text, i.indisunique, i.indisvalid, i.indnullsnotdistinct, i.indpred IS NOT NULL,
       ARRAY(SELECT coalesce(a.attname::text, '') FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
             LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0 ORDER BY k.n)
FROM pg_catalog.pg_index AS i WHERE i.indrelid = $1 ORDER BY 1`
)

// inspect compares a view's table with what the engine expects.
func inspect(ctx context.Context, q querier, t *table) (findings, error) {
	var f findings
	var oid uint32
	var kind, persistence string
	var security, inherits bool
	err := q.QueryRow(ctx, relationSQL, t.name()).Scan(&oid, &kind, &persistence, &security, &inherits)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		f.layout = append(f.layout, "it does not exist")
		return f, nil
	case err != nil:
		return f, err
	case kind != "r":
		f.foreign = append(f.foreign, "it is not an ordinary table")
	}
	if persistence != "p" {
		f.foreign = append(f.foreign, "it is unlogged: a crash would empty it")
	}
	if security {
		f.foreign = append(f.foreign, "it has row security")
	}
	if inherits {
		f.foreign = append(f.foreign, "it inherits or is inherited from")
	}
	if err := inspectColumns(ctx, q, t, oid, &f); err != nil {
		return f, err
	}
	rows, err := q.Query(ctx, foreignSQL, oid)
	if err != nil {
		return f, err
	}
	foreign, err := collectText(rows)
	if err != nil {
		return f, err
	}
	f.foreign = append(f.foreign, foreign...)
	return f, inspectIndexes(ctx, q, t, oid, &f)
}

func inspectColumns(ctx context.Context, q querier, t *table, oid uint32, f *findings) error {
	rows, err := q.Query(ctx, columnsSQL, oid)
	if err != nil {
		return err
	}
	type found struct {
		name, kind, collation string
		notNull, computed     bool
	}
	columns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c found, err error) {
		err = row.Scan(&c.name, &c.kind, &c.collation, &c.notNull, &c.computed)
		return c, err
	})
	if err != nil {
		return err
	}
	for i, want := range t.columns {
		if i >= len(columns) {
			f.layout = append(f.layout, fmt.Sprintf("column %q is missing", want.Name))
			continue
		}
		have := columns[i]
		switch {
		case have.name != want.Name:
			f.layout = append(f.layout, fmt.Sprintf("column %d is %q, not %q", i+1, have.name, want.Name))
		case have.kind != want.Type.String():
			f.layout = append(f.layout, fmt.Sprintf("column %q is %s, not %s", want.Name, have.kind, want.Type))
		case want.Type.Kind.Elem().IsString() && have.collation != "C":
			f.layout = append(f.layout, fmt.Sprintf(`column %q has collation %q, not "C"`, want.Name, have.collation))
		}
		if have.notNull {
			f.foreign = append(f.foreign, fmt.Sprintf("column %q is NOT NULL", have.name))
		}
		if have.computed {
			f.foreign = append(f.foreign, fmt.Sprintf("column %q has a default or is computed", have.name))
		}
	}
	for _, have := range columns[min(len(t.columns), len(columns)):] {
		f.layout = append(f.layout, fmt.Sprintf("column %q is too many", have.name))
	}
	return nil
}

func inspectIndexes(ctx context.Context, q querier, t *table, oid uint32, f *findings) error {
	rows, err := q.Query(ctx, indexesSQL, oid)
	if err != nil {
		return err
	}
	keys := make([]string, len(t.key))
	for i, k := range t.key {
		keys[i] = t.columns[k].Name
	}
	if len(keys) == 0 {
		keys = []string{""} // an index over a constant has no column
	}
	hasKey := false
	var name string
	var unique, valid, nullsEqual, partial bool
	var columns []string
	_, err = pgx.ForEachRow(rows, []any{&name, &unique, &valid, &nullsEqual, &partial, &columns}, func() error {
		switch {
		case unique && valid && nullsEqual && !partial && slices.Equal(columns, keys):
			hasKey = true
		case unique:
			f.foreign = append(f.foreign, "has unique index "+name)
		case t.view.Mode == plan.Grouped && !subset(columns, keys):
			f.warnings = append(f.warnings, fmt.Sprintf("index %s is over a column that changes: each correction of a row writes all indexes", name))
		}
		return nil
	})
	if err == nil && !hasKey {
		f.layout = append(f.layout, fmt.Sprintf("the unique key (%s) is missing", strings.Join(keys, ", ")))
	}
	return err
}

func subset(columns, of []string) bool {
	for _, c := range columns {
		if !slices.Contains(of, c) {
			return false
		}
	}
	return true
}

// tableChanges tells how the tables differ from what the engine made, nil if
// they don't: for the message when a commit fails.
func (s *Store) tableChanges(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, diagnosisTimeout)
	defer cancel()
	var all []error
	for _, t := range s.tables {
		found, err := inspect(ctx, s.db.pool, t)
		if err != nil {
			return nil
		}
		if differs := append(found.layout, found.foreign...); len(differs) > 0 {
			all = append(all, fmt.Errorf("table %s: %s", t.name(), strings.Join(differs, "; ")))
		}
	}
	return errors.Join(all...)
}

// windowColumns are the names of the table's columns that hold the window's
// start and end as they are, "" where the view does not select them.
func windowColumns(v *plan.View) (start, end string) {
	if v.Window == nil {
		return "", ""
	}
	for i, out := range v.Outputs {
		c, ok := out.(*expr.Column)
		if !ok || v.Columns[i].Type.Kind != v.Window.Type.Kind {
			continue
		}
		switch {
		case c.Index == 0 && start == "":
			start = v.Columns[i].Name
		case c.Index == 1 && end == "":
			end = v.Columns[i].Name
		}
	}
	return start, end
}
