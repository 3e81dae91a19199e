package expr

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
)

// Binder turns nodes of PostgreSQL's parse tree into typed trees.
type Binder struct {
	// Column resolves a column reference. Its error is a *diag.Diagnostic or
	// a diag.List.
	Column func(parts []string, offset int32) (Expr, error)
	// Position gives the place of a byte offset of the source.
	Position func(offset int32) diag.Position
	// Aggregates tells whether aggregate functions may be called here.
	Aggregates bool
	// Clause is where the expression stands ("WHERE"), for messages.
	Clause string
}

// Bind gives the typed tree of n, constants folded. An untyped literal stays
// column.Unknown. The error is a *diag.Diagnostic or a diag.List.
func (b *Binder) Bind(n *pg_query.Node) (Expr, error) { panic("being built") }

// BindTyped is Bind, and makes an untyped literal text, as PostgreSQL does
// for the columns of a SELECT.
func (b *Binder) BindTyped(n *pg_query.Node) (Expr, error) { panic("being built") }

// ResolveType gives the type that a type name of the parse tree means. The
// error is a *diag.Diagnostic without position.
func ResolveType(n *pg_query.TypeName) (column.Type, error) { panic("being built") }
