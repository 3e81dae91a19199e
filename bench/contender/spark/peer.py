"""The queries Y and S as a Spark user writes them, with PySpark and nothing of
the product: what the benchmarks measure it against.

    tuned     keyed upserts, one transaction for each micro-batch
    skeleton  the widespread shape of such a job: update mode, and every
              micro-batch appended through JDBC

Standard input says what to do, as for the other contenders; after each batch a
line of JSON tells how many events and rows have been committed.
"""

import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# Kafka's consumer, as its documentation advises for throughput: large fetches.
CONSUMER = {
    "kafka.max.poll.records": "20000",
    "kafka.max.partition.fetch.bytes": str(8 << 20),
    "kafka.fetch.max.bytes": str(32 << 20),
    "kafka.receive.buffer.bytes": str(1 << 20),
}

DRIVER = {"driver": "org.postgresql.Driver", "reWriteBatchedInserts": "true", "batchsize": "10000"}

KEYS = {"Y": ["campaign_id", "window_start"], "S": ["timestamp", "type"]}
STAGING = "peer_staging"
BATCHES = "peer_batches"


def main():
    config = json.load(sys.stdin)
    # Standard output is for commits alone; Spark's JVM gets standard error for its own.
    commits = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    spark = SparkSession.builder.appName("peer").config(map=config["Settings"]).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    Peer(spark, config, commits).run()
    spark.stop()


class Peer:
    def __init__(self, spark, config, commits):
        self.spark, self.config, self.commits = spark, config, commits
        self.query, self.tuned = config["Workload"], config["Kind"] == "spark"
        self.table = config["Table"]
        self.url, self.properties = jdbc(config["Database"])
        self.checkpoint = Path(config["Folder"]) / "checkpoint"
        self.rows = 0
        self.connection = self.connect()

    def run(self):
        self.prepare()
        groups = {"Y": self.yahoo, "S": self.skeleton}[self.query](self.records())
        query = (groups.writeStream.outputMode("update").foreachBatch(self.write).option("checkpointLocation", self.checkpoint.as_uri())
                 .trigger(availableNow=True).start())
        query.awaitTermination()

    def prepare(self):
        """The result's table is there; a tuned job needs two more."""
        if self.tuned:
            self.execute(f"CREATE UNLOGGED TABLE {STAGING} (LIKE {self.table})")
            self.execute(f"CREATE TABLE {BATCHES} (batch bigint PRIMARY KEY)")
            self.connection.commit()

    def records(self):
        reader = (self.spark.readStream.format("kafka").option("kafka.bootstrap.servers", self.config["Broker"])
                  .option("subscribe", self.config["Topic"]).option("startingOffsets", "earliest"))
        if self.config["BatchEvents"] > 0:
            reader = reader.option("maxOffsetsPerTrigger", self.config["BatchEvents"])
        if self.tuned:
            reader = reader.options(**CONSUMER)
        return reader.load().select(F.col("value").cast("string").alias("value"))

    def yahoo(self, records):
        ads = self.spark.read.jdbc(self.url, "ads", properties=self.properties).cache()
        events = (records.select(F.from_json("value", "ad_id STRING, event_type STRING, event_time STRING").alias("e")).select("e.*")
                  .where("event_type = 'view'").withColumn("at", F.timestamp_millis(F.col("event_time").cast("long"))))
        joined = events.withWatermark("at", "10 seconds").join(F.broadcast(ads), "ad_id")
        return (joined.groupBy("campaign_id", F.window("at", "10 seconds")).agg(F.count("*").alias("views"), F.max("at").alias("last_view"))
                .select("campaign_id", F.col("window.start").alias("window_start"), "views", "last_view"))

    def skeleton(self, records):
        events = records.select(F.from_json("value", "timestamp TIMESTAMP, type STRING, value DOUBLE").alias("e")).select("e.*").where("timestamp IS NOT NULL")
        groups = events.withWatermark("timestamp", "5 minutes").groupBy(F.window("timestamp", "5 minutes"), "type")
        return (groups.agg(F.avg("value").alias("value"), F.count("*").alias("events"))
                .select(F.col("window.start").alias("timestamp"), "type", "value", "events"))

    def write(self, batch, number):
        target = STAGING if self.tuned else self.table
        batch.write.jdbc(self.url, target, mode="append", properties=self.properties)
        if self.tuned:
            self.merge(number, batch.columns)
        else:
            self.rows = self.count()
        self.tell(number)

    def merge(self, number, columns):
        """One transaction: a batch that comes again changes nothing."""
        keys = KEYS[self.query]
        names, key = quoted(columns), quoted(keys)
        changes = ", ".join(f'"{c}" = excluded."{c}"' for c in columns if c not in keys)
        if self.execute(f"INSERT INTO {BATCHES} VALUES ({int(number)}) ON CONFLICT DO NOTHING") == 1:
            self.rows += self.execute(
                f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {STAGING} ORDER BY {key} ON CONFLICT ({key}) DO UPDATE SET {changes}")
        self.execute(f"TRUNCATE {STAGING}")
        self.connection.commit()

    def tell(self, number):
        """Spark has written the batch's ends into its checkpoint before it began."""
        lines = (self.checkpoint / "offsets" / str(number)).read_text().splitlines()
        events = sum(offset for topic in json.loads(lines[2]).values() for offset in topic.values())
        print(json.dumps({"at": datetime.now(timezone.utc).isoformat(), "events": events, "rows": self.rows}), file=self.commits, flush=True)

    def connect(self):
        properties = self.spark._jvm.java.util.Properties()
        for name, value in self.properties.items():
            if name not in ("driver", "batchsize"):
                properties.setProperty(name, value)
        connection = self.spark._jvm.org.postgresql.Driver().connect(self.url, properties)
        connection.setAutoCommit(False)
        return connection

    def execute(self, sql):
        statement = self.connection.createStatement()
        try:
            statement.execute(sql)
            return statement.getUpdateCount()
        finally:
            statement.close()

    def count(self):
        statement = self.connection.createStatement()
        try:
            result = statement.executeQuery(f"SELECT count(*) FROM {self.table}")
            result.next()
            return result.getLong(1)
        finally:
            statement.close()
            self.connection.rollback()


def quoted(names):
    return ", ".join(f'"{n}"' for n in names)


def jdbc(url):
    parts = urlsplit(url)
    properties = {**DRIVER, "user": parts.username or "postgres"}
    if parts.password:
        properties["password"] = parts.password
    return f"jdbc:postgresql://{parts.hostname}:{parts.port}{parts.path}", properties


main()
