// Package kafka runs the whole line on Apache Kafka itself: what passes on
// the embedded broker is shown to pass on the real one.
//
// test/kafka/run fetches the broker's jars and runs it. Without them, that is
// without MILLSTREAM_TEST_KAFKA naming their folder, the tests are skipped.
package kafka
