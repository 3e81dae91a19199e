// Package ledger reads the ledgers of a pipeline, quarantine and late rows, and
// asks for what is to be done with their rows: to send them through again
// (replay), or to drop them.
//
// A row of a ledger never changes: counts of commits are compared with them. What
// was asked of it stands in millstream.replays, by the record's place in the log,
// since a rebuild writes the ledgers anew; and what stands there tells in which
// state the row is:
//
//	open ──Replay──▶ requested ──a commit of the engine──▶ replayed
//	  ▲                             │ or refused
//	  └─────────────────────────────┘
//	open ──Drop──▶ dropped ──Replay by id──▶ requested
//
// Invariants:
//
//  1. One request of a row stands at a time, whoever asks for it how often: a
//     unique index holds it.
//  2. A request is one row: nothing of the tables changes before the engine
//     takes it into a commit of its own.
//
// An error of the database is given on as it is.
package ledger
