"""A batch into PostgreSQL, exactly once.

    tasks ──▶ millstream.spark_staging, tagged with the attempt
    driver ─▶ one transaction: lock the pipeline's row against a newer driver,
              check generation and place, merge staging into the table, write
              spark_commits. Queries of one application do so side by side.

foreachBatch calls at least once; a batch whose row stands in spark_commits is
not written again. Tasks may run twice: the merge takes each key once.
"""

import json
import sys
import uuid

from pyspark.sql import functions as F

from . import failpoint
from .database import Connection, DatabaseError, settings

STAGING = "millstream.spark_staging"


class Fenced(Exception):
    """A newer driver or engine has taken the pipeline over."""


class CheckpointError(Exception):
    """The checkpoint does not follow the tables: lost, or an older copy."""


class Sink:
    """Where one application writes. Made once, by the driver at its start."""

    def __init__(self, spark, pipeline, generation, build):
        self.spark, self.pipeline, self.generation, self.build = spark, pipeline, generation, build
        self.queries = {}  # by view: how to read the batch's place in the log

    def place(self, view, batch_id):
        """(Spark's id of the query, offsets before, offsets after, watermark in ms)"""
        return self.queries[view.name].place(batch_id)


_sink = None


def use(sink):
    """Tells write_to_postgres where to write."""
    global _sink
    _sink = sink


def write_to_postgres(batch, batch_id, view):
    """Writes one micro-batch of a view into its table, in one transaction.

    Gives True if the batch was written now, False if it stood there already.
    """
    sink = _sink
    run = str(uuid.uuid4())
    failpoint.hit("spark.before_staging")
    stage(batch, batch_id, view, run, sink.pipeline)
    failpoint.hit("spark.staged")
    connection = Connection(sink.spark)
    try:
        written = commit(connection, sink, view, batch_id, run)
    except BaseException:
        discard(connection, sink, view, run)
        raise
    finally:
        connection.close()
    failpoint.hit("spark.committed")
    return written


def discard(c, sink, view, run):
    """Undoes an attempt that was refused or failed: its staged rows go. If that
    fails too, the next batch that is written takes them away."""
    try:
        c.rollback()
        c.query("DELETE FROM millstream.spark_staging WHERE pipeline = ? AND query = ? AND run = ?", sink.pipeline, view.name, run)
        c.commit()
    except DatabaseError as e:
        print(f"rows of a batch that was not written stay in {STAGING} for now: {e}", file=sys.stderr)


def stage(batch, batch_id, view, run, pipeline):
    """Tasks write the batch's rows, each partition in a transaction."""
    cells = batch.selectExpr("array(" + ", ".join(f"CAST({c} AS STRING)" for c in view.stage) + ") AS cells")
    rows = cells.select(
        F.lit(pipeline).alias("pipeline"), F.lit(view.name).alias("query"), F.lit(batch_id).cast("bigint").alias("batch"),
        F.lit(run).alias("run"), "cells",
    )
    if failpoint.armed("spark.mid_staging"):
        write(rows.limit(1))
        failpoint.hit("spark.mid_staging")
    write(rows)


def write(rows):
    url, properties = settings()
    rows.write.jdbc(url, STAGING, mode="append", properties={**properties, "batchsize": "5000", "isolationLevel": "READ_COMMITTED"})


def commit(c, sink, view, batch_id, run):
    """The one transaction. Gives False if the batch stands there already."""
    fence(c, sink)
    failpoint.hit("spark.fence_held")
    query, before, after, watermark = sink.place(view, batch_id)
    if stands(c, sink, view, batch_id, query, before, after):
        clean(c, sink, view)
        c.commit()
        return False
    tell(c, pipeline=sink.pipeline, query=view.name, run=run, build=sink.build, batch=batch_id, generation=sink.generation, row="")
    merge(c, view, run)
    failpoint.hit("spark.merged")
    check_groups(c, view)
    c.query(
        """INSERT INTO millstream.spark_commits (pipeline, build, query, batch, generation, spark_query, offsets, watermark, rows)
        SELECT ?, ?::integer, ?, ?::bigint, ?::bigint, ?, ?::jsonb, to_timestamp(nullif(?, '0')::bigint / 1000.0),
               (SELECT count(*) FROM millstream.spark_staging WHERE pipeline = ? AND query = ? AND run = ?)""",
        sink.pipeline, sink.build, view.name, batch_id, sink.generation, query, json.dumps(after), watermark,
        sink.pipeline, view.name, run,
    )
    clean(c, sink, view)
    failpoint.hit("spark.row_written")
    c.commit()
    return True


def queue(c, pipeline, how="_shared"):
    """A place in the queue for the pipeline's row, until the transaction ends.

    Row locks are not fair: shared ones that overlap would keep a newer driver
    waiting for ever. Advisory locks are taken in the order of asking.
    """
    c.query(f"SELECT pg_advisory_xact_lock{how}(hashtextextended(?, 0))", "millstream spark " + pipeline)


def fence(c, sink):
    """Locks the pipeline's row: only the newest generation goes on. The lock is
    shared by the application's queries, and keeps a newer driver waiting."""
    queue(c, sink.pipeline)
    rows = c.query("SELECT generation, build FROM millstream.pipelines WHERE name = ? FOR SHARE", sink.pipeline)
    if not rows:
        raise Fenced(f"the database knows no pipeline {sink.pipeline!r}")
    generation, build = int(rows[0][0]), int(rows[0][1])
    if (generation, build) != (sink.generation, sink.build):
        raise Fenced(f"a newer driver or engine has taken the pipeline over: its generation is {generation} (build {build}), ours {sink.generation} ({sink.build})")


def stands(c, sink, view, batch_id, query, before, after):
    """Tells whether the batch is in the tables; refuses one that does not follow the last."""
    rows = c.query(
        "SELECT batch, spark_query, offsets FROM millstream.spark_commits WHERE pipeline = ? AND build = ?::integer AND query = ? ORDER BY batch DESC LIMIT 1",
        sink.pipeline, sink.build, view.name)
    if not rows:
        if batch_id != 0:
            raise CheckpointError(f"{view.name}: the checkpoint is at batch {batch_id} and the tables hold nothing: they were restored or made anew; remove the checkpoint, or restore the tables")
        return False
    last, spark_query, offsets = int(rows[0][0]), rows[0][1], json.loads(rows[0][2])
    if spark_query != query:
        raise CheckpointError(f"{view.name}: the checkpoint was lost and begun again (the tables are at batch {last} of query {spark_query}, this is query {query}): restore it, or build the pipeline anew under another --name")
    if batch_id == last and after == offsets:
        return True
    if batch_id == last + 1 and before == offsets:
        return False
    raise CheckpointError(f"{view.name}: batch {batch_id} does not follow batch {last}, which stands in the tables: the checkpoint is another copy than theirs; restore the one that belongs to them")


def tell(c, **values):
    for name, value in values.items():
        c.query("SELECT set_config(?, ?, true)", "millstream." + name, value)


def merge(c, view, run):
    """Runs the view's statements over the staged rows. Where a group does not
    evaluate, each is tried by itself, and those that fail are listed."""
    before = c.savepoint() if view.failed else None
    try:
        statements(c, view)
    except DatabaseError as e:
        if before is None or not data_error(e):
            raise
        c.back(before)
        one_by_one(c, view, run)


def statements(c, view):
    for i, sql in enumerate(view.merge):
        c.run(sql)
        if i == 0:
            failpoint.hit("spark.mid_merge")
    if view.healed:
        c.run(view.healed)


def one_by_one(c, view, run):
    for (row,) in c.query("SELECT id FROM millstream.spark_staging WHERE run = ? ORDER BY id", run):
        tell(c, row=row)
        before = c.savepoint()
        try:
            statements(c, view)
        except DatabaseError as e:
            if not data_error(e):
                raise
            c.back(before)
            message = str(e).removeprefix("ERROR: ").split("\n")[0]
            tell(c, row=row, sqlstate=e.state, message=message)
            c.run(view.failed)


def data_error(e):
    """SQLSTATE class 22: the values are to blame, not the statement."""
    return e.state.startswith("22")


def check_groups(c, view):
    """max_groups: a view without a window may hold so many groups and no more."""
    if view.max_groups > 1:
        (n,), = c.query(f"SELECT count(*) FROM (SELECT FROM {view.table} LIMIT {view.max_groups + 1}) AS t")
        if int(n) > view.max_groups:
            raise RuntimeError(f"{view.name} has more than {view.max_groups} groups (max_groups): group by a window, or raise it")


def clean(c, sink, view):
    """Staged rows are needed no more: this attempt's, and what dead ones have left."""
    c.query("DELETE FROM millstream.spark_staging WHERE pipeline = ? AND query = ?", sink.pipeline, view.name)
