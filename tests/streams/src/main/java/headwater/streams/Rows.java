package headwater.streams;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * Rows and their serdes, written by hand with Jackson's streaming interface: they do less work per row than ksqlDB, so the
 * figures are an upper limit for ksqlDB.
 */
final class Rows {
    /** Number of deserialized bids of the input; all threads share it. */
    private static final LongAdder read = new LongAdder();

    private Rows() {}

    /** The number of bids that were read from the input so far. */
    static long bidsRead() {
        return read.sum();
    }

    static final class Bid {
        long auction;
        long bidder;
        long price;
        String channel;
        String url;
        long dateTime;
        String extra;
    }

    record Converted(long auction, long bidder, BigDecimal price, long dateTime, String extra) {
        static Converted of(Bid bid) {
            return new Converted(bid.auction, bid.bidder, BigDecimal.valueOf(bid.price * 908, 3), bid.dateTime, bid.extra);
        }
    }

    record Offer(long auction, long price) {}

    record Auction(long category, long seller) {}

    record Joined(long auction, long price, long category, long seller) {
        static Joined of(Bid bid, Auction auction) {
            return new Joined(bid.auction, bid.price, auction.category, auction.seller);
        }
    }

    record Totals(long n, long s) {
        static final Totals NONE = new Totals(0, 0);

        Totals with(Bid bid) {
            return new Totals(n + 1, s + bid.price);
        }

        Totals with(Totals other) {
            return new Totals(n + other.n, s + other.s);
        }
    }

    private static final JsonFactory JSON = new JsonFactory();
    /** Bids of the input, which are counted. */
    static final Serde<Bid> BID = serde(Rows::writeBid, Rows::readInput);
    /** Bids on their way through topics of the query. */
    static final Serde<Bid> KEPT_BID = serde(Rows::writeBid, Rows::readBid);
    static final Serde<Converted> CONVERTED = serde(Rows::writeConverted, null);
    static final Serde<Offer> OFFER = serde(Rows::writeOffer, null);
    static final Serde<Auction> AUCTION = serde(Rows::writeAuction, Rows::readAuction);
    static final Serde<Totals> TOTALS = serde(Rows::writeTotals, Rows::readTotals);
    static final Serde<Joined> JOINED = serde(Rows::writeJoined, null);

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
        if (row == null) {
            return null;
        }
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
        if (bytes == null) {
            return null;
        }
        try (JsonParser json = JSON.createParser(bytes)) {
            json.nextToken();
            return reader.read(json);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static Bid readInput(JsonParser json) throws IOException {
        read.increment();
        return readBid(json);
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

    private static Auction readAuction(JsonParser json) throws IOException {
        long[] columns = readTwo(json, "category", "seller");
        return new Auction(columns[0], columns[1]);
    }

    private static void writeAuction(Auction row, JsonGenerator json) throws IOException {
        json.writeNumberField("category", row.category);
        json.writeNumberField("seller", row.seller);
    }

    private static Totals readTotals(JsonParser json) throws IOException {
        long[] columns = readTwo(json, "N", "S");
        return new Totals(columns[0], columns[1]);
    }

    /** The two columns with these names; 0 for one that is not there. */
    private static long[] readTwo(JsonParser json, String first, String second) throws IOException {
        long[] columns = new long[2];
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String name = json.currentName();
            json.nextToken();
            if (name.equals(first)) {
                columns[0] = json.getLongValue();
            } else if (name.equals(second)) {
                columns[1] = json.getLongValue();
            } else {
                json.skipChildren();
            }
        }
        return columns;
    }

    private static void writeTotals(Totals row, JsonGenerator json) throws IOException {
        json.writeNumberField("N", row.n);
        json.writeNumberField("S", row.s);
    }

    private static void writeJoined(Joined row, JsonGenerator json) throws IOException {
        json.writeNumberField("AUCTION", row.auction);
        json.writeNumberField("PRICE", row.price);
        json.writeNumberField("CATEGORY", row.category);
        json.writeNumberField("SELLER", row.seller);
    }
}
