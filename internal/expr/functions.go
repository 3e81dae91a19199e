package expr

// Function is one line of the function table.
type Function struct {
	Name string
}

// Document gives the function list of the SQL reference, as Markdown.
func Document() string { return "" }
