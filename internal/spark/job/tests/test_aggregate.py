"""aggregate_events: groups of a batch."""

from millstream_job import aggregate_events, parse_kafka_records
from millstream_job.aggregate import WATERMARK


def groups(job, records, *values):
    view = job.view("averages")
    rows = parse_kafka_records(records(*values), view.topics[0]).where("kept")
    return aggregate_events(rows, view)


def event(minute, sensor="a", **fields):
    return {"at": f"2026-01-05T10:{minute:02}:00Z", "sensor": sensor, **fields}


def test_groups_by_window_and_key(job, records):
    out = {(r.window_end.minute, r.k0): r for r in groups(
        job, records, event(1, value=1.0, price="1.50"), event(4, value=20.0, price="2.25"), event(5, value=3.0), event(2, "b")).collect()}
    assert set(out) == {(5, "a"), (10, "a"), (5, "b")}
    a = out[5, "a"]
    assert (a.a0, a.n0, str(a.a1), a.a2, a.a3) == (21.0, 2, "3.75", 2, 1)
    assert out[10, "a"].a1 is None and out[5, "b"].n0 == 0


def test_window_end_bounds_the_state(job, records):
    frame = groups(job, records, event(1))
    assert frame.schema["window_end"].metadata.get(WATERMARK) == 5 * 60 * 1000


def test_view_without_groups_passes_rows_on(job, records):
    view = job.view("rows_out")
    rows = parse_kafka_records(records(event(1, value=4)), view.topics[0])
    assert aggregate_events(rows, view) is rows
    assert [r.o1 for r in rows.collect()] == ["25"]
