package expr

// Equal tells whether two trees are the same: same nodes, functions, types
// and constants.
func Equal(a, b Expr) bool { panic("being built") }
