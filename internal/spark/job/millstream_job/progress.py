"""What the application tells of itself: its row in spark_applications, and the
consumer group's offsets, which Spark itself never commits."""

import json
import sys

from .database import Connection, DatabaseError


class Progress:
    def __init__(self, spark, job, generation):
        self.spark, self.job, self.generation = spark, job, generation
        self.connection = None
        self.committed = {}

    def start(self):
        sc = self.spark.sparkContext
        self.ask(
            """INSERT INTO millstream.spark_applications (pipeline, generation, application_id, spark_version, master, ui, state)
            VALUES (?, ?::bigint, ?, ?, ?, ?, 'running') ON CONFLICT (pipeline) DO UPDATE SET generation = EXCLUDED.generation,
            application_id = EXCLUDED.application_id, spark_version = EXCLUDED.spark_version, master = EXCLUDED.master, ui = EXCLUDED.ui,
            state = 'running', message = NULL, progress = '{}', stop_requested = false, started_at = now(), seen_at = now()""",
            self.job.pipeline, self.generation, sc.applicationId, sc.version, sc.master, sc.uiWebUrl)

    def tell(self, queries):
        """Notes the queries' progress; True if the application is asked to stop."""
        progress = {q.name: q.lastProgress if isinstance(q.lastProgress, dict) else json.loads(q.lastProgress.json)
                    for q in queries if q.lastProgress is not None}
        try:
            rows = self.ask(
                """UPDATE millstream.spark_applications SET progress = ?::jsonb, seen_at = now()
                WHERE pipeline = ? AND generation = ?::bigint RETURNING stop_requested""",
                json.dumps(progress, default=str), self.job.pipeline, self.generation)
        except DatabaseError as e:
            print(f"progress was not noted: {e}", file=sys.stderr)
            return False
        return not rows or rows[0][0] == "t"

    def end(self, state, message):
        self.ask("UPDATE millstream.spark_applications SET state = ?, message = ?, seen_at = now() WHERE pipeline = ? AND generation = ?::bigint",
                 state, message, self.job.pipeline, self.generation)

    def ask(self, sql, *args):
        try:
            if self.connection is None:
                self.connection = Connection(self.spark)
            rows = self.connection.query(sql, *args)
            self.connection.commit()
            return rows
        except DatabaseError:
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            raise

    def commit_offsets(self, group, options, positions):
        """Shows the group's position to lag tools. positions: (topic, partition) to offset."""
        if not group or not positions or positions == self.committed:
            return
        jvm = self.spark._jvm
        properties = jvm.java.util.Properties()
        for name, value in options.items():
            properties.setProperty(name, value)
        admin = jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
        try:
            offsets = jvm.java.util.HashMap()
            for (topic, partition), offset in positions.items():
                offsets.put(jvm.org.apache.kafka.common.TopicPartition(topic, partition),
                            jvm.org.apache.kafka.clients.consumer.OffsetAndMetadata(jvm.java.lang.Long.parseLong(str(offset))))
            admin.alterConsumerGroupOffsets(group, offsets).all().get()
            self.committed = positions
        finally:
            admin.close()


def least(frames):
    """The least of several positions by partition: what all queries have read."""
    out = {}
    for frame in frames:
        for key, offset in frame.items():
            out[key] = min(out.get(key, offset), offset)
    return out
