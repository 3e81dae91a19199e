"""The job description that `millstream spark plan` prints, as objects."""

import json
from dataclasses import dataclass

VERSION = 1


@dataclass(frozen=True)
class Topic:
    """A foreign table as one query reads it: one branch of its UNION ALL."""

    table: str
    server: str
    options: dict  # of Spark's Kafka source
    columns: list  # of the rows that the query takes from it: (name, Spark SQL)
    watermark_ms: int
    source: int  # the branch
    query: int  # numbers under which executors know query and branch
    input: int
    ledger: bool  # the rows are the refusals of bad records


@dataclass(frozen=True)
class View:
    """One streaming query: a materialized view, or a topic's ledger."""

    name: str  # "view v", "ledger t"
    kind: str
    table: str
    topics: list
    sql: str  # the aggregation over `rows`, "" where there is none
    output_mode: str
    windowed: bool
    stage: list  # Spark SQL: the cells that are written, all text
    merge: list  # PostgreSQL statements
    failed: str
    healed: str
    max_groups: int

    @property
    def folder(self):
        """The name of its checkpoint."""
        return self.name.replace(" ", "-")


class Job:
    """A whole pipeline."""

    def __init__(self, description):
        if description["version"] != VERSION:
            raise ValueError(f"job description of version {description['version']}; this job reads version {VERSION}")
        self.pipeline = description["pipeline"]
        self.schema = description["schema"]
        self.hash = description["hash"]
        self.views = [self._view(description, i, q) for i, q in enumerate(description["queries"])]

    @classmethod
    def read(cls, path):
        with open(path, encoding="utf-8") as f:
            return cls(json.load(f))

    def view(self, name):
        """The query of a materialized view."""
        return next(v for v in self.views if v.name == "view " + name)

    @staticmethod
    def _view(description, number, q):
        topics = []
        for i, branch in enumerate(q["inputs"]):
            t = description["topics"][branch["topic"]]
            topics.append(Topic(
                table=t["table"], server=t["server"], options=t["options"],
                columns=[(c["name"], c["sql"]) for c in q["columns"]],
                watermark_ms=branch["watermark_ms"], source=branch["source"], query=number, input=i,
                ledger=q["kind"] == "ledger",
            ))
        return View(
            name=q["name"], kind=q["kind"], table=q.get("table", ""), topics=topics, sql=q.get("sql", ""),
            output_mode=q["output_mode"], windowed=q["windowed"], stage=q["stage"], merge=q["merge"],
            failed=q.get("failed", ""), healed=q.get("healed", ""), max_groups=q.get("max_groups", 0),
        )
