// Package prometheus holds the tests of what is watched: alert rules and board
// by the programs that will read them. Prometheus checks and evaluates the
// rules, on situations written down and on the running program; TypeScript
// holds the board to Grafana's published schema.
//
// test/prometheus/run fetches these programs and runs the tests; without it,
// the tests are skipped.
package prometheus
