// Package contender has the programs that the product is measured against, as
// child processes of the harness:
//
//   - the limit: a loop written by hand for exactly one query. Fetched bytes
//     are walked in place, one scan goes over a record to its last byte and
//     keeps the fields that count, counters lie in an open hash table, and one
//     transaction per epoch holds rows and offsets while the next epoch is
//     being read. Exactly once; no late rows, no quarantine, no other query.
//   - upserts: PostgreSQL alone. The rows of each epoch are made beforehand;
//     the clock runs over transactions that upsert them.
//   - the afternoon program: what a Go developer writes in one. A consumer
//     group, encoding/json into a struct, a map, upserts by a ticker, offsets
//     committed afterwards. At least once.
//   - on Apache Spark: the queries as a PySpark user writes them, with keyed
//     upserts, one transaction for each batch, or in the widespread shape that
//     appends what changed batch by batch.
//
// Each prints a line of JSON after every commit. A record that does not fit
// the query ends the limit and the afternoon program: a benchmark's topic has
// none.
package contender
