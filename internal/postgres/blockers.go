package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs that are looked at one by one.
const (
	lockNotAvailable     = "55P03"
	uniqueViolation      = "23505"
	readOnlyTransaction  = "25006"
	featureNotSupported  = "0A000" // a cached plan whose table has changed
	dependentObjects     = "2BP01"
	undefinedTable       = "42P01"
	undefinedColumn      = "42703"
	accessRuleOrSyntax   = "42"
	diagnosisTimeout     = 2 * time.Second // for a question beside the work
	maxBlockersNamed     = 3
	maxBlockerQueryBytes = 80
)

func isState(err error, code string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == code
}

// isSchemaChange tells errors that a changed table may have caused.
func isSchemaChange(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(pg.Code, accessRuleOrSyntax) || pg.Code == featureNotSupported)
}

// Somebody who holds more than a reader's lock on one of the tables that a
// commit writes, oldest transaction first. Row locks show as a table lock of
// their holder.
const blockersSQL = `
SELECT DISTINCT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), coalesce(a.state, ''), left(a.query, $3), a.xact_start
FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a USING (pid)
WHERE l.granted AND l.locktype = 'relation' AND l.mode NOT IN ('AccessShareLock', 'ShareUpdateExclusiveLock')
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND a.pid <> $1
  AND l.relation IN (SELECT to_regclass(name) FROM unnest($2::text[]) AS name)
ORDER BY a.xact_start LIMIT 3`

// blockers names who holds a lock that a commit waited for in vain, "" if
// nobody does any more.
func (s *Store) blockers(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, diagnosisTimeout)
	defer cancel()
	names := []string{Schema + ".pipelines", Schema + ".commits", Schema + ".state", Schema + ".quarantine", Schema + ".late_rows", Schema + ".group_errors"}
	for _, t := range s.tables {
		names = append(names, t.name())
	}
	var own uint32
	if s.session != nil {
		own = s.session.conn.PgConn().PID()
	}
	rows, err := s.db.pool.Query(ctx, blockersSQL, int32(own), names, maxBlockerQueryBytes)
	if err != nil {
		return ""
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var pid int32
		var name, state, query string
		var since *time.Time
		if err := row.Scan(&pid, &name, &state, &query, &since); err != nil {
			return "", err
		}
		return fmt.Sprintf("process %d (%s, %s): %s", pid, name, state, query), nil
	})
	if err != nil || len(list) == 0 {
		return ""
	}
	return strings.Join(list[:min(len(list), maxBlockersNamed)], "; ") +
		"; end that transaction, or SELECT pg_terminate_backend(pid)"
}
