// Package spark tests the Spark engine with the real Apache Spark, Apache
// Kafka and PostgreSQL: that it and the native engine make the same tables,
// and that a driver that is killed at any point writes everything once.
// test/spark/run fetches what is needed and starts it.
package spark
