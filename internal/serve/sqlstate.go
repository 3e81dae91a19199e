package serve

import (
	"context"
	"errors"
	"net/http"

	"github.com/jackc/pgx/v5/pgconn"
)

// sqlProblem says what a failure of PostgreSQL means to a client: the one
// place where SQLSTATEs become statuses.
func sqlProblem(err error) *Problem {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		if errors.Is(err, context.DeadlineExceeded) {
			return problem(http.StatusGatewayTimeout, codeTimeout, "the answer took too long").hint("narrow it with filters or limit").because(err)
		}
		return problem(http.StatusServiceUnavailable, codeUnavailable, "PostgreSQL can't be reached").hint("/readyz says what is known").because(err)
	}
	p := pgProblem(pg)
	p.SQLState = pg.Code
	p.cause = err
	if p.Hint == "" {
		p.Hint = pg.Hint
	}
	return p
}

func pgProblem(pg *pgconn.PgError) *Problem {
	switch pg.Code {
	case "57014": // query_canceled
		return problem(http.StatusGatewayTimeout, codeTimeout, "the statement took longer than statements may").hint("narrow it with filters on the key, or ask for fewer rows")
	case "42501": // insufficient_privilege
		return problem(http.StatusForbidden, codeDenied, "%s", pg.Message).hint("GRANT SELECT to the role that the server connects as")
	case "42P01", "3F000": // undefined_table, invalid_schema_name
		return problem(http.StatusNotFound, codeTable, "%s", pg.Message)
	case "42703": // undefined_column
		return problem(http.StatusBadRequest, codeColumn, "%s", pg.Message)
	case "42883", "42804", "42725", "42P18", "42P22", "42P21", "0A000":
		// undefined_function, datatype_mismatch, ambiguous_function,
		// indeterminate types and collations, feature_not_supported
		return problem(http.StatusBadRequest, codeOperator, "%s", pg.Message)
	case "25006", "25P02", "40001", "40P01", "55P03":
		if pg.Code == "25006" { // read_only_sql_transaction: a view's function writes
			return problem(http.StatusBadRequest, codeSQL, "%s", pg.Message).hint("reads run in read-only transactions")
		}
		return problem(http.StatusServiceUnavailable, codeUnavailable, "%s", pg.Message)
	}
	switch pg.Code[:min(2, len(pg.Code))] {
	case "22": // data exception: a value, or an expression of a view
		return problem(http.StatusBadRequest, codeValue, "%s", pg.Message)
	case "42", "P0", "2F", "38", "39", "21", "44": // syntax, PL/pgSQL's and functions' own errors
		return problem(http.StatusBadRequest, codeSQL, "%s", pg.Message)
	case "28": // invalid authorization: the server's own
		return problem(http.StatusServiceUnavailable, codeUnavailable, "PostgreSQL refuses the server's role").hint("/readyz says what is known")
	case "08", "53", "57", "58", "3D": // connection, resources, shutdown, disk, database gone
		return problem(http.StatusServiceUnavailable, codeUnavailable, "%s", pg.Message)
	case "54": // program_limit_exceeded
		return problem(http.StatusBadRequest, codeTooMuch, "%s", pg.Message)
	}
	return problem(http.StatusInternalServerError, codeInternal, "PostgreSQL failed with SQLSTATE %s; the server's log says more", pg.Code)
}
