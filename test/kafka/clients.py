"""What a program with librdkafka does with the broker whose address is given:
every step must work, and the events that it leaves are counted by the test."""
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

broker, topic, events = sys.argv[1], sys.argv[2], int(sys.argv[3])


def event(n):
    return '{"at": "2024-01-01T00:%02d:%02dZ", "n": %d}' % (n // 60 % 60, n % 60, n)


def check(what, ok):
    if not ok:
        sys.exit("failed: " + what)
    print("ok", what)


def produce(what, settings, numbers, transaction=None):
    failed = []
    producer = Producer({"bootstrap.servers": broker, **settings})
    if transaction is not None:
        producer.init_transactions(30)
        producer.begin_transaction()
    for n in numbers:
        producer.produce(topic, event(n), key=str(n), headers={"n": str(n)}, on_delivery=lambda e, _: failed.append(e) if e else None)
    check(what, producer.flush(30) == 0 and not failed)
    if transaction is True:
        producer.commit_transaction(30)
    elif transaction is False:
        producer.abort_transaction(30)


admin = AdminClient({"bootstrap.servers": broker})
for made in admin.create_topics([NewTopic(topic, 3, 1)]).values():
    made.result(30)
check("make a topic", len(admin.list_topics(topic, 30).topics[topic].partitions) == 3)

codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
share = events // (len(codecs) + 2)
at = 0
for codec in codecs:
    produce("produce with " + codec, {"compression.type": codec}, range(at, at + share))
    at += share
produce("produce idempotently", {"enable.idempotence": True}, range(at, at + share))
at += share
produce("commit a transaction", {"transactional.id": "t"}, range(at, events), True)
produce("abort a transaction", {"transactional.id": "t"}, range(events, events + 10), False)

for protocol in ["classic", "consumer"]:
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "g-" + protocol, "group.protocol": protocol,
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed", "enable.auto.commit": False})
    consumer.subscribe([topic])
    seen = set()
    while len(seen) < events:
        message = consumer.poll(30)
        check("a message in time", message is not None) if message is None else None
        if message.error() is None:
            seen.add(int(message.key()))
            if dict(message.headers())["n"] != message.key():
                check("headers", False)
    consumer.commit(asynchronous=False)
    ends = sum(consumer.committed([TopicPartition(topic, p)], 30)[0].offset for p in range(3))
    consumer.close()
    check("consume in a %s group" % protocol, seen == set(range(events)) and ends >= events)
