//! The queries of the benchmark, as Headwater runs them.

use clap::ValueEnum;

/// Nexmark's queries without state, and aggregates and a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Query {
    /// Pass through: every column unchanged
    Q0,
    /// Price in another currency, five of seven columns
    Q1,
    /// Two columns of every 123rd auction
    Q2,
    /// Count and sum of the prices of each auction, in windows of ten seconds
    Tumbling,
    /// The same in windows that start every two seconds
    Hopping,
    /// Count and sum of the prices of each bidder's session
    Session,
    /// Each bid with the category and the seller of its auction, from a table
    Join,
    /// The same from a stream of auctions, if the bid is at most ten seconds away from the beginning of the auction
    Pairs,
}

/// The size of windows, and how far the two records of a pair are apart at most.
pub const SIZE_MS: i64 = 10_000;
/// How often a hopping window starts.
pub const ADVANCE_MS: i64 = 2_000;
/// The gap that ends a session.
pub const GAP_MS: i64 = 10_000;

const BIDS: &str = "CREATE STREAM bids (k STRING KEY, auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, \
    url STRING, dateTime BIGINT, extra STRING) WITH (KAFKA_TOPIC = '{topic}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');";
const AUCTIONS: &str = "CREATE {kind} auctions (id STRING {key}, category BIGINT, seller BIGINT) \
    WITH (KAFKA_TOPIC = '{topic}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');";
const QUERY: &str = "CREATE {kind} {name} WITH (KAFKA_TOPIC = '{to}', VALUE_FORMAT = 'JSON') AS {select};";
const AUCTION_DIVISOR: u64 = 123;

impl Query {
    /// The name in figures, statements and topics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q0 => "q0",
            Self::Q1 => "q1",
            Self::Q2 => "q2",
            Self::Tumbling => "tumbling",
            Self::Hopping => "hopping",
            Self::Session => "session",
            Self::Join => "join",
            Self::Pairs => "pairs",
        }
    }

    /// The statements that define the bids and, for a join, the auctions.
    pub fn sources(self, bids: &str, auctions: &str) -> String {
        let bids = define_bids(bids);
        let auctions = AUCTIONS.replace("{topic}", auctions);
        match self {
            Self::Join => bids + "\n" + &auctions.replace("{kind}", "TABLE").replace("{key}", "PRIMARY KEY"),
            Self::Pairs => bids + "\n" + &auctions.replace("{kind}", "STREAM").replace("{key}", "KEY"),
            _ => bids,
        }
    }

    /// The statement that creates it under a name; its sources must be defined.
    pub fn statement(self, name: &str, to: &str) -> String {
        let kind = if self.has_windows() { "TABLE" } else { "STREAM" };
        let statement = QUERY.replace("{kind}", kind).replace("{name}", name).replace("{to}", to);
        statement.replace("{select}", &self.select())
    }

    /// Whether it keeps state: its output is compared with totals instead of counted.
    pub fn has_state(self) -> bool {
        !matches!(self, Self::Q0 | Self::Q1 | Self::Q2)
    }

    /// Whether its result is a table with windows in its keys.
    pub fn has_windows(self) -> bool {
        matches!(self, Self::Tumbling | Self::Hopping | Self::Session)
    }

    /// Whether it is also compared with the baseline read: unlike the copy, it does not write every record.
    pub fn is_compared_with_read(self) -> bool {
        self == Self::Q2 || self.has_state()
    }

    /// Whether it keeps the bid whose record has this key, which is the auction as text.
    pub fn keeps(self, key: Option<&[u8]>) -> bool {
        let auction = || std::str::from_utf8(key?).ok()?.parse::<u64>().ok();
        self != Self::Q2 || auction().is_some_and(|auction| auction.is_multiple_of(AUCTION_DIVISOR))
    }

    fn select(self) -> String {
        let totals = |group: &str, window: String| {
            format!(
                "SELECT {group}, COUNT(*) AS n, SUM(price) AS s FROM bids WINDOW {window} GROUP BY {group} EMIT CHANGES"
            )
        };
        let simple = match self {
            Self::Tumbling => return totals("auction", format!("TUMBLING (SIZE {SIZE_MS} MILLISECONDS)")),
            Self::Hopping => {
                let size = format!("SIZE {SIZE_MS} MILLISECONDS, ADVANCE BY {ADVANCE_MS} MILLISECONDS");
                return totals("auction", format!("HOPPING ({size})"));
            }
            Self::Session => return totals("bidder", format!("SESSION ({GAP_MS} MILLISECONDS)")),
            Self::Join => "SELECT k, auction, price, category, seller FROM bids JOIN auctions ON k = id EMIT CHANGES",
            Self::Pairs => {
                return format!(
                    "SELECT k, auction, price, category, seller FROM bids JOIN auctions WITHIN {SIZE_MS} MILLISECONDS \
                     GRACE PERIOD 1 DAY ON k = id EMIT CHANGES"
                );
            }
            Self::Q0 => "SELECT k, auction, bidder, price, channel, url, dateTime, extra FROM bids",
            Self::Q1 => "SELECT k, auction, bidder, price * 0.908 AS price, dateTime, extra FROM bids",
            Self::Q2 => "SELECT k, auction, price FROM bids WHERE auction % 123 = 0",
        };
        simple.to_owned()
    }
}

/// The statement that defines the stream of bids over a topic.
pub fn define_bids(topic: &str) -> String {
    BIDS.replace("{topic}", topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_query_keeps_every_123rd_auction() {
        assert!(Query::Q2.keeps(Some(b"1230")) && !Query::Q2.keeps(Some(b"1231")) && !Query::Q2.keeps(None));
        assert!(Query::Q0.keeps(None));
    }

    #[test]
    fn statement_names_stream_and_topic() {
        let statement = Query::Q2.statement("q2", "out");
        assert!(statement.starts_with("CREATE STREAM q2 WITH (KAFKA_TOPIC = 'out', "), "{statement}");
        assert!(statement.ends_with(" WHERE auction % 123 = 0;"), "{statement}");
    }
}
