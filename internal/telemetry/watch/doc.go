// Package watch says what is to be watched: the alert rules for Prometheus,
// Grafana's board, and what the manual says of each alert. The files under
// deploy/ and a part of docs/operations.md are written from it by
//
//	go test ./internal/telemetry/watch -update
//
// and a test fails while they differ.
//
// Invariant: an expression names only metrics that telemetry.Families has,
// and labels that they carry. Check fails otherwise; that expressions are
// sound PromQL, and fire when they should, is tested by Prometheus itself in
// test/prometheus.
package watch
