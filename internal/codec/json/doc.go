// Package json decodes JSON records into columns as PostgreSQL's
// json_to_record does it, in one pass over the bytes.
//
// A record is read in two steps. The scan goes over every byte once, eight at
// a time in strings, and notes where the values lie that columns ask for;
// what no column asks for is checked and forgotten. The conversion then takes
// the columns in declared order and gives each value to its type's input. No
// tree is built, and a steady stream of records allocates nothing.
//
//	payload ──scan──▶ places of values ──convert──▶ vectors
//	           │                            │
//	           └─ document faults           └─ column faults
//
// Invariants:
//
//  1. Whether a record decodes depends on the columns' types, paths and NOT
//     NULL, never on Needed: columns that nobody needs are converted into a
//     scratch value by the same code, or not at all where no input can fail.
//  2. Of repeated keys the last counts, at each level by itself, as
//     value -> 'a' -> 'b' gives it for type json. (The operator #> differs: it
//     looks into every repetition.)
//  3. A record has at most one fault, the same whatever batch it comes in.
//     The order is PostgreSQL's: size; encoding (22021); grammar and depth
//     (22P02, 54001), whichever comes first; escapes that text can't hold
//     (22P05, 22P02) and a document that is no object (22023); then the
//     columns' inputs in declared order; then NOT NULL (23502) in declared
//     order; then words for the present, which PostgreSQL itself accepts.
//
// The document must be an object; where the path of every column begins with
// an index it must be an array. Limits are codec.MaxRecordBytes,
// codec.MaxDepth and maxExpansion; a record beyond one fails with Fault.Size.
package json
