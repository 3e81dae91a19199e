package serve

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

const (
	// DefaultQueryRole is the role that statements of clients run as.
	DefaultQueryRole = "millstream_query"
	// NoQueries, as the role's name, takes no statements.
	NoQueries = "off"
)

//go:embed queryrole.sql
var queryRoleSQL string

// queryRole is the role that statements of clients run as: one that can log in
// nowhere, belongs to no other, and may read the tables of the pipeline's schema
// and nothing else. It is made when it is first needed, and granted what the
// catalogue shows.
type queryRole struct {
	name string

	mu      sync.Mutex
	granted string // hash of the catalogue's state that was granted; guarded by mu
}

// ready makes sure that the role is there, is weak, and may read the relations.
func (q *queryRole) ready(ctx context.Context, pool *pgxpool.Pool, schema string, state *catalog.State) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.granted == state.Hash {
		return nil
	}
	if err := q.prepare(ctx, pool, schema); err != nil {
		return err
	}
	for _, r := range state.Relations {
		if err := q.grant(ctx, pool, r); err != nil {
			return err
		}
	}
	q.granted = state.Hash
	return nil
}

// roleState is what the catalogue says of the role.
type roleState struct {
	Exists, Strong, Member, Usage bool
}

func (q *queryRole) prepare(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	state, err := q.look(ctx, pool, schema)
	if err != nil {
		return sqlProblem(err)
	}
	name := catalog.Quote(q.name)
	if !state.Exists {
		_, err := pool.Exec(ctx, "CREATE ROLE "+name+" NOLOGIN NOINHERIT")
		if !isState(err, "42710") && !isState(err, "23505") { // another server may have made it meanwhile
			if err := q.lacking(err, schema); err != nil {
				return err
			}
		}
		if state, err = q.look(ctx, pool, schema); err != nil {
			return sqlProblem(err)
		}
	}
	if state.Strong {
		return problem(http.StatusServiceUnavailable, codeQueryRole, "the role %s may do more than read the pipeline's tables", q.name).
			hint("it must be no superuser, have no attributes, belong to no role, and have no rights on schema %s; query.role names another one", catalog.Schema)
	}
	if !state.Member {
		if _, err := pool.Exec(ctx, "GRANT "+name+" TO CURRENT_USER"); err != nil {
			return q.lacking(err, schema)
		}
	}
	if !state.Usage {
		if _, err := pool.Exec(ctx, "GRANT USAGE ON SCHEMA "+catalog.Quote(schema)+" TO "+name); err != nil {
			return q.lacking(err, schema)
		}
	}
	return nil
}

func (q *queryRole) look(ctx context.Context, pool *pgxpool.Pool, schema string) (roleState, error) {
	rows, err := pool.Query(ctx, queryRoleSQL, q.name, schema)
	if err != nil {
		return roleState{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[roleState])
}

// grant lets the role read a relation. One that is not ours to grant is told
// when it is asked for.
func (q *queryRole) grant(ctx context.Context, pool *pgxpool.Pool, r *catalog.Relation) error {
	var may bool
	err := pool.QueryRow(ctx, "SELECT has_table_privilege($1::name, $2::oid, 'SELECT')", q.name, uint32(r.OID)).Scan(&may)
	if err == nil && !may {
		_, err = pool.Exec(ctx, "GRANT SELECT ON "+r.SQL()+" TO "+catalog.Quote(q.name))
	}
	if err == nil || isState(err, "42501") || undefined(err) || errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return sqlProblem(err)
}

// lacking tells what to do when the pipeline's role may not make or grant the
// role.
func (q *queryRole) lacking(err error, schema string) error {
	if err == nil || !isState(err, "42501") {
		if err == nil {
			return nil
		}
		return sqlProblem(err)
	}
	return problem(http.StatusServiceUnavailable, codeQueryRole, "statements run as the role %s, and the pipeline's role may not make it or use it", q.name).
		hint("let somebody who may run: CREATE ROLE %[1]s NOLOGIN; GRANT %[1]s TO the pipeline's role; GRANT USAGE ON SCHEMA %[2]s TO %[1]s", catalog.Quote(q.name), catalog.Quote(schema)).
		because(fmt.Errorf("make the role %s: %w", q.name, err))
}

func isState(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}
