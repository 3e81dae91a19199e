// Package pipetest is the language of pipeline tests: text files that send
// events in a chosen order, let time pass, and say what the tables must then
// hold.
//
//	pipeline skeleton.sql
//	topic raw_data 2
//
//	send raw_data 0
//	    {"timestamp": "2024-01-01T00:00:01Z", "type": "a", "value": 1}
//	    {"timestamp": "2024-01-01T00:04:00Z", "type": "a", "value": 2}
//
//	expect processed_data
//	    timestamp        | type | value | events
//	    2024-01-01 00:00 | a    | 1.5   | 2
//
// A script is a list of statements, which are run one after the other. After
// each the runner waits until all that was sent is read, decided and
// committed, so a script means the same on every machine. docs/testing.md
// describes the language.
//
// Scripts run in several modes (plain, a restart after each statement, two and
// three workers, one record at a time) that must all give what the script
// expects, and each run ends with the oracle: the tables must also be what
// PostgreSQL makes of the log. A script that fails gives a diff with the line
// that it does not hold for; one that can't be read gives all that is wrong
// with it, with places.
package pipetest
