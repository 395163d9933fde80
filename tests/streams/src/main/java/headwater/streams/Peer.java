package headwater.streams;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
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
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/**
 * Runs one of {@link Queries} over a topic of bids with Kafka Streams, exactly once, with a commit every second, or reads
 * the windowed table that another program wrote.
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
    private static final long COMMITTED_LOOK_MS = 100;
    private static final String USAGE = "options: --bootstrap-server HOST:PORT [--topic bids] --to TOPIC"
            + " [--query q0|q1|q2|tumbling|hopping|session|join|pairs] [--auctions-topic auctions] [--id ID] [--threads N]"
            + " [--linger-ms MS] [--batch-bytes BYTES], or --bootstrap-server HOST:PORT --windows tumbling|hopping|session"
            + " --topic TOPIC";

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = parse(arguments);
        if (options.containsKey("--windows")) {
            String server = need(options, "--bootstrap-server");
            System.out.println(WindowedTopic.totals(server, need(options, "--topic"), options.get("--windows")));
            return;
        }
        AtomicReference<Throwable> failure = new AtomicReference<>();
        Map<String, Object> place = Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, need(options, "--bootstrap-server"));
        try (Admin admin = Admin.create(place);
                KafkaStreams streams = new KafkaStreams(topology(options), properties(options))) {
            Map<TopicPartition, Long> ends = ends(admin, List.of(options.getOrDefault("--topic", "bids")));
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
        return Queries.topology(
                options.getOrDefault("--query", "q0"),
                options.getOrDefault("--topic", "bids"),
                options.getOrDefault("--auctions-topic", "auctions"),
                need(options, "--to"));
    }

    // The cost of the run.

    private record Mark(long records, double seconds, double cpuSeconds) {
        static Mark now() {
            long started = ManagementFactory.getRuntimeMXBean().getStartTime();
            var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            double cpuSeconds = system.getProcessCpuTime() / 1e9;
            return new Mark(Rows.bidsRead(), (System.currentTimeMillis() - started) / 1e3, cpuSeconds);
        }
    }

    /** The topics between the steps of the query. */
    private static List<String> repartitions(Admin admin, String group) throws Exception {
        return admin.listTopics().names().get().stream()
                .filter(topic -> topic.startsWith(group + "-") && topic.endsWith("-repartition"))
                .collect(Collectors.toList());
    }

    private static Map<TopicPartition, Long> ends(Admin admin, List<String> topics) throws Exception {
        var described = admin.describeTopics(topics).allTopicNames().get();
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        described.forEach((topic, found) -> found.partitions().forEach(
                partition -> asked.put(new TopicPartition(topic, partition.partition()), OffsetSpec.latest())));
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
                // What is in the topics between the steps of the query comes after it.
                if (committed(admin, group, ends(admin, repartitions(admin, group)))) {
                    return json(half, Mark.now());
                }
                Thread.sleep(COMMITTED_LOOK_MS);
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
}
