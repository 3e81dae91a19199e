"""parse_kafka_records: what becomes of single records."""

import json

from millstream_job import parse_kafka_records

GOOD = {"at": "2026-01-05T10:02:00Z", "sensor": "a", "value": 12.5, "price": "1.10"}


def parse(job, records, query, *values):
    view = next(v for v in job.views if v.name == query)
    return parse_kafka_records(records(*values), view.topics[0]).collect()


def test_good_record(job, records):
    (row,) = parse(job, records, "view averages", GOOD)
    assert (row._partition, row._offset, row.kept, row.k0) == (0, 0, True, "a")
    assert row.event_time.isoformat() == "2026-01-05T10:02:00"
    assert row.window_end.isoformat() == "2026-01-05T10:05:00"
    assert (row.v0, str(row.v1), row.v2, row.v3) == (12.5, "1.10", "t", "t")


def test_filtered_record_still_moves_the_watermark(job, records):
    (row,) = parse(job, records, "view averages", {**GOOD, "sensor": "ignored"})
    assert row.kept is False and row.event_time is not None


def test_bad_records_and_tombstones_give_no_row(job, records):
    assert parse(job, records, "view averages", b"{", None, {**GOOD, "at": None}, {**GOOD, "price": 12345}) == []


def test_spellings_that_postgresql_takes(job, records):
    rows = parse(job, records, "view averages", {**GOOD, "at": "Jan 5 2026 10:02 UTC"}, {**GOOD, "at": "20260105T100200+00"}, {**GOOD, "value": "12.5"})
    assert [r.event_time.isoformat() for r in rows] == ["2026-01-05T10:02:00"] * 3
    assert rows[2].v0 == 12.5


def test_repeated_key_counts_last(job, records):
    (row,) = parse(job, records, "view averages", b'{"sensor":"x","at":"2026-01-05T10:02:00Z","sensor":"y"}')
    assert row.k0 == "y"


def refusals(job, records, *values):
    return [json.loads(r.refused) for r in parse(job, records, "ledger readings", *values)]


def test_refusals_say_why(job, records):
    out = refusals(job, records, b"not json", {**GOOD, "price": 12345}, {**GOOD, "value": None, "sensor": None})
    assert [(r["offset"], r["cause"], r["sqlstate"], r["column_name"]) for r in out] == [
        (0, "decode", "22P02", None), (1, "decode", "22003", "price"), (2, "decode", "23502", "sensor")]
    assert out[1]["message"] == "numeric field overflow"
    assert out[0]["payload_size"] == 8


def test_expression_that_fails_is_refused_for_its_view_only(job, records):
    (r,) = refusals(job, records, {**GOOD, "value": 0})
    assert (r["view_name"], r["source"], r["cause"], r["sqlstate"], r["message"]) == ("rows_out", 0, "expression", "22012", "division by zero")


def test_future_record_is_refused(job, records):
    (r,) = refusals(job, records, {**GOOD, "at": "2126-01-05T10:02:00Z"})
    assert r["cause"] == "future"
    assert parse(job, records, "view averages", {**GOOD, "at": "2126-01-05T10:02:00Z"}) == []


def test_nan_in_a_summed_numeric_is_refused(job, records):
    (r,) = refusals(job, records, {**GOOD, "price": "NaN"})
    assert (r["view_name"], r["sqlstate"]) == ("averages", "0A000")
