package doctor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/postgres"
)

const rightsSQL = `
SELECT current_user, current_database(),
       has_database_privilege(current_database(), 'CREATE'), has_database_privilege(current_database(), 'TEMPORARY'),
       own.oid IS NOT NULL, coalesce(pg_has_role(own.nspowner, 'USAGE'), false),
       target.oid IS NOT NULL, coalesce(has_schema_privilege(target.oid, 'CREATE'), false),
       coalesce((SELECT string_agg(format('%I', c.relname), ', ' ORDER BY c.relname) FROM pg_catalog.pg_class AS c
                 WHERE c.relnamespace = own.oid AND c.relkind IN ('r', 'p', 'S') AND NOT pg_has_role(c.relowner, 'USAGE')), '')
FROM (VALUES (1)) AS one
LEFT JOIN pg_catalog.pg_namespace AS own ON own.nspname = $1
LEFT JOIN pg_catalog.pg_namespace AS target ON target.nspname = $2`

// rights looks at what the role may do: make its schemas and tables, and
// temporary ones for each commit.
func (x *examination) rights(ctx context.Context, pool *pgxpool.Pool) {
	schema := x.Config.Schema
	if schema == "" {
		schema = postgres.DefaultSchema
	}
	var role, database, foreign string
	var create, temporary, own, owned, target, targetCreate bool
	err := pool.QueryRow(ctx, rightsSQL, postgres.Schema, schema).Scan(&role, &database, &create, &temporary, &own, &owned, &target, &targetCreate, &foreign)
	if err != nil {
		x.unknown("postgres.rights", "", "the role's rights can't be read: %v", err)
		return
	}
	failed := false
	lacks := func(cure, format string, args ...any) {
		failed = true
		x.fail("postgres.rights", cure, format, args...)
	}
	id := func(name string) string { return pgx.Identifier{name}.Sanitize() }
	if !temporary {
		lacks(fmt.Sprintf("GRANT TEMPORARY ON DATABASE %s TO %s;", id(database), id(role)), "role %s may make no temporary tables in database %s, which every commit uses", role, database)
	}
	if !own && !create {
		lacks(fmt.Sprintf("CREATE SCHEMA %s AUTHORIZATION %s;", postgres.Schema, id(role)), "role %s can't make schema %s in database %s", role, postgres.Schema, database)
	}
	if own && !owned || foreign != "" {
		what := "schema " + postgres.Schema
		if foreign != "" {
			what = "tables of schema " + postgres.Schema + " (" + foreign + ")"
		}
		lacks(fmt.Sprintf("run the pipeline by the role that owns them, or as an administrator: ALTER SCHEMA %s OWNER TO %s; and ALTER TABLE … OWNER TO %s; for its tables", postgres.Schema, id(role), id(role)),
			"%s belong to another role than %s", what, role)
	}
	switch {
	case target && !targetCreate:
		lacks(fmt.Sprintf("GRANT CREATE ON SCHEMA %s TO %s; (or choose another --schema)", id(schema), id(role)), "role %s may make no tables in schema %s", role, schema)
	case !target && !create:
		lacks(fmt.Sprintf("CREATE SCHEMA %s AUTHORIZATION %s;", id(schema), id(role)), "there is no schema %s, and role %s can't make it", schema, role)
	}
	if !failed {
		x.fine("postgres.rights", "role %s may make what a pipeline needs, in schemas %s and %s", role, postgres.Schema, schema)
	}
}
