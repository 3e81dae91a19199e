package serve

import (
	"context"
	_ "embed"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

//go:embed queryfunctions.sql
var queryFunctionsSQL string

// calls refuses a statement whose functions are not all known to be harmless.
//
// A name after a dot is a column, or, where there is no such column, a function
// of what stands before it: SELECT (5.0).pg_sleep sleeps. So those names are
// looked at, too; of the function names among them only those that are columns
// somewhere are let through, since a column comes first.
func (n *snapshot) calls(ctx context.Context, q *parsedQuery, schema string) error {
	all := map[string]int{}
	maps.Copy(all, q.members)
	maps.Copy(all, q.functions)
	if len(all) == 0 {
		return nil
	}
	rows, err := n.conn.Query(ctx, queryFunctionsSQL, slices.Sorted(maps.Keys(all)), schema)
	if err != nil {
		return err
	}
	type verdict struct {
		Name                               string
		Allowed, Known, Shadowed, IsColumn bool
	}
	verdicts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[verdict])
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		at, called := q.functions[v.Name]
		switch {
		case !called && (v.IsColumn || !v.Shadowed && (v.Allowed || !v.Known)):
		case v.Shadowed:
			return refused(all[v.Name], "the function %s is also one of schema %s, and such functions are not called here", v.Name, schema)
		case !v.Allowed:
			return refused(all[v.Name], "the function %s is not called here", v.Name).
				hint("functions that write, wait, or tell of the server are not, nor those that look beyond their arguments")
		case called && !v.Known:
			p := refused(at, "PostgreSQL has no function %s", v.Name)
			p.Status, p.Title, p.Code, p.SQLState = 400, "Bad Request", codeOperator, "42883"
			return p
		}
	}
	return nil
}
