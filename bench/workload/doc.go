// Package workload defines what is measured: topics of made events, the
// pipeline over each, and the table that must come out of it.
//
// What holds:
//
//  1. Event i is a function of the workload's seed and i alone. So the
//     expected table is counted from the events' fields, apart from the bytes
//     that went to Kafka and from every program that is measured.
//  2. Fields that compress well when repeated (ids of users and pages) are
//     fresh in each event.
//
// A table that differs is reported with the first rows that do.
package workload
