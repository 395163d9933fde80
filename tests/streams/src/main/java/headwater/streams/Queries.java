package headwater.streams;

import static headwater.streams.Rows.AUCTION;
import static headwater.streams.Rows.BID;
import static headwater.streams.Rows.CONVERTED;
import static headwater.streams.Rows.JOINED;
import static headwater.streams.Rows.KEPT_BID;
import static headwater.streams.Rows.OFFER;
import static headwater.streams.Rows.TOTALS;

import java.time.Duration;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The queries of the benchmark: Nexmark's q0, q1 and q2, totals in windows, a join of bids with the table of their auctions
 * and one with the stream of their auctions. The key of a bid is its auction, so that no query needs a repartition topic
 * except the sessions of bidders.
 */
final class Queries {
    static final Duration SIZE = Duration.ofSeconds(10);
    static final Duration ADVANCE = Duration.ofSeconds(2);
    static final Duration GAP = Duration.ofSeconds(10);
    static final Duration GRACE = Duration.ofDays(1);

    private Queries() {}

    static Topology topology(String query, String topic, String auctionsTopic, String to) {
        StreamsBuilder builder = new StreamsBuilder();
        if (query.equals("q0") || query.equals("q1") || query.equals("q2")) {
            stateless(query, builder.stream(topic, Consumed.with(Serdes.ByteArray(), BID)), to);
            return builder.build();
        }
        KStream<String, Rows.Bid> bids = builder.stream(topic, Consumed.with(Serdes.String(), BID));
        var auctions = Consumed.with(Serdes.String(), AUCTION);
        var joined = Produced.with(Serdes.String(), JOINED);
        switch (query) {
            case "tumbling" -> totals(bids, TimeWindows.ofSizeAndGrace(SIZE, GRACE), to);
            case "hopping" -> totals(bids, TimeWindows.ofSizeAndGrace(SIZE, GRACE).advanceBy(ADVANCE), to);
            case "session" -> sessions(bids, to);
            case "join" -> bids.join(
                            builder.table(auctionsTopic, auctions),
                            Rows.Joined::of,
                            Joined.with(Serdes.String(), BID, AUCTION))
                    .to(to, joined);
            case "pairs" -> bids.join(
                            builder.stream(auctionsTopic, auctions),
                            Rows.Joined::of,
                            JoinWindows.ofTimeDifferenceAndGrace(SIZE, GRACE),
                            StreamJoined.with(Serdes.String(), KEPT_BID, AUCTION))
                    .to(to, joined);
            default -> throw new IllegalArgumentException("there is no query " + query);
        }
        return builder.build();
    }

    private static void stateless(String query, KStream<byte[], Rows.Bid> bids, String to) {
        switch (query) {
            case "q0" -> bids.to(to, Produced.with(Serdes.ByteArray(), BID));
            case "q1" -> bids.mapValues(Rows.Converted::of).to(to, Produced.with(Serdes.ByteArray(), CONVERTED));
            default -> bids.filter((key, bid) -> bid.auction % 123 == 0)
                    .mapValues(bid -> new Rows.Offer(bid.auction, bid.price))
                    .to(to, Produced.with(Serdes.ByteArray(), OFFER));
        }
    }

    private static void totals(KStream<String, Rows.Bid> bids, TimeWindows windows, String to) {
        Materialized<String, Rows.Totals, WindowStore<Bytes, byte[]>> store = Materialized.with(Serdes.String(), TOTALS);
        Serde<Windowed<Long>> keys = WindowedSerdes.timeWindowedSerdeFrom(Long.class, windows.size());
        bids.groupByKey(Grouped.with(Serdes.String(), BID))
                .windowedBy(windows)
                .aggregate(() -> Rows.Totals.NONE, (key, bid, totals) -> totals.with(bid), store)
                .toStream((key, totals) -> new Windowed<>(Long.valueOf(key.key()), key.window()))
                .to(to, Produced.with(keys, TOTALS));
    }

    private static void sessions(KStream<String, Rows.Bid> bids, String to) {
        Materialized<Long, Rows.Totals, SessionStore<Bytes, byte[]>> store = Materialized.with(Serdes.Long(), TOTALS);
        bids.groupBy((key, bid) -> bid.bidder, Grouped.with(Serdes.Long(), KEPT_BID))
                .windowedBy(SessionWindows.ofInactivityGapAndGrace(GAP, GRACE))
                .aggregate(
                        () -> Rows.Totals.NONE,
                        (key, bid, totals) -> totals.with(bid),
                        (key, one, other) -> one.with(other),
                        store)
                .toStream()
                .to(to, Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(Long.class), TOTALS));
    }
}
