package headwater.streams;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.sun.management.OperatingSystemMXBean;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Nexmark's q0, q1 and q2 over a topic of bids, written for Kafka Streams, exactly once, with a commit every second.
 * Serdes are written by hand with Jackson's streaming interface: they do less work per row than ksqlDB, so the figures
 * are an upper limit for ksqlDB.
 *
 * <pre>java -cp 'FOLDER/classes:FOLDER/jars/*' headwater.streams.Peer --bootstrap-server 127.0.0.1:29110 --query q0 --to out</pre>
 *
 * Ends when the group has committed every record that existed at the start, and prints one line of JSON: records and
 * seconds (from the start of the JVM), CPU seconds of the process, and the same for the second half alone ("warm").
 * The output topic must exist.
 */
public final class Peer {
    private static final Duration END_MAX = Duration.ofMinutes(10);
    private static final long LOOK_MS = 10;
    private static final String USAGE = "options: --bootstrap-server HOST:PORT [--topic bids] --to TOPIC"
            + " [--query q0|q1|q2] [--id ID] [--threads N] [--linger-ms MS] [--batch-bytes BYTES]";

    /** Number of deserialized records; all threads share it. */
    private static final LongAdder seen = new LongAdder();

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = parse(arguments);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        Map<String, Object> place = Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, need(options, "--bootstrap-server"));
        try (Admin admin = Admin.create(place);
                KafkaStreams streams = new KafkaStreams(topology(options), properties(options))) {
            Map<TopicPartition, Long> ends = ends(admin, options.getOrDefault("--topic", "bids"));
            streams.setUncaughtExceptionHandler(error -> {
                failure.set(error);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            System.out.println(watch(admin, id(options), ends, failure));
            streams.close();
            streams.cleanUp();
        }
    }

    private static Map<String, String> parse(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i < arguments.length; i += 2) {
            if (!arguments[i].startsWith("--") || i + 1 == arguments.length) {
                throw new IllegalArgumentException(USAGE);
            }
            options.put(arguments[i], arguments[i + 1]);
        }
        return options;
    }

    private static String need(Map<String, String> options, String name) {
        if (!options.containsKey(name)) {
            throw new IllegalArgumentException(name + " is missing; " + USAGE);
        }
        return options.get(name);
    }

    private static String id(Map<String, String> options) {
        return options.getOrDefault("--id", "peer-" + ProcessHandle.current().pid());
    }

    private static Properties properties(Map<String, String> options) throws IOException {
        Path state = Files.createTempDirectory("streams");
        state.toFile().deleteOnExit();
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, id(options));
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, need(options, "--bootstrap-server"));
        properties.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, options.getOrDefault("--threads", "2"));
        properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        set(properties, ProducerConfig.LINGER_MS_CONFIG, options.get("--linger-ms"));
        set(properties, ProducerConfig.BATCH_SIZE_CONFIG, options.get("--batch-bytes"));
        return properties;
    }

    private static void set(Properties properties, String name, String value) {
        if (value != null) {
            properties.put(StreamsConfig.producerPrefix(name), value);
        }
    }

    private static Topology topology(Map<String, String> options) {
        StreamsBuilder builder = new StreamsBuilder();
        var bids = builder.stream(options.getOrDefault("--topic", "bids"), Consumed.with(Serdes.ByteArray(), BID));
        String to = need(options, "--to");
        switch (options.getOrDefault("--query", "q0")) {
            case "q0" -> bids.to(to, Produced.with(Serdes.ByteArray(), BID));
            case "q1" -> bids.mapValues(Converted::of).to(to, Produced.with(Serdes.ByteArray(), CONVERTED));
            case "q2" -> bids.filter((key, bid) -> bid.auction % 123 == 0)
                    .mapValues(bid -> new Offer(bid.auction, bid.price))
                    .to(to, Produced.with(Serdes.ByteArray(), OFFER));
            default -> throw new IllegalArgumentException(USAGE);
        }
        return builder.build();
    }

    // The cost of the run.

    private record Mark(long records, double seconds, double cpuSeconds) {
        static Mark now() {
            long started = ManagementFactory.getRuntimeMXBean().getStartTime();
            var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            double cpuSeconds = system.getProcessCpuTime() / 1e9;
            return new Mark(seen.sum(), (System.currentTimeMillis() - started) / 1e3, cpuSeconds);
        }
    }

    private static Map<TopicPartition, Long> ends(Admin admin, String topic) throws Exception {
        var partitions = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
        var asked = partitions.stream()
                .collect(Collectors.toMap(found -> new TopicPartition(topic, found.partition()), found -> OffsetSpec.latest()));
        Map<TopicPartition, Long> ends = new HashMap<>();
        for (Map.Entry<TopicPartition, ListOffsetsResultInfo> found : admin.listOffsets(asked).all().get().entrySet()) {
            if (found.getValue().offset() > 0) {
                ends.put(found.getKey(), found.getValue().offset());
            }
        }
        return ends;
    }

    /** Waits until the group has committed all ends; returns the line of JSON. */
    private static String watch(
            Admin admin, String group, Map<TopicPartition, Long> ends, AtomicReference<Throwable> failure) throws Exception {
        long total = ends.values().stream().mapToLong(Long::longValue).sum();
        Mark half = null;
        while (true) {
            Thread.sleep(LOOK_MS);
            if (failure.get() != null) {
                throw new IllegalStateException("the topology failed", failure.get());
            }
            Mark now = Mark.now();
            if (half == null && now.records >= total / 2) {
                half = now;
            }
            if (now.records >= total && committed(admin, group, ends)) {
                return json(half, Mark.now());
            }
            if (now.seconds > END_MAX.toSeconds()) {
                throw new IllegalStateException(now.records + " of " + total + " records after " + END_MAX);
            }
        }
    }

    private static boolean committed(Admin admin, String group, Map<TopicPartition, Long> ends)
            throws InterruptedException, ExecutionException {
        Map<TopicPartition, OffsetAndMetadata> offsets =
                admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        return ends.entrySet().stream().allMatch(end -> {
            OffsetAndMetadata offset = offsets.get(end.getKey());
            return offset != null && offset.offset() >= end.getValue();
        });
    }

    private static String json(Mark half, Mark end) {
        return String.format(Locale.ROOT,
                "{\"records\":%d,\"seconds\":%.3f,\"cpu_seconds\":%.3f,"
                        + "\"warm_records\":%d,\"warm_seconds\":%.3f,\"warm_cpu_seconds\":%.3f}",
                end.records, end.seconds, end.cpuSeconds,
                end.records - half.records, end.seconds - half.seconds, end.cpuSeconds - half.cpuSeconds);
    }

    // Rows and their serdes.

    private static final class Bid {
        long auction;
        long bidder;
        long price;
        String channel;
        String url;
        long dateTime;
        String extra;
    }

    private record Converted(long auction, long bidder, BigDecimal price, long dateTime, String extra) {
        static Converted of(Bid bid) {
            return new Converted(bid.auction, bid.bidder, BigDecimal.valueOf(bid.price * 908, 3), bid.dateTime, bid.extra);
        }
    }

    private record Offer(long auction, long price) {}

    private static final JsonFactory JSON = new JsonFactory();
    private static final Serde<Bid> BID = serde(Peer::writeBid, Peer::readBid);
    private static final Serde<Converted> CONVERTED = serde(Peer::writeConverted, null);
    private static final Serde<Offer> OFFER = serde(Peer::writeOffer, null);

    private interface Writer<T> {
        void write(T row, JsonGenerator json) throws IOException;
    }

    private interface Reader<T> {
        T read(JsonParser json) throws IOException;
    }

    private static <T> Serde<T> serde(Writer<T> writer, Reader<T> reader) {
        return Serdes.serdeFrom((topic, row) -> write(writer, row), (topic, bytes) -> read(reader, bytes));
    }

    private static <T> byte[] write(Writer<T> writer, T row) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
        try (JsonGenerator json = JSON.createGenerator(bytes)) {
            json.writeStartObject();
            writer.write(row, json);
            json.writeEndObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }

    private static <T> T read(Reader<T> reader, byte[] bytes) {
        seen.increment();
        try (JsonParser json = JSON.createParser(bytes)) {
            json.nextToken();
            return reader.read(json);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static Bid readBid(JsonParser json) throws IOException {
        Bid bid = new Bid();
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = json.currentName();
            json.nextToken();
            switch (name) {
                case "auction" -> bid.auction = json.getLongValue();
                case "bidder" -> bid.bidder = json.getLongValue();
                case "price" -> bid.price = json.getLongValue();
                case "channel" -> bid.channel = json.getText();
                case "url" -> bid.url = json.getText();
                case "dateTime" -> bid.dateTime = json.getLongValue();
                case "extra" -> bid.extra = json.getText();
                default -> json.skipChildren();
            }
        }
        return bid;
    }

    private static void writeBid(Bid bid, JsonGenerator json) throws IOException {
        json.writeNumberField("auction", bid.auction);
        json.writeNumberField("bidder", bid.bidder);
        json.writeNumberField("price", bid.price);
        json.writeStringField("channel", bid.channel);
        json.writeStringField("url", bid.url);
        json.writeNumberField("dateTime", bid.dateTime);
        json.writeStringField("extra", bid.extra);
    }

    private static void writeConverted(Converted row, JsonGenerator json) throws IOException {
        json.writeNumberField("auction", row.auction);
        json.writeNumberField("bidder", row.bidder);
        json.writeNumberField("price", row.price);
        json.writeNumberField("dateTime", row.dateTime);
        json.writeStringField("extra", row.extra);
    }

    private static void writeOffer(Offer row, JsonGenerator json) throws IOException {
        json.writeNumberField("auction", row.auction);
        json.writeNumberField("price", row.price);
    }
}
