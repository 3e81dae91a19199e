// Package machine runs what a benchmark stands on, and reads what the kernel
// knows of it: an Apache Kafka broker from its published jars, a PostgreSQL
// server of the benchmark's own with fsync, the CPU seconds and the memory of
// a process and its children.
//
// Servers listen on free loopback ports, keep their data below one scratch
// folder, and end with Close or with the process that started them. What
// fails to start says what it logged.
package machine
