package headwater.streams;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;

/** A windowed table in a topic, read with the deserializers of Kafka Streams. */
final class WindowedTopic {
    private WindowedTopic() {}

    /**
     * What the committed records of the topic amount to, as one line of JSON: the number of windows, the totals of their
     * rows, and the sum of their starts and ends in seconds.
     */
    static String totals(String server, String topic, String windows) {
        Map<Windowed<Long>, Rows.Totals> table = new HashMap<>();
        try (var consumer = new KafkaConsumer<>(properties(server), keys(windows), Rows.TOTALS.deserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(found -> new TopicPartition(topic, found.partition()))
                    .collect(Collectors.toList());
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<Windowed<Long>, Rows.Totals> record : consumer.poll(Duration.ofMillis(100))) {
                    if (record.value() == null) {
                        table.remove(record.key());
                    } else {
                        table.put(record.key(), record.value());
                    }
                }
            }
        }
        long n = table.values().stream().mapToLong(Rows.Totals::n).sum();
        long s = table.values().stream().mapToLong(Rows.Totals::s).sum();
        long starts = table.keySet().stream().mapToLong(key -> key.window().start() / 1_000).sum();
        long ends = table.keySet().stream().mapToLong(key -> key.window().end() / 1_000).sum();
        return String.format(Locale.ROOT, "{\"windows\":%d,\"n\":%d,\"s\":%d,\"starts\":%d,\"ends\":%d}",
                table.size(), n, s, starts, ends);
    }

    private static Map<String, Object> properties(String server) {
        return Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, server,
                ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed",
                ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
    }

    private static Deserializer<Windowed<Long>> keys(String windows) {
        return switch (windows) {
            case "tumbling", "hopping" ->
                WindowedSerdes.timeWindowedSerdeFrom(Long.class, Queries.SIZE.toMillis()).deserializer();
            case "session" -> WindowedSerdes.sessionWindowedSerdeFrom(Long.class).deserializer();
            default -> throw new IllegalArgumentException("there are no windows of kind " + windows);
        };
    }
}
