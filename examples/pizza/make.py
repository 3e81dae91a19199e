"""Makes this example's events and expected tables from PyPI's great-tables.

    pip download --no-deps great-tables==1.1.0
    python3 make.py great_tables-1.1.0-py3-none-any.whl

The tables are computed here, by plain Python over the events: they are what
the pipeline must come to by itself.
"""
import csv
import io
import json
import sys
import zipfile
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
FIRST, LAST = "2015-02-20", "2015-03-25"  # about five weeks: 700 kB of events
WATERMARK = timedelta(hours=1)

with zipfile.ZipFile(sys.argv[1]) as wheel:
    text = wheel.read("great_tables/data/05-pizzaplace.csv").decode()

events = []
for row in csv.DictReader(io.StringIO(text)):
    if FIRST <= row["date"] <= LAST:
        local = datetime.fromisoformat(f"{row['date']}T{row['time']}").replace(tzinfo=ZONE)
        events.append((local, row))

with open("orders.ndjson", "w") as out:
    for local, row in events:
        out.write(json.dumps({
            "order": row["id"], "at": local.isoformat(), "pizza": row["name"],
            "size": row["size"], "type": row["type"], "price": float(row["price"]),
        }) + "\n")


def write(name, header, rows):
    with open(name, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


day = defaultdict(list)
hour = defaultdict(list)
week = Counter()
for local, row in events:
    price = Decimal(row["price"]).quantize(Decimal("0.01"))
    midnight = local.replace(hour=0, minute=0, second=0)
    day[midnight, row["type"]].append(price)
    hour[local.replace(minute=0, second=0)].append((row["size"], price))
    week[midnight - timedelta(days=midnight.weekday()), row["name"]] += 1

write("daily_sales.csv", ["day", "type", "pizzas", "revenue", "dearest"], [
    [start.isoformat(), kind, len(prices), sum(prices), max(prices)] for (start, kind), prices in sorted(day.items())])

# A window is written once the watermark has passed its end.
watermark = max(local for local, _ in events) - WATERMARK
write("hourly_rush.csv", ["hour", "pizzas", "very_large"], [
    [start.isoformat(), len(sold), sum(size in ("XL", "XXL") for size, _ in sold)]
    for start, sold in sorted(hour.items()) if len(sold) >= 20 and start + timedelta(hours=1) <= watermark])

write("weekly_favourites.csv", ["week", "pizza", "sold"], [
    [start.isoformat(), pizza, n] for (start, pizza), n in sorted(week.items()) if n >= 50])

revenue = defaultdict(lambda: [0, Decimal(0)])
for (_, kind), prices in day.items():
    revenue[kind][0] += len(prices)
    revenue[kind][1] += sum(prices)
write("revenue.csv", ["type", "pizzas", "revenue"], [[kind, n, money] for kind, (n, money) in sorted(revenue.items())])
