// The roles of README.md, with the serializers of confluent-kafka-go.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rest"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/avrov2"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/jsonschema"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/protobuf"
	"github.com/hamba/avro/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const waitMs = 60_000

const avroOrder = `{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "long"},
    {"name": "item", "type": {"type": "record", "name": "Item", "fields": [
        {"name": "sku", "type": "string"}, {"name": "weight", "type": "double"}]}},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}`

var protoFiles = map[string]string{
	"item.proto": `syntax = "proto3"; package shop; message Item { string sku = 1; double weight = 2; }`,
	"order.proto": `syntax = "proto3"; package shop;
        import "item.proto"; import "google/protobuf/timestamp.proto";
        message Order {
            int64 id = 1; Item item = 2; repeated string tags = 3; optional string note = 4;
            google.protobuf.Timestamp at = 5;
        }`,
}

type item struct {
	Sku    string  `json:"sku" avro:"sku"`
	Weight float64 `json:"weight" avro:"weight"`
}

// order is a value; At is in milliseconds.
type order struct {
	ID   int64    `json:"id"`
	Item item     `json:"item"`
	Tags []string `json:"tags"`
	Note *string  `json:"note" jsonschema:"oneof_type=string;null"`
	At   int64    `json:"at"`
}

type avroValue struct {
	ID   int64     `avro:"id"`
	Item item      `avro:"item"`
	Tags []string  `avro:"tags"`
	Note *string   `avro:"note"`
	At   time.Time `avro:"at"`
}

func (avroValue) Schema() avro.Schema { return avro.MustParse(avroOrder) }

func orders() []order {
	note := "größer"
	return []order{
		{1, item{"apple", .25}, []string{"red", "ripe"}, &note, 1700000000123},
		{1 << 40, item{"", -0.75}, []string{}, nil, 0},
	}
}

// format is one of the three languages: what a serializer takes, and what its deserializer fills.
type format struct {
	serializer   func(schemaregistry.Client) serde.Serializer
	deserializer func(schemaregistry.Client) serde.Deserializer
	written      func(order) any
	read         func(serde.Deserializer, string, []byte) order
}

var formats = map[string]format{
	"avro": {
		func(client schemaregistry.Client) serde.Serializer {
			return must(avrov2.NewSerializer(client, serde.ValueSerde, avrov2.NewSerializerConfig()))
		},
		func(client schemaregistry.Client) serde.Deserializer {
			return must(avrov2.NewDeserializer(client, serde.ValueSerde, avrov2.NewDeserializerConfig()))
		},
		func(o order) any { return &avroValue{o.ID, o.Item, o.Tags, o.Note, time.UnixMilli(o.At)} },
		func(d serde.Deserializer, topic string, bytes []byte) order {
			v := avroValue{Tags: []string{}}
			check(d.DeserializeInto(topic, bytes, &v))
			return order{v.ID, v.Item, v.Tags, v.Note, v.At.UnixMilli()}
		},
	},
	"json": {
		func(client schemaregistry.Client) serde.Serializer {
			return must(jsonschema.NewSerializer(client, serde.ValueSerde, jsonschema.NewSerializerConfig()))
		},
		func(client schemaregistry.Client) serde.Deserializer {
			return must(jsonschema.NewDeserializer(client, serde.ValueSerde, jsonschema.NewDeserializerConfig()))
		},
		func(o order) any { return &o },
		func(d serde.Deserializer, topic string, bytes []byte) (o order) {
			check(d.DeserializeInto(topic, bytes, &o))
			return
		},
	},
	"protobuf": {
		func(client schemaregistry.Client) serde.Serializer {
			return must(protobuf.NewSerializer(client, serde.ValueSerde, protobuf.NewSerializerConfig()))
		},
		func(client schemaregistry.Client) serde.Deserializer {
			d := must(protobuf.NewDeserializer(client, serde.ValueSerde, protobuf.NewDeserializerConfig()))
			check(d.ProtoRegistry.RegisterMessage(dynamicpb.NewMessageType(orderMessage())))
			return d
		},
		func(o order) any {
			message := dynamicpb.NewMessage(orderMessage())
			fields := map[string]any{"id": o.ID, "item": o.Item, "tags": o.Tags, "at": time.UnixMilli(o.At).UTC()}
			if o.Note != nil {
				fields["note"] = *o.Note
			}
			check(protojson.Unmarshal(must(json.Marshal(fields)), message))
			return message
		},
		func(d serde.Deserializer, topic string, bytes []byte) order {
			message := must(d.Deserialize(topic, bytes)).(proto.Message)
			options := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}
			var v struct {
				order
				ID int64     `json:"id,string"`
				At time.Time `json:"at"`
			}
			check(json.Unmarshal(must(options.Marshal(message)), &v))
			return order{v.ID, v.Item, v.Tags, v.Note, v.At.UnixMilli()}
		},
	},
}

func orderMessage() protoreflect.MessageDescriptor {
	resolver := &protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(protoFiles)}
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(resolver)}
	files := must(compiler.Compile(context.Background(), "order.proto"))
	return files[0].Messages().ByName("Order")
}

func main() {
	bootstrap, role, args := os.Args[1], os.Args[3], os.Args[4:]
	client := must(schemaregistry.NewClient(schemaregistry.NewConfig(os.Args[2])))
	switch role {
	case "write":
		for _, kind := range args[1:] {
			write(bootstrap, client, formats[kind], args[0]+kind)
		}
	case "read":
		for _, topic := range args {
			kind := topic[strings.LastIndex(topic, "-")+1:]
			read(bootstrap, client, formats[kind], topic)
		}
	case "conflict":
		conflict(client, args[0])
	default:
		panic(role)
	}
}

func say(answer any) { fmt.Println(string(must(json.Marshal(answer)))) }

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func write(bootstrap string, client schemaregistry.Client, format format, topic string) {
	serializer := format.serializer(client)
	producer := must(kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": bootstrap}))
	defer producer.Close()
	acknowledged := make(chan kafka.Event, len(orders()))
	for _, order := range orders() {
		value := must(serializer.Serialize(topic, format.written(order)))
		place := kafka.TopicPartition{Topic: &topic, Partition: 0}
		check(producer.Produce(&kafka.Message{TopicPartition: place, Value: value}, acknowledged))
	}
	for range orders() {
		check((<-acknowledged).(*kafka.Message).TopicPartition.Error)
	}
	latest := must(client.GetLatestSchemaMetadata(topic + "-value"))
	say(map[string]any{"topic": topic, "version": latest.Version})
}

func read(bootstrap string, client schemaregistry.Client, format format, topic string) {
	deserializer := format.deserializer(client)
	consumer := must(kafka.NewConsumer(&kafka.ConfigMap{"bootstrap.servers": bootstrap, "group.id": "unused",
		"enable.partition.eof": true, "auto.offset.reset": "error"}))
	defer consumer.Close()
	check(consumer.Assign([]kafka.TopicPartition{{Topic: &topic, Partition: 0, Offset: 0}}))
	for {
		switch event := consumer.Poll(waitMs).(type) {
		case *kafka.Message:
			say(map[string]any{"topic": topic, "value": format.read(deserializer, topic, event.Value)})
		case kafka.PartitionEOF:
			return
		default:
			panic(event)
		}
	}
}

// conflict is what a client is told of a schema that is not compatible.
func conflict(client schemaregistry.Client, topic string) {
	old, new := schemaregistry.SchemaInfo{Schema: `"long"`}, schemaregistry.SchemaInfo{Schema: `"string"`}
	must(client.Register(topic, old, false))
	compatible := must(client.TestCompatibility(topic, 1, new))
	_, err := client.Register(topic, new, false)
	refused := err.(*rest.Error)
	say(map[string]any{"compatible": compatible, "code": refused.Code})
}
