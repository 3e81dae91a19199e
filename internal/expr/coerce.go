package expr

import "github.com/millstream-dev/millstream/internal/column"

// Coerce makes e a value of type t as an assignment does: implicit and
// assignment casts, and the type's modifier, which fails rows that do not
// fit. The error is a *diag.Diagnostic without position.
func Coerce(e Expr, t column.Type) (Expr, error) { panic("being built") }

// Unify gives the expressions the type that UNION, CASE and COALESCE would
// give them. The error is a *diag.Diagnostic without position.
func Unify(exprs []Expr) ([]Expr, column.Type, error) { panic("being built") }
