// Package telemetry is what an operator sees of Millstream: logs, metrics,
// and the admin listener that serves metrics and profiles. Below it, otlp
// sends traces and metrics to a collector, and watch says what is to be
// watched: alerts and the board.
//
// Invariants:
//
//  1. Metrics live in a registry of their own (never the process-wide one),
//     all of them declared in metrics.go, under the names and base units that
//     Prometheus asks for: seconds, bytes, `_total` for counters.
//  2. Nothing here is called per record. The engine reports once per epoch
//     and commit, with sums.
//  3. Telemetry never fails its caller: a log line or a sample that can't be
//     written is lost.
//
// The admin listener binds to loopback unless told otherwise: profiles show
// the process's memory.
package telemetry
