// Package version says which build this is.
package version

// Version is set when the program is linked.
var Version = "dev"
