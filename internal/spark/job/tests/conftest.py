"""A local session, the program, and a database of the suite's own.

MILLSTREAM_PROGRAM names the built program, DATABASE_URL a PostgreSQL database
where tests.sql is deployed as the pipeline "tests". test/spark/run sees to both.
"""

import json
import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from millstream_job import Job
from millstream_job.app import SETTINGS

KAFKA = "key binary, value binary, topic string, partition int, offset bigint, timestamp timestamp, headers array<struct<key:string,value:binary>>"


@pytest.fixture(scope="session")
def spark():
    session = SparkSession.builder.master("local[1]").appName("tests").config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "1").getOrCreate()
    for name in ("spark.sql.session.timeZone", "spark.sql.ansi.enabled"):
        session.conf.set(name, SETTINGS[name])
    yield session
    session.stop()


@pytest.fixture(scope="session")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    file = Path(__file__).with_name("tests.sql")
    plain = {k: v for k, v in os.environ.items() if not k.startswith("MILLSTREAM_")}  # the program refuses variables that it does not know
    plan = [os.environ["MILLSTREAM_PROGRAM"], "spark", "plan", str(file)]
    description = subprocess.run(plan, check=True, stdout=subprocess.PIPE, cwd=folder, env=plain).stdout
    (folder / "job.json").write_bytes(description)
    os.environ["MILLSTREAM_JOB"] = str(folder / "job.json")
    return Job(json.loads(description))


@pytest.fixture
def records(spark):
    """Makes a frame as Spark's Kafka source gives it, of values at offsets 0, 1, ..."""

    def make(*values):
        now = datetime.now(timezone.utc)
        rows = [(None, v if v is None or isinstance(v, bytes) else json.dumps(v).encode(), "readings", 0, i, now, None) for i, v in enumerate(values)]
        return spark.createDataFrame(rows, KAFKA)

    return make
