package pipetest

// Codes describes the codes of this package, for `millstream explain CODE`.
var Codes = map[string]string{
	CodeStatement: "A test file has a statement that there is not, or that can't stand where it stands. docs/testing.md lists them.",
	CodeArgument:  "The words after a statement of a test file are not what it takes.",
	CodeBlock:     "The indented lines below a statement of a test file are not what it takes.",
}
