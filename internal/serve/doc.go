// Package serve is Millstream's HTTP interface: rows of tables and views,
// the pipeline's status, records posted to topics, health, metrics, and the
// OpenAPI document that describes it all.
//
//	request ─▶ limits, headers ─▶ host, key ─▶ router ─▶ handler
//	                                             │
//	      GET /v1/tables/{name} ─▶ filter.Parse ─┴▶ catalog ─▶ one snapshot ─▶ socket
//	      POST /v1/topics/{topic} ─▶ split ─▶ decode ─▶ Producer
//
// Invariants:
//
//  1. An answer comes from one snapshot of PostgreSQL, and its headers name
//     the commit and the watermark of that same snapshot.
//  2. Identifiers come from the catalogue, values are bound: nothing of a
//     request becomes SQL.
//  3. Memory does not grow with the answer: rows go from a cursor to the
//     socket. An answer that can't be finished is cut off, never completed as
//     if it were whole.
//  4. With a key configured, every route needs it but /livez, /readyz and
//     /health; without one the server binds to loopback only.
//  5. Every error is a problem document (RFC 9457) with a stable code.
//
// Reads run in read-only transactions with a time limit for each statement.
package serve
