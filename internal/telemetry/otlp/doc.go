// Package otlp sends traces and metrics to an OpenTelemetry collector: OTLP
// over HTTP, in protobuf, as the specification's version 1 says. The standard
// OTEL_* variables are heeded.
//
// It stands on protobuf's wire encoding alone: why not on OpenTelemetry's own
// libraries is said in docs/decisions/0013-otlp.md. Tests read what it writes
// with their generated types.
//
// Invariants:
//
//  1. Nobody waits for it: a trace that finds the queue full is dropped and
//     counted, and so is what the collector does not take.
//  2. What is wrong with the collector is logged when it begins and when it
//     ends, not with each request.
//  3. Stop sends what is queued, for as long as its context allows.
package otlp
