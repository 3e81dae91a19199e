package expr

// Codes describes the stable codes of this package's diagnostics.
func Codes() map[string]string { return nil }
