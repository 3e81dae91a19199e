"""Named points at which a test kills the driver: MILLSTREAM_FAILPOINT=name:hit."""

import os
import signal

POINTS = (
    "spark.before_staging",  # the batch is known, nothing was written
    "spark.mid_staging",  # a part of the rows is staged
    "spark.staged",  # all rows are staged
    "spark.fence_held",  # the pipeline's row is locked and was checked
    "spark.mid_merge",  # the first statement of the merge has run
    "spark.merged",  # rows and ledgers are in their tables
    "spark.row_written",  # the row of spark_commits is written, nothing committed
    "spark.committed",  # PostgreSQL has committed, Spark does not know it
)

_name, _, _hit = os.environ.get("MILLSTREAM_FAILPOINT", "").partition(":")
_left = int(_hit or 1)


def armed(name):
    return name == _name


def hit(name):
    global _left
    if name not in POINTS:
        raise ValueError(name)
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getppid(), signal.SIGKILL)  # the JVM, which has started this process
        os.kill(os.getpid(), signal.SIGKILL)
