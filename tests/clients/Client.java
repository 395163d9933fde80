import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.*;

/** The roles of README.md, with Apache Kafka's own client. */
public class Client {
    private static final Duration WAIT = Duration.ofSeconds(60);
    private static final Duration SHORT = Duration.ofMillis(100);
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HexFormat HEX = HexFormat.of();
    private static String bootstrap;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        String topic = args[2];
        switch (args[1]) {
            case "produce" -> produce(topic, Arrays.copyOfRange(args, 3, args.length));
            case "consume" -> {
                for (String one : Arrays.copyOfRange(args, 3, args.length)) consume(args[2], one);
            }
            case "group" -> group(topic, args[3]);
            case "member" -> member(topic, args[3]);
            case "transact" -> transact(topic, args[3]);
            case "admin" -> admin(topic, args[3]);
            default -> throw new IllegalArgumentException(args[1]);
        }
    }

    /** Prints one object with these names and values. */
    private static void say(Object... pairs) throws Exception {
        Map<Object, Object> answer = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) answer.put(pairs[i], pairs[i + 1]);
        System.out.println(JSON.writeValueAsString(answer));
    }

    private static String toHex(byte[] data) {
        return data == null ? null : HEX.formatHex(data);
    }

    private static byte[] fromHex(JsonNode text) {
        return text.isNull() ? null : HEX.parseHex(text.textValue());
    }

    private interface Act {
        void act() throws Exception;
    }

    /** Acts until it is done. Every wait has this limit, so that a broker that never answers fails the test. */
    private static void pollUntil(BooleanSupplier done, Act act) throws Exception {
        for (long limit = System.nanoTime() + WAIT.toNanos(); !done.getAsBoolean(); act.act())
            if (System.nanoTime() > limit) throw new IllegalStateException("no end after " + WAIT);
    }

    private static KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put("bootstrap.servers", bootstrap);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put("bootstrap.servers", bootstrap);
        config.put("enable.auto.commit", false);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static void produce(String topic, String[] codecs) throws Exception {
        List<JsonNode> records = new ArrayList<>();
        for (Scanner lines = new Scanner(System.in); lines.hasNextLine();) records.add(JSON.readTree(lines.nextLine()));
        for (String codec : codecs) {
            try (var producer = producer(Map.of("compression.type", codec, "linger.ms", 50))) {
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (JsonNode record : records) {
                    List<Header> headers = new ArrayList<>();
                    for (JsonNode h : record.get("headers")) headers.add(new RecordHeader(h.get(0).textValue(), fromHex(h.get(1))));
                    long timestamp = record.get("timestamp").longValue();
                    byte[] key = fromHex(record.get("key")), value = fromHex(record.get("value"));
                    sent.add(producer.send(new ProducerRecord<>(topic, 0, timestamp, key, value, headers)));
                }
                List<Long> offsets = new ArrayList<>();
                for (Future<RecordMetadata> one : sent) offsets.add(one.get().offset());
                say("offsets", offsets);
            }
        }
    }

    private static void consume(String isolation, String topic) throws Exception {
        TopicPartition place = new TopicPartition(topic, 0);
        try (var consumer = consumer(Map.of("isolation.level", isolation, "auto.offset.reset", "none"))) {
            consumer.assign(List.of(place));
            consumer.seek(place, 0);
            long end = consumer.endOffsets(List.of(place)).get(place);
            pollUntil(() -> consumer.position(place) >= end, () -> {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(SHORT)) {
                    List<List<String>> headers = new ArrayList<>();
                    for (Header header : record.headers()) headers.add(Arrays.asList(header.key(), toHex(header.value())));
                    say("topic", topic, "offset", record.offset(), "timestamp", record.timestamp(),
                        "key", toHex(record.key()), "value", toHex(record.value()), "headers", headers);
                }
            });
        }
    }

    private static void group(String topic, String name) throws Exception {
        KafkaConsumer<byte[], byte[]> first = join(topic, name), second = join(topic, name);
        pollUntil(() -> assigned(first).size() == 2 && assigned(second).size() == 2, () -> {
            first.poll(SHORT);
            second.poll(SHORT);
        });
        List<List<Integer>> both = new ArrayList<>(List.of(assigned(first), assigned(second)));
        both.sort(Comparator.comparing(list -> list.get(0)));
        say("assigned", both);
        first.close();
        pollUntil(() -> assigned(second).size() == 4, () -> second.poll(SHORT));
        say("alone", assigned(second));
        // The client answers `committed` from a look-up of before, if its poll ended before the answer to it: that one is awaited.
        for (TopicPartition place : second.assignment()) second.position(place);
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (TopicPartition place : second.assignment()) offsets.put(place, new OffsetAndMetadata(place.partition() + 1));
        second.commitSync(offsets);
        Map<Integer, Long> committed = new TreeMap<>();
        second.committed(offsets.keySet()).forEach((place, offset) -> committed.put(place.partition(), offset.offset()));
        say("committed", committed.values());
        second.close();
        Map<Integer, Long> firsts = new TreeMap<>();
        try (var third = join(topic, name)) {
            pollUntil(() -> firsts.size() == 4, () -> {
                for (ConsumerRecord<byte[], byte[]> record : third.poll(SHORT)) firsts.putIfAbsent(record.partition(), record.offset());
            });
        }
        say("resumed", firsts.values());
    }

    private static KafkaConsumer<byte[], byte[]> join(String topic, String name) {
        KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("group.id", name, "auto.offset.reset", "earliest",
            "heartbeat.interval.ms", 500, "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor"));
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    private static void member(String topic, String name) throws Exception {
        Thread ended = new Thread(() -> new Scanner(System.in).hasNext());
        ended.start();
        try (var consumer = join(topic, name)) {
            for (List<Integer> owned = List.of(); ended.isAlive(); consumer.poll(SHORT)) {
                if (assigned(consumer).equals(owned)) continue;
                owned = assigned(consumer);
                say("owned", owned);
            }
        }
    }

    private static List<Integer> assigned(Consumer<?, ?> consumer) {
        return consumer.assignment().stream().map(TopicPartition::partition).sorted().toList();
    }

    private static void transact(String topic, String name) throws Exception {
        try (var producer = producer(Map.of("transactional.id", name))) {
            producer.initTransactions();
            producer.beginTransaction();
            for (String value : List.of("committed 1", "committed 2")) producer.send(new ProducerRecord<>(topic, 0, null, value.getBytes())).get();
            producer.commitTransaction();
            say("transaction", "committed");
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, null, "aborted".getBytes())).get();
            producer.abortTransaction();
            say("transaction", "aborted");
        }
    }

    /** The error code of an answer, as the protocol numbers it; 0 without an error. */
    private static int code(Future<?> future) throws Exception {
        try {
            future.get();
            return 0;
        } catch (ExecutionException error) {
            return Errors.forException(error.getCause()).code();
        }
    }

    private static void admin(String topic, String group) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            new Administration(admin, topic).run(group);
        }
    }

    private record Administration(Admin admin, String topic) {
        void run(String group) throws Exception {
            say("created", create(topic, 1, Map.of("retention.ms", "60000000", "segment.ms", "50000000")));
            pollUntil(() -> partitions() == 2, () -> Thread.sleep(100));
            say("again", create(topic, 1, Map.of()));
            say("replicas", create(topic + "-3", 3, Map.of()), "name", create(topic + "/", 1, Map.of()),
                "value", create(topic + "-x", 1, Map.of("retention.ms", "x")),
                "config", create(topic + "-y", 1, Map.of("no_such_config", "1")));
            say("configs", configs());
            int altered = alter(change("retention.ms", AlterConfigOp.OpType.SET, "70000000"),
                change("segment.ms", AlterConfigOp.OpType.DELETE, null),
                change("cleanup.policy", AlterConfigOp.OpType.APPEND, "compact"));
            pollUntil(() -> configs().get("retention.ms").get(0).equals("70000000"), () -> Thread.sleep(100));
            say("altered", altered, "configs", configs());
            altered = alter(change("cleanup.policy", AlterConfigOp.OpType.SUBTRACT, "compact"));
            pollUntil(() -> configs().get("cleanup.policy").get(0).equals("delete"), () -> Thread.sleep(100));
            say("altered", altered, "bad", alter(change("retention.ms", AlterConfigOp.OpType.SET, "x")));
            int grown = grow(4);
            pollUntil(() -> partitions() == 4, () -> Thread.sleep(100));
            say("grown", grown, "fewer", grow(3));
            try (var producer = producer(Map.of())) {
                for (int i = 0; i < 10; i++) producer.send(new ProducerRecord<>(topic, 0, null, new byte[] {'x'})).get();
            }
            say("deleted", deleteBefore(6), "beyond", deleteBefore(11));
            say("earliest", offset(OffsetSpec.earliest()), "latest", offset(OffsetSpec.latest()));
            ConsumerGroupDescription described = admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
            say("group", described.groupState().toString().toLowerCase(), "members", described.members().size(), "listed", listed(group));
            say("deleted", code(admin.deleteConsumerGroups(List.of(group)).all()), "listed", listed(group));
            say("deleted", code(admin.deleteTopics(List.of(topic)).all()));
            pollUntil(() -> partitions() == 0, () -> Thread.sleep(100));
            say("again", code(admin.deleteTopics(List.of(topic)).all()));
        }

        private int create(String name, int replicas, Map<String, String> configs) throws Exception {
            return code(admin.createTopics(List.of(new NewTopic(name, 2, (short) replicas).configs(configs))).all());
        }

        /** How many partitions the topic has; 0 without the topic. */
        private int partitions() {
            try {
                return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
            } catch (ExecutionException error) {
                if (Errors.forException(error.getCause()) == Errors.UNKNOWN_TOPIC_OR_PARTITION) return 0;
                throw new IllegalStateException(error);
            } catch (InterruptedException error) {
                throw new IllegalStateException(error);
            }
        }

        private Map<String, List<Object>> configs() {
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            try {
                Config found = admin.describeConfigs(List.of(resource)).all().get().get(resource);
                return List.of("cleanup.policy", "max.message.bytes", "retention.ms", "segment.ms").stream().map(found::get)
                    .collect(Collectors.toMap(ConfigEntry::name, e -> List.of(e.value(), e.isDefault(), e.isSensitive())));
            } catch (ExecutionException | InterruptedException error) {
                throw new IllegalStateException(error);
            }
        }

        private static AlterConfigOp change(String name, AlterConfigOp.OpType operation, String value) {
            return new AlterConfigOp(new ConfigEntry(name, value), operation);
        }

        private int alter(AlterConfigOp... changes) throws Exception {
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            return code(admin.incrementalAlterConfigs(Map.of(resource, List.of(changes))).all());
        }

        private int grow(int count) throws Exception {
            return code(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(count))).all());
        }

        private List<Object> deleteBefore(long offset) throws Exception {
            TopicPartition place = new TopicPartition(topic, 0);
            var deleted = admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(offset))).lowWatermarks().get(place);
            int code = code(deleted);
            return Arrays.asList(code, code == 0 ? deleted.get().lowWatermark() : null);
        }

        private long offset(OffsetSpec spec) throws Exception {
            TopicPartition place = new TopicPartition(topic, 0);
            return admin.listOffsets(Map.of(place, spec)).partitionResult(place).get().offset();
        }

        private boolean listed(String group) throws Exception {
            return admin.listGroups().all().get().stream().anyMatch(found -> found.groupId().equals(group));
        }
    }
}
