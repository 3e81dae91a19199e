// Package postgres keeps a pipeline in PostgreSQL: its tables, its position,
// its state and its ledgers, which every commit changes in one transaction.
//
//	Open ──▶ Database ──Deploy──▶ tables, statements, the pipeline's row
//	            │
//	            └──Store──▶ Open (raises the generation, reads the position)
//	                          └──▶ Commit, Commit, …
//
// Invariants, cited where they are upheld:
//
//  1. Whatever a commit writes stands in one transaction, and becomes visible
//     as a whole.
//  2. A commit holds its pipeline's row locked and has seen there the
//     generation that its engine raised: an older engine can't commit.
//  3. seq is dense: a commit follows the one whose number the engine
//     believes to be the last, or fails.
//  4. A commit whose outcome is not known is never tried again before the
//     database has told that it is not there.
//  5. Values are checked before they are sent: a row that PostgreSQL refuses
//     at a commit is a bug of ours, not of the data.
//
// It fails in three classes (Classify): what heals by itself is tried again
// with a growing pause while Health tells of it; refused data and everything
// else stop the pipeline with what must be mended.
package postgres
