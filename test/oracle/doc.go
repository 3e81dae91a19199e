// Package oracle recomputes a pipeline's tables without the engine: it reads
// the raw topics with a consumer of its own, has PostgreSQL decode the
// records and run the views' queries as a batch, and compares what comes out
// with what the engine has written, row for row.
//
// It imports no package of the engine, the planner or the expressions, so
// that a mistake there can't be made here as well. What it takes from the
// engine is what the clock decided and stands in the commits (floors, refusals of
// the future), and the ledgers; and it checks those:
//
//   - every record in quarantine is put to PostgreSQL and must fail there
//     with the same SQLSTATE, every other record must not fail;
//   - a record is late exactly where its partition's own watermark, which is
//     recomputed, or the recorded floor says so;
//   - the counts of each view are recomputed.
//
// Everything happens in temporary tables of one session: nothing is left
// behind, and nothing but TEMP on the database is needed.
//
// Comparison is by text, column by column, so 1.0 and 1.00 differ. Floating
// point columns of grouped views, which hold sums whose order is free, may
// differ by FloatTolerance (relative to the greater of the two), single
// precision ones by RealTolerance. approx_count_distinct is compared with the
// exact number within CountTolerance; approx_percentile is computed as it is
// defined.
package oracle
