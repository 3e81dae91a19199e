// Package kafka runs the whole line on each kind of broker: the embedded one,
// Apache Kafka 4 (KRaft) and Apache Kafka 3.9 with ZooKeeper. What passes on the
// embedded broker is shown to pass on the real ones: all codecs, keys, headers,
// tombstones, transactions, compacted topics.
//
// Further tests run three brokers whose leaders move and of which one dies, a
// secured broker (SASL, TLS, client certificates, ACLs), and other programs
// against the embedded broker: Kafka's console tools, kcat, confluent-kafka.
//
// test/kafka/run fetches what is needed and runs it. What is not there is
// skipped: the brokers without MILLSTREAM_TEST_KAFKA and MILLSTREAM_TEST_KAFKA39
// naming folders of jars, the Python client without
// MILLSTREAM_TEST_KAFKA_PYTHON.
package kafka
