// Package spark runs a pipeline file on Apache Spark: Structured Streaming
// reads Kafka, shuffles, aggregates and keeps state; Millstream compiles,
// submits, supervises and serves.
//
//	plan.Pipeline ──Describe──▶ Job (JSON) ──▶ spark-submit job.py ──▶ PostgreSQL
//	                                             │ one query per view, one per topic's ledger
//	                                             └ on each executor: `millstream spark rows`
//
// Whether a record decodes, what an expression gives, and which window a time
// is in, is decided by the program's own code, which the job ships to the
// executors (Rows): the two engines can't differ in it. What Spark computes is
// printed from the typed plan: grouping, aggregates, state, watermark.
// Expressions above aggregates are printed for PostgreSQL, which evaluates
// them in the transaction that merges a batch.
//
// Invariants:
//
//  1. A batch of a query reaches the tables once: staging rows, merge, ledger
//     and the row of spark_commits go in one transaction, which holds the
//     pipeline's row locked and has seen there the driver's own generation.
//  2. Batches of a query follow one another without gap, and each begins at
//     the offsets at which the one before it ended: a checkpoint that was
//     lost, or is older than the tables, is refused.
//  3. Rows carry whole values, never deltas.
//  4. No address with a password stands on a command line or in the job's
//     description: secrets go through the environment.
package spark
