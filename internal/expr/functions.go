package expr

// Function is one line of the function table.
type Function struct{ Name string }
