"""Makes the sample events, and the tables that must come out of them.

    python3 make.py

The tables are computed here in plain Python, by what docs/guarantees.md says of
late and bad records.
"""
import csv
import json
import random
from collections import defaultdict
from datetime import datetime, timedelta, timezone

random.seed(7)
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DELAY, SIZE = timedelta(minutes=5), timedelta(minutes=5)

lines, good = [], []
for i in range(600):
    at = START + timedelta(seconds=6 * i + random.uniform(-120, 120))
    if i % 50 == 49:
        at -= timedelta(minutes=20)  # late
    kind, value = f"type_{random.choice('ABC')}", round(random.uniform(0, 100), 2)
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if i % 90 == 10:
        lines.append('{"timestamp": "' + stamp + '", "type": ')  # cut
    elif i % 90 == 20:
        lines.append(json.dumps({"timestamp": stamp, "type": kind, "value": "high"}))  # no number
    elif i % 90 == 30:
        lines.append(json.dumps({"type": kind, "value": value}))  # no timestamp
    elif i % 90 == 40:
        lines.append(json.dumps({"timestamp": stamp, "type": kind, "value": None}))
        good.append((at, kind, None))
    elif i % 90 == 50:
        lines.append(json.dumps({"timestamp": stamp, "type": kind, "value": str(value)}))  # a number as text
        good.append((at, kind, value))
    else:
        lines.append(json.dumps({"timestamp": stamp, "type": kind, "value": value}))
        good.append((at, kind, value))

with open("events.ndjson", "w") as out:
    out.write("\n".join(lines) + "\n")

windows = defaultdict(list)
late = 0
newest = START - timedelta(days=1)
for at, kind, value in good:
    newest = max(newest, at)
    start = START + (at - START) // SIZE * SIZE
    if start + SIZE <= newest - DELAY:
        late += 1
    else:
        windows[start, kind].append(value)


def text(value):
    return "NULL" if value is None else repr(value)


def mean(values):
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


with open("processed_data.csv", "w", newline="") as out:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["timestamp", "type", "value", "events"])
    for (start, kind), values in sorted(windows.items()):
        writer.writerow([start.isoformat(), kind, text(mean(values)), len(values)])

with open("stats.csv", "w", newline="") as out:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["type", "average_value", "events"])
    for kind in sorted({kind for _, kind in windows}):
        groups = [values for (_, k), values in windows.items() if k == kind]
        weighted = sum(mean(g) * len(g) for g in groups if mean(g) is not None)
        events = sum(len(g) for g in groups)
        writer.writerow([kind, text(weighted / events), events])

print(f"{len(lines)} records: {len(good) - late} accepted, {late} late, {len(lines) - len(good)} refused")
