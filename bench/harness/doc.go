// Package harness measures: it starts Kafka and PostgreSQL, fills topics, runs
// contenders as child processes in turn (A B C, A B C, …), compares their
// tables with what the events must give, and only then looks at times.
//
// What holds:
//
//  1. A run whose table is wrong, or that did not end within its limit, is a
//     failure with its reason, not a time.
//  2. Figures come from the commits: PostgreSQL's own commit times for the
//     product, the line that a child prints after a commit for the others. A
//     drain is timed from the commit that reached a fifth of the events to the
//     one that carries the last.
//  3. CPU seconds are the kernel's, of each process tree apart.
//  4. Nothing outlives the harness: children die with it, servers are stopped.
//
// Results go to files by set; the tables of the documentation are written from
// those files alone.
package harness
