// Package house holds the rules of this repository that no linter knows, as
// tests with messages that say what to do: links of the documents lead
// somewhere, tests that are named exist, tables that repeat the code repeat
// it rightly, every library has its reason, every package says what it is for.
//
// It has no code of its own; nothing imports it.
package house
