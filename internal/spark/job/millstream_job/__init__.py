"""The Spark side of Millstream: Kafka topics to PostgreSQL tables.

Three functions do the work, and may be imported and built upon:

    parse_kafka_records(df, topic)            Kafka records to rows
    aggregate_events(df, view)                rows to groups, by Spark SQL
    write_to_postgres(batch, batch_id, view)  a batch into its table, once

`topic` and `view` are objects of a Job, which `millstream spark plan` prints.
"""

from .aggregate import aggregate_events
from .job import Job, Topic, View
from .parse import parse_kafka_records
from .sink import write_to_postgres

__all__ = ["Job", "Topic", "View", "aggregate_events", "parse_kafka_records", "write_to_postgres"]
