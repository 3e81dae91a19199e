#!/bin/bash
exec /opt/kafka/bin/java-main org.apache.zookeeper.server.quorum.QuorumPeerMain "$@"
