"""Rows to what a view's table holds."""

from functools import reduce

from pyspark.sql import functions as F

# Spark finds the column whose watermark bounds a state by this mark.
WATERMARK = "spark.watermarkDelayMs"

# A condition on a column alone would be moved before the watermark, which
# every decoded record moves, taken by the view or not.
TAKEN = "CASE WHEN event_time IS NULL THEN false ELSE kept END"


def watermarked(rows, topic):
    """Rows of a topic with its watermark, those that the view takes."""
    return rows.withWatermark("event_time", f"{topic.watermark_ms} milliseconds").where(TAKEN)


def aggregate_events(df, view):
    """The view's groups by Spark SQL, or the rows as they are where it has none.

    df holds the rows of all its topics, watermarked; see `watermarked`. The
    window's end takes the watermark's mark over: a group goes from the state,
    and in append mode comes out, when its window has ended.
    """
    if view.sql == "":
        return df
    if view.windowed:
        delay = max(t.watermark_ms for t in view.topics)
        others = [c for c in df.columns if c != "window_end"]
        df = df.select(*others, F.col("window_end").alias("window_end", metadata={WATERMARK: delay}))
    return df.sparkSession.sql(view.sql.replace(" FROM rows", " FROM {rows}", 1), rows=df)


def union(frames):
    return reduce(lambda a, b: a.unionByName(b), frames)
