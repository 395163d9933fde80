"""The roles of README.md, with the serializers of confluent-kafka."""

import datetime
import json
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, timestamp_pb2

WAIT_S = 60

AVRO_ITEM = """{"type": "record", "name": "Item", "namespace": "shop", "fields": [
    {"name": "sku", "type": "string"}, {"name": "weight", "type": "double"}]}"""
AVRO_ORDER = """{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "long"}, {"name": "item", "type": "shop.Item"},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"""

JSON_ITEM = """{"$id": "item.json", "type": "object", "title": "Item", "additionalProperties": false, "properties": {
    "sku": {"type": "string"}, "weight": {"type": "number"}}}"""
JSON_ORDER = """{"$id": "order.json", "type": "object", "title": "Order", "additionalProperties": false, "properties": {
    "id": {"type": "integer"}, "item": {"$ref": "item.json"}, "tags": {"type": "array", "items": {"type": "string"}},
    "note": {"type": ["null", "string"]}, "at": {"type": "integer"}}}"""


def field(name, number, kind, **others):
    return {"name": name, "number": number, "type": "TYPE_" + kind, "label": "LABEL_OPTIONAL"} | others


# What protoc would make of item.proto and order.proto: the latter imports the former and a known type.
PROTO_ITEM = {
    "name": "item.proto", "package": "shop", "syntax": "proto3",
    "messageType": [{"name": "Item", "field": [field("sku", 1, "STRING"), field("weight", 2, "DOUBLE")]}]}
PROTO_ORDER = {
    "name": "order.proto", "package": "shop", "syntax": "proto3",
    "dependency": ["item.proto", "google/protobuf/timestamp.proto"],
    "messageType": [{
        "name": "Order",
        "field": [
            field("id", 1, "INT64"),
            field("item", 2, "MESSAGE", typeName=".shop.Item"),
            field("tags", 3, "STRING", label="LABEL_REPEATED"),
            field("note", 4, "STRING", oneofIndex=0, proto3Optional=True),
            field("at", 5, "MESSAGE", typeName=".google.protobuf.Timestamp")],
        "oneofDecl": [{"name": "_note"}]}]}


def orders():
    """The values: `at` is in milliseconds."""
    return [
        {"id": 1, "item": {"sku": "apple", "weight": .25}, "tags": ["red", "ripe"], "note": "größer", "at": 1700000000123},
        {"id": 1 << 40, "item": {"sku": "", "weight": -0.75}, "tags": [], "note": None, "at": 0}]


class Avro:
    def serializer(self, client, topic):
        # A reference, under a subject of its own.
        subject = topic + "-item"
        client.register_schema(subject, Schema(AVRO_ITEM, "AVRO"))
        references = [SchemaReference("shop.Item", subject, 1)]
        return AvroSerializer(client, Schema(AVRO_ORDER, "AVRO", references))

    def deserializer(self, client):
        return AvroDeserializer(client)

    def written(self, order):
        return order

    def read(self, order):
        at = order["at"]
        if isinstance(at, datetime.datetime):
            at = round(at.timestamp() * 1000)
        return order | {"at": at}


class Json:
    def serializer(self, client, topic):
        subject = topic + "-item"
        client.register_schema(subject, Schema(JSON_ITEM, "JSON"))
        references = [SchemaReference("item.json", subject, 1)]
        return JSONSerializer(Schema(JSON_ORDER, "JSON", references), client)

    def deserializer(self, client):
        return JSONDeserializer(None, schema_registry_client=client)

    def written(self, order):
        return order

    def read(self, order):
        return order


class Protobuf:
    def __init__(self):
        pool = descriptor_pool.DescriptorPool()
        pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
        for file in (PROTO_ITEM, PROTO_ORDER):
            pool.Add(json_format.ParseDict(file, descriptor_pb2.FileDescriptorProto()))
        self.kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))

    def serializer(self, client, topic):
        return ProtobufSerializer(self.kind, client, {"use.deprecated.format": False})

    def deserializer(self, client):
        return ProtobufDeserializer(self.kind, {"use.deprecated.format": False}, client)

    def written(self, order):
        seconds, millis = divmod(order["at"], 1000)
        message = self.kind(id=order["id"], item=order["item"], tags=order["tags"],
                            at={"seconds": seconds, "nanos": millis * 1_000_000})
        if order["note"] is not None:
            message.note = order["note"]
        return message

    def read(self, message):
        return {
            "id": message.id, "item": {"sku": message.item.sku, "weight": message.item.weight},
            "tags": list(message.tags), "note": message.note if message.HasField("note") else None,
            "at": message.at.seconds * 1000 + message.at.nanos // 1_000_000}


KINDS = {"avro": Avro, "json": Json, "protobuf": Protobuf}


def say(**answer):
    print(json.dumps(answer, ensure_ascii=False), flush=True)


def checked(error, *_):
    if error is not None:
        raise KafkaException(error)


def write(bootstrap, registry, prefix, *kinds):
    client = SchemaRegistryClient({"url": registry})
    producer = Producer({"bootstrap.servers": bootstrap})
    for name in kinds:
        topic, kind = prefix + name, KINDS[name]()
        serializer = kind.serializer(client, topic)
        for order in orders():
            value = serializer(kind.written(order), SerializationContext(topic, MessageField.VALUE))
            producer.produce(topic, partition=0, value=value, on_delivery=checked)
        producer.flush(WAIT_S)
        say(topic=topic, version=client.get_latest_version(topic + "-value").version)


def read(bootstrap, registry, *topics):
    client = SchemaRegistryClient({"url": registry})
    for topic in topics:
        kind = KINDS[topic.rsplit("-", 1)[1]]()
        deserializer = kind.deserializer(client)
        # A consumer that is given another topic waits for metadata.
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.partition.eof": True,
                             "auto.offset.reset": "error"})
        consumer.assign([TopicPartition(topic, 0, 0)])
        while (message := consumer.poll(WAIT_S)).error() is None:
            value = deserializer(message.value(), SerializationContext(topic, MessageField.VALUE))
            say(topic=topic, value=kind.read(value))
        if message.error().code() != KafkaError._PARTITION_EOF:
            raise KafkaException(message.error())
        consumer.close()


def conflict(_bootstrap, registry, topic):
    """What a client is told of a schema that is not compatible."""
    client = SchemaRegistryClient({"url": registry})
    old, new = Schema('"long"', "AVRO"), Schema('"string"', "AVRO")
    client.register_schema(topic, old)
    compatible = client.test_compatibility(topic, new)
    try:
        client.register_schema(topic, new)
    except SchemaRegistryError as error:
        say(compatible=compatible, code=error.error_code)


if __name__ == "__main__":
    {role.__name__: role for role in (write, read, conflict)}[sys.argv[3]](*sys.argv[1:3], *sys.argv[4:])
