package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/millstream-dev/millstream/internal/diag"
)

// checkLookups compares the tables that views join with with what the file
// declares.
func (d *deployment) checkLookups(ctx context.Context) (list diag.List, err error) {
	for _, t := range d.plan.Lookups {
		differs, err := checkLookup(ctx, d.tx, t)
		if err != nil {
			return nil, err
		}
		if len(differs) > 0 {
			list = append(list, &diag.Diagnostic{Code: codeLookupDiffers, Pos: diag.Position{Line: t.Position.Line, Column: t.Position.Column},
				Message: fmt.Sprintf("table %s is not as the file declares it: %s", t.QualifiedName(), strings.Join(differs, "; ")),
				Hint:    "correct the declaration, or the table"})
		}
	}
	return list, nil
}

const (
	// Where a topic was changed, positions in it mean nothing: which versions
	// records met can't be told any more.
	forgetMetSQL = `
DELETE FROM millstream.decisions AS d WHERE d.pipeline = $1 AND d.lookups <> '{}' AND EXISTS (
    SELECT FROM millstream.decisions AS o, jsonb_array_elements(o.positions) AS e
    WHERE o.pipeline = $1 AND o.lookups <> '{}' AND NOT e->>'table' = ANY ($2))`

	// A table of which other columns are read than the versions have begins
	// anew; so does one that nobody joins any more.
	forgetVersionsSQL = `
DELETE FROM millstream.lookup_versions AS v WHERE v.pipeline = $1
AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::jsonb[]) AS n (lookup, columns) WHERE n.lookup = v.lookup AND n.columns = v.columns)`

	forgetVersionDecisionsSQL = `
UPDATE millstream.decisions AS d SET lookups = coalesce((
    SELECT jsonb_object_agg(l.key, l.value) FROM jsonb_each(d.lookups) AS l
    WHERE EXISTS (SELECT FROM millstream.lookup_versions AS v WHERE v.pipeline = $1 AND v.lookup = l.key)), '{}')
WHERE d.pipeline = $1 AND d.lookups <> '{}'`
)

// forgetLookups takes out recorded versions that have no meaning for the
// definition that is being deployed.
func (d *deployment) forgetLookups(ctx context.Context, topics []string) error {
	names, columns := []string{}, []string{}
	for _, t := range d.plan.Lookups {
		names = append(names, t.QualifiedName())
		columns = append(columns, string(lookupColumnsDoc(t)))
	}
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{forgetMetSQL, []any{topics}}, {forgetVersionsSQL, []any{names, columns}}, {forgetVersionDecisionsSQL, nil},
	} {
		if _, err := d.tx.Exec(ctx, step.sql, append([]any{d.db.pipeline}, step.args...)...); err != nil {
			return err
		}
	}
	return nil
}
