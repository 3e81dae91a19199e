package expr

// SQL gives the expression as PostgreSQL text.
func SQL(e Expr) string { panic("being built") }
