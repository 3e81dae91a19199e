"""The application: one streaming query for each view and each topic's ledger."""

import json
import os
import sys
import threading
import traceback

from pyspark import SparkFiles
from pyspark.sql import SparkSession

from . import sink
from .aggregate import aggregate_events, union, watermarked
from .checkpoint import Checkpoint
from .database import Connection
from .job import Job
from .parse import JOB, parse_kafka_records
from .progress import Progress, least

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # A state that is no longer needed is kept on disk only; a change of plan is refused by Spark.
    "spark.sql.streaming.stateStore.providerClass": "org.apache.spark.sql.execution.streaming.state.HDFSBackedStateStoreProvider",
    "spark.sql.streaming.statefulOperator.checkCorrectness.enabled": "true",
}

# How often progress is noted and a wish to stop is looked for, in seconds.
PERIOD = 1.0


def main():
    spark = SparkSession.builder.appName("millstream").getOrCreate()
    job = Job.read(os.environ.get("MILLSTREAM_JOB") or SparkFiles.get(JOB))
    defaults = spark.sparkContext.getConf()
    for name, value in SETTINGS.items():
        if name.startswith("spark.sql.session") or name.startswith("spark.sql.ansi") or not defaults.contains(name):
            try:
                spark.conf.set(name, value)
            except Exception:  # noqa: BLE001 - a setting that this Spark fixes at its start
                pass
    return Application(spark, job).run()


class Application:
    def __init__(self, spark, job):
        self.spark, self.job = spark, job
        self.kafka = kafka_options()
        self.until_end = os.environ.get("MILLSTREAM_UNTIL_END") == "true"
        self.checkpoint = os.environ["SPARK_CHECKPOINT_LOCATION"].rstrip("/")
        self.group = os.environ.get("KAFKA_GROUP_ID", "")
        self.interval = os.environ.get("MILLSTREAM_SPARK_TRIGGER", "1 second")
        self.limit = int(os.environ.get("MILLSTREAM_SPARK_MAX_OFFSETS", "0"))
        self.queries, self.topics = {}, {}

    def run(self):
        generation, build = self.take_over()
        self.sink = sink.Sink(self.spark, self.job.pipeline, generation, build)
        sink.use(self.sink)
        self.progress = Progress(self.spark, self.job, generation)
        self.progress.start()
        try:
            for view in self.job.views:
                self.queries[view.name] = self.start(view)
            failure = self.wait()
        except Exception as e:  # noqa: BLE001 - whatever it is, the row says so
            traceback.print_exc()
            failure = str(e)
        for q in self.queries.values():
            q.stop()
        self.show_offsets()
        self.progress.tell(list(self.queries.values()))
        self.progress.end("failed" if failure else "stopped", failure)
        if failure:
            print(f"millstream: {failure}", file=sys.stderr)
        self.spark.stop()
        return 1 if failure else 0

    def take_over(self):
        """Raises the generation: an older driver can write no more."""
        c = Connection(self.spark)
        try:
            sink.queue(c, self.job.pipeline, "")
            rows = c.query("UPDATE millstream.pipelines SET generation = generation + 1 WHERE name = ? RETURNING generation, build, definition_hash", self.job.pipeline)
            if not rows:
                raise SystemExit(f"millstream: the database knows no pipeline {self.job.pipeline!r}: `millstream spark submit` deploys it")
            if rows[0][2] != self.job.hash:
                raise SystemExit(f"millstream: pipeline {self.job.pipeline!r} has been deployed with another definition meanwhile")
            c.commit()
            return int(rows[0][0]), int(rows[0][1])
        finally:
            c.close()

    def frame(self, view):
        """The view as a stream."""
        frames = []
        for topic in view.topics:
            reader = self.spark.readStream.format("kafka")
            for name, value in {**self.kafka[topic.server], **topic.options}.items():
                reader = reader.option(name, value)
            if self.limit > 0:
                reader = reader.option("maxOffsetsPerTrigger", self.limit)
            rows = parse_kafka_records(reader.load(), topic)
            frames.append(rows if topic.ledger else watermarked(rows, topic))
        return aggregate_events(union(frames), view)

    def start(self, view):
        path = f"{self.checkpoint}/{self.job.pipeline}/{self.sink.build}/{view.folder}"
        self.sink.queries[view.name] = Checkpoint(self.spark, path)
        writer = self.frame(view).writeStream.queryName(view.name).outputMode(view.output_mode)
        writer = writer.option("checkpointLocation", path)
        writer = writer.trigger(availableNow=True) if self.until_end else writer.trigger(processingTime=self.interval)

        def write(batch, batch_id):
            sink.write_to_postgres(batch, batch_id, view)

        return writer.foreachBatch(write).start()

    def wait(self):
        """Until the ends are reached, a wish to stop, or a failure: gives the failure."""
        ticks = threading.Event()
        while True:
            running = [q for q in self.queries.values() if q.isActive]
            for name, q in self.queries.items():
                if not q.isActive and q.exception() is not None:
                    return f"{name}: {reason(q.exception())}"
            if not running:
                return None
            self.show_offsets()
            if self.progress.tell(list(self.queries.values())):
                return None
            ticks.wait(PERIOD)

    def show_offsets(self):
        try:
            for server, options in self.kafka.items():
                self.progress.commit_offsets(self.group, {k.removeprefix("kafka."): v for k, v in options.items()}, self.positions(server))
        except Exception as e:  # noqa: BLE001 - for lag tools only: reading never depends on it
            print(f"the consumer group's offsets were not shown: {e}", file=sys.stderr)

    def positions(self, server):
        frames = []
        for view in self.job.views:
            last = self.queries[view.name].lastProgress if view.name in self.queries else None
            if last is None:
                continue
            for topic, source in zip(view.topics, last["sources"]):
                end = source["endOffset"]
                if topic.server != server or not end:
                    continue
                end = json.loads(end) if isinstance(end, str) else end
                frames.append({(name, int(p)): offset for name, parts in end.items() for p, offset in parts.items()})
        return least(frames)


def reason(e):
    """The first line that says something of a query's failure."""
    text = str(e)
    for mark in ("millstream_job.sink.Fenced: ", "millstream_job.sink.CheckpointError: ", "millstream_job.database.DatabaseError: "):
        if mark in text:
            return text.split(mark, 1)[1].split("\n", 1)[0]
    return text


def kafka_options():
    """How each cluster is reached, by the name of its server: from the environment."""
    return json.loads(os.environ["MILLSTREAM_SPARK_KAFKA"])
