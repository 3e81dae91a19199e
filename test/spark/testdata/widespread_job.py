"""The widespread shape of such a job, for the migration's proof: update mode
with a JDBC append. Only the count of events, n, is added to what such jobs
write, so that one sees which events are in a row.
"""

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# As on Spark 3: with Spark 4's default one odd timestamp stops the query.
spark = SparkSession.builder.appName("widespread").config("spark.sql.ansi.enabled", "false").config("spark.sql.session.timeZone", "UTC").getOrCreate()

raw = (spark.readStream.format("kafka").option("kafka.bootstrap.servers", os.environ["KAFKA_BROKERS"]).option("subscribe", "raw_data")
       .option("startingOffsets", "earliest").option("maxOffsetsPerTrigger", os.environ["BATCH"]).load())
events = (raw.select(F.from_json(F.col("value").cast("string"), "timestamp STRING, type STRING, value DOUBLE").alias("e")).select("e.*")
          .withColumn("timestamp", F.to_timestamp("timestamp", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS")))
averages = (events.withWatermark("timestamp", "5 minutes").groupBy(F.window("timestamp", "5 minutes"), "type")
            .agg(F.avg("value").alias("value"), F.count("*").alias("n")))


def write(batch, _):
    rows = batch.select(F.col("window.start").alias("timestamp"), "type", "value", "n")
    rows.write.jdbc(os.environ["JDBC_URL"], "job.processed_data", mode="append", properties={"driver": "org.postgresql.Driver"})


(averages.writeStream.outputMode("update").foreachBatch(write).option("checkpointLocation", os.environ["CHECKPOINT"])
 .trigger(availableNow=True).start().awaitTermination())
spark.stop()
