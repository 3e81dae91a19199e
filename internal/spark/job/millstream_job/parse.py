"""Kafka records to rows.

What a record means is decided by Millstream's own decoder and expressions,
which run beside the task: one process for each Python worker, asked over a
pipe. So a record is good, bad or filtered here exactly when it is on the
native engine, and every function means what it means in PostgreSQL.
"""

import json
import os
import struct
import subprocess
import threading

from pyspark import SparkFiles
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType

PROGRAM = "millstream"  # names of the files that the application ships
JOB = "job.json"

_lock = threading.Lock()
_judge = None


class Judge:
    """The process that decodes and evaluates."""

    def __init__(self):
        program = os.environ.get("MILLSTREAM_PROGRAM") or SparkFiles.get(PROGRAM)
        job = os.environ.get("MILLSTREAM_JOB") or SparkFiles.get(JOB)
        self.process = subprocess.Popen([program, "spark", "rows", "--job", job], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=-1)

    def ask(self, query, input, partition, offset, timestamp, key, value, headers):
        """The cells of one record: texts and None."""
        out = [struct.pack(">HHiqq", query, input, partition, offset, timestamp), _field(key), _field(value),
               struct.pack(">I", len(headers or ()))]
        for h in headers or ():
            out.append(_field(h[0].encode()))
            out.append(_field(h[1]))
        request = b"".join(out)
        stdin, stdout = self.process.stdin, self.process.stdout
        stdin.write(struct.pack(">I", len(request)))
        stdin.write(request)
        stdin.flush()
        head = stdout.read(4)
        if len(head) < 4:
            raise RuntimeError(f"millstream spark rows has ended with {self.process.wait()}; its messages are in this task's stderr")
        return json.loads(stdout.read(struct.unpack(">I", head)[0]))


def _field(b):
    return struct.pack(">i", -1) if b is None else struct.pack(">i", len(b)) + bytes(b)


def _ask(*request):
    global _judge
    with _lock:
        if _judge is None or _judge.process.poll() is not None:
            _judge = Judge()
        return _judge.ask(*request)


def _decoder(topic):
    query, input = topic.query, topic.input

    def decode(partition, offset, timestamp, key, value, headers):
        return _ask(query, input, partition, offset, timestamp, key, value, headers)

    # Not deterministic: so that Spark evaluates it once for a record, and
    # moves no condition before it.
    return F.udf(decode, ArrayType(StringType())).asNondeterministic()


def parse_kafka_records(df, topic):
    """Rows of Kafka's records, which df holds as Spark's source gives them.

    For a view: _source, _partition, _offset and the view's columns; event_time
    carries the watermark. `kept` tells the records that WHERE takes and whose
    expressions evaluate; records that do not decode give no row. For a ledger:
    one row for each refusal, in the column refused.
    """
    timestamp = F.unix_micros("timestamp")
    headers = F.col("headers") if "headers" in df.columns else F.lit(None).cast("array<struct<key:string,value:binary>>")
    cells = _decoder(topic)("partition", "offset", timestamp, "key", "value", headers)
    rows = df.select(
        F.lit(topic.source).alias("_source"), F.col("partition").alias("_partition"), F.col("offset").alias("_offset"), cells.alias("cells"),
    )
    if topic.ledger:
        return rows.select(F.explode("cells").alias("refused"))
    rows = rows.where("size(cells) > 0")
    return rows.selectExpr("_source", "_partition", "_offset", *(f"{sql} AS {name}" for name, sql in topic.columns))
