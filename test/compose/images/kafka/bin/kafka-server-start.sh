#!/bin/bash
exec /opt/kafka/bin/java-main kafka.Kafka "$@"
