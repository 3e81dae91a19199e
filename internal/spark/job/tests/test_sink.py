"""write_to_postgres: batches against a real PostgreSQL."""

import pytest

from millstream_job import aggregate_events, parse_kafka_records, sink
from millstream_job.database import Connection
from millstream_job.sink import CheckpointError, Fenced, Sink, write_to_postgres

from test_aggregate import event

PIPELINE = "tests"


class Place:
    """Stands for the checkpoint of a query: batch n ends at offset 10 (n + 1)."""

    def __init__(self, query="q1", shift=0):
        self.query, self.shift = query, shift

    def place(self, batch):
        def ends(n):
            return None if n < 0 else [{"readings": {"0": 10 * (n + 1) + self.shift}}]

        return self.query, ends(batch - 1), ends(batch), 0


@pytest.fixture
def database(spark, job):
    c = Connection(spark)
    c.run("DELETE FROM millstream.spark_commits; DELETE FROM millstream.spark_staging; DELETE FROM millstream.quarantine; DELETE FROM millstream.group_errors;"
          " TRUNCATE averages, rows_out, ratios; UPDATE millstream.pipelines SET generation = 1")
    c.commit()
    yield c
    c.rollback()
    c.close()


@pytest.fixture
def target(spark, job, database):
    s = Sink(spark, PIPELINE, 1, 1)
    s.queries = {v.name: Place() for v in job.views}
    sink.use(s)
    return s


@pytest.fixture
def send(job, records):
    def make(view, batch, *values):
        v = next(x for x in job.views if x.name == view)
        rows = parse_kafka_records(records(*values), v.topics[0])
        if v.kind == "view":
            rows = rows.where("kept")
        return write_to_postgres(aggregate_events(rows, v), batch, v)

    return make


def table(database, sql):
    rows = database.query(sql)
    database.commit()
    return rows


AVERAGES = "SELECT to_char(window_start, 'HH24:MI'), sensor, mean, paid, n, high FROM averages ORDER BY 1, 2"

STAGED = "SELECT count(*) FROM millstream.spark_staging"


def test_whole_values_replace(target, database, send):
    assert send("view averages", 0, event(1, value=2, price="1.10"), event(7, "b"))
    assert table(database, AVERAGES) == [("10:00", "a", "2", "1.10", "1", "0"), ("10:05", "b", None, None, "1", "0")]
    assert send("view averages", 1, event(1, value=2, price="1.10"), event(2, value=20, price="0.05"))
    assert table(database, AVERAGES)[0] == ("10:00", "a", "11", "1.15", "2", "1")
    assert table(database, STAGED) == [("0",)]


def test_batch_is_written_once(target, database, send):
    assert send("view averages", 0, event(1, value=2))
    assert not send("view averages", 0, event(1, value=99))
    assert table(database, AVERAGES)[0][2] == "2"


def test_having_takes_rows_away(target, database, send):
    send("view averages", 0, event(1))
    send("view averages", 1, *[event(1)] * 4)
    assert table(database, AVERAGES) == []


def test_group_that_fails_is_listed_and_healed(target, database, send):
    send("view ratios", 0, event(1), event(2), event(1) | {"at": "2026-01-05T11:00:00Z"})
    assert table(database, "SELECT ratio FROM ratios") == [("-1",)]
    assert table(database, "SELECT view_name, sqlstate, message FROM millstream.group_errors") == [("ratios", "22012", "division by zero")]
    send("view ratios", 1, event(1), event(2), event(3))
    assert table(database, "SELECT ratio FROM ratios ORDER BY window_start") == [("1",), ("-1",)]
    assert table(database, "SELECT count(*) FROM millstream.group_errors") == [("0",)]


def test_ledger(target, database, send):
    send("ledger readings", 0, b"{", event(1, value=0), event(2, value=5))
    send("ledger readings", 1, b"{")
    assert table(database, "SELECT \"offset\", cause, coalesce(view_name, '-'), sqlstate, convert_from(payload, 'UTF8') = '{' FROM millstream.quarantine ORDER BY 1") == [
        ("0", "decode", "-", "22P02", "t"), ("1", "expression", "rows_out", "22012", "f")]


def test_task_that_ran_twice_counts_once(target, database, job, records):
    view = job.view("rows_out")
    rows = parse_kafka_records(records(event(1, value=4)), view.topics[0])
    write_to_postgres(rows.union(rows), 0, view)
    assert table(database, "SELECT sensor, share FROM rows_out") == [("a", "25")]


def test_older_driver_is_fenced(target, database, send):
    database.run("UPDATE millstream.pipelines SET generation = 2")
    database.commit()
    with pytest.raises(Fenced, match="generation is 2"):
        send("view averages", 0, event(1))
    assert table(database, AVERAGES) == []
    assert table(database, STAGED) == [("0",)]


def test_lost_checkpoint_is_refused(target, database, send):
    send("view averages", 0, event(1, value=2))
    target.queries["view averages"] = Place("q2")
    with pytest.raises(CheckpointError, match="lost and begun again"):
        send("view averages", 0, event(1, value=3))
    assert table(database, AVERAGES)[0][2] == "2"
    assert table(database, STAGED) == [("0",)]


def test_older_copy_of_a_checkpoint_is_refused(target, database, send):
    for batch in range(3):
        send("view averages", batch, event(1, value=batch))
    with pytest.raises(CheckpointError, match="does not follow"):
        send("view averages", 1, event(1, value=9))
    target.queries["view averages"] = Place(shift=5)
    with pytest.raises(CheckpointError, match="does not follow"):
        send("view averages", 2, event(1, value=9))


def test_tables_that_are_older_than_the_checkpoint_are_refused(target, database, send):
    with pytest.raises(CheckpointError, match="at batch 4 and the tables hold nothing"):
        send("view averages", 4, event(1))
