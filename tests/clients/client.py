"""The roles of README.md, with confluent-kafka (librdkafka)."""

import json
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType)

WAIT_S = 60


def say(**answer):
    print(json.dumps(answer), flush=True)


def to_hex(data):
    return None if data is None else data.hex()


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


def poll_until(done, act):
    """Acts until it is done. Every wait has this limit, so that a broker that never answers fails the test."""
    limit = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > limit:
            raise TimeoutError("no end after %d s" % WAIT_S)
        act()


def checked(error, *_):
    if error is not None:
        raise KafkaException(error)


def produce(bootstrap, topic, *codecs):
    records = [json.loads(line) for line in sys.stdin]
    for codec in codecs:
        producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 50})
        offsets = []

        def delivered(error, message):
            checked(error)
            offsets.append(message.offset())

        for record in records:
            producer.produce(
                topic, partition=0, key=from_hex(record["key"]), value=from_hex(record["value"]),
                headers=[(name, from_hex(value)) for name, value in record["headers"]],
                timestamp=record["timestamp"], on_delivery=delivered)
        producer.flush(WAIT_S)
        say(offsets=offsets)


def consume(bootstrap, isolation, *topics):
    for topic in topics:
        consume_topic(bootstrap, isolation, topic)


def consume_topic(bootstrap, isolation, topic):
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "unused", "isolation.level": isolation,
        "enable.partition.eof": True, "auto.offset.reset": "error"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    ended = []

    def read():
        message = consumer.poll(1)
        if message is None:
            return
        if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
            return ended.append(True)
        checked(message.error())
        say(topic=topic, offset=message.offset(), timestamp=message.timestamp()[1], key=to_hex(message.key()),
            value=to_hex(message.value()),
            headers=[[name, to_hex(value)] for name, value in message.headers() or []])

    poll_until(lambda: ended, read)
    consumer.close()


def join(bootstrap, topic, name):
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": name, "enable.auto.commit": False,
        "heartbeat.interval.ms": 500, "partition.assignment.strategy": "range", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    return consumer


def assigned(consumer):
    return sorted(partition.partition for partition in consumer.assignment())


def member(bootstrap, topic, name):
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set())).start()
    consumer, owned = join(bootstrap, topic, name), []
    while not ended.is_set():
        consumer.poll(.1)
        if assigned(consumer) != owned:
            owned = assigned(consumer)
            say(owned=owned)
    consumer.close()


def group(bootstrap, topic, name):
    first, second = join(bootstrap, topic, name), join(bootstrap, topic, name)
    poll_until(lambda: len(assigned(first)) == len(assigned(second)) == 2, lambda: (first.poll(.1), second.poll(.1)))
    say(assigned=sorted([assigned(first), assigned(second)]))
    first.close()
    poll_until(lambda: len(assigned(second)) == 4, lambda: second.poll(.1))
    say(alone=assigned(second))
    offsets = [TopicPartition(topic, partition, partition + 1) for partition in range(4)]
    second.commit(offsets=offsets, asynchronous=False)
    say(committed=[partition.offset for partition in second.committed(offsets, WAIT_S)])
    second.close()
    third, firsts = join(bootstrap, topic, name), {}

    def read():
        message = third.poll(.1)
        if message is not None:
            checked(message.error())
            firsts.setdefault(message.partition(), message.offset())

    poll_until(lambda: len(firsts) == 4, read)
    say(resumed=[firsts[partition] for partition in range(4)])
    third.close()


def transact(bootstrap, topic, name):
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
    producer.init_transactions(WAIT_S)

    def transaction(values, end):
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, partition=0, value=value, on_delivery=checked)
        producer.flush(WAIT_S)
        end(WAIT_S)

    transaction(["committed 1", "committed 2"], producer.commit_transaction)
    say(transaction="committed")
    transaction(["aborted"], producer.abort_transaction)
    say(transaction="aborted")


def code(future):
    """The error code of an answer, as the protocol numbers it; 0 without an error."""
    try:
        future.result(WAIT_S)
        return 0
    except KafkaException as error:
        return error.args[0].code()


def admin(bootstrap, topic, group):
    client = AdminClient({"bootstrap.servers": bootstrap})

    def create(name, replicas, **configs):
        return code(client.create_topics(
            [NewTopic(name, 2, replicas, config={k.replace("_", "."): v for k, v in configs.items()})])[name])

    def configs():
        resource = ConfigResource(ResourceType.TOPIC, topic)
        found = client.describe_configs([resource])[resource].result(WAIT_S)
        return {name: [found[name].value, found[name].is_default, found[name].is_sensitive]
                for name in ("cleanup.policy", "max.message.bytes", "retention.ms", "segment.ms")}

    def alter(*changes):
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType[operation])
            for name, operation, value in changes])
        return code(client.incremental_alter_configs([resource])[resource])

    def grow(count):
        return code(client.create_partitions([NewPartitions(topic, count)])[topic])

    def partitions():
        # Not list_topics, which asks the broker to create the topic.
        future = client.describe_topics(TopicCollection([topic]))[topic]
        return 0 if code(future) == KafkaError.UNKNOWN_TOPIC_OR_PART else len(future.result().partitions)

    def delete_before(offset):
        place = TopicPartition(topic, 0, offset)
        future = client.delete_records([place])[place]
        return [code(future), None if future.exception() else future.result().low_watermark]

    def offset(spec):
        place = TopicPartition(topic, 0)
        return client.list_offsets({place: spec})[place].result(WAIT_S).offset

    def groups():
        return [found.group_id for found in client.list_consumer_groups().result(WAIT_S).valid]

    say(created=create(topic, 1, retention_ms="60000000", segment_ms="50000000"))
    poll_until(lambda: partitions() == 2, lambda: time.sleep(.1))
    say(again=create(topic, 1))
    say(replicas=create(topic + "-3", 3), name=create(topic + "/", 1), value=create(topic + "-x", 1, retention_ms="x"),
        config=create(topic + "-y", 1, no_such_config="1"))
    say(configs=configs())
    altered = alter(("retention.ms", "SET", "70000000"), ("segment.ms", "DELETE", None),
                    ("cleanup.policy", "APPEND", "compact"))
    poll_until(lambda: configs()["retention.ms"][0] == "70000000", lambda: time.sleep(.1))
    say(altered=altered, configs=configs())
    altered = alter(("cleanup.policy", "SUBTRACT", "compact"))
    poll_until(lambda: configs()["cleanup.policy"][0] == "delete", lambda: time.sleep(.1))
    say(altered=altered, bad=alter(("retention.ms", "SET", "x")))
    grown = grow(4)
    poll_until(lambda: partitions() == 4, lambda: time.sleep(.1))
    say(grown=grown, fewer=grow(3))
    producer = Producer({"bootstrap.servers": bootstrap})
    for _ in range(10):
        producer.produce(topic, partition=0, value="x", on_delivery=checked)
    producer.flush(WAIT_S)
    say(deleted=delete_before(6), beyond=delete_before(11))
    say(earliest=offset(OffsetSpec.earliest()), latest=offset(OffsetSpec.latest()))
    described = client.describe_consumer_groups([group])[group].result(WAIT_S)
    say(group=described.state.name.lower(), members=len(described.members), listed=group in groups())
    say(deleted=code(client.delete_consumer_groups([group])[group]), listed=group in groups())
    say(deleted=code(client.delete_topics([topic])[topic]))
    poll_until(lambda: partitions() == 0, lambda: time.sleep(.1))
    say(again=code(client.delete_topics([topic])[topic]))


if __name__ == "__main__":
    {role.__name__: role for role in (produce, consume, group, member, transact, admin)}[sys.argv[2]](sys.argv[1], *sys.argv[3:])
