// Package crash kills the real program and looks at what is left.
//
// The program sends itself SIGKILL at a named point (internal/failpoint): at
// the first pass there, in the next run at the second, and so on, until a run
// ends by itself. Each run goes on from what the one before it left in
// PostgreSQL. Between the kills the invariants hold. At the end of each chain
// the oracle judges the tables and ledgers, and they are those of a run that
// nobody disturbed, bit for bit.
//
// The points are read from the source, so that a new one is tried without
// being listed here, and one that is never passed fails the suite.
//
// MILLSTREAM_TEST_CRASH=full tries every pass of every point, each on a
// database of its own.
package crash
