//! The queries of the benchmark, as Headwater runs them.

use clap::ValueEnum;

/// Nexmark's queries without state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Query {
    /// Pass through: every column unchanged
    Q0,
    /// Price in another currency, five of seven columns
    Q1,
    /// Two columns of every 123rd auction
    Q2,
}

const BIDS: &str = "CREATE STREAM bids (k STRING KEY, auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, \
    url STRING, dateTime BIGINT, extra STRING) WITH (KAFKA_TOPIC = '{topic}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');";
const QUERY: &str = "CREATE STREAM {name} WITH (KAFKA_TOPIC = '{to}', VALUE_FORMAT = 'JSON') AS {select};";
const AUCTION_DIVISOR: u64 = 123;

impl Query {
    /// The name in figures, statements and topics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q0 => "q0",
            Self::Q1 => "q1",
            Self::Q2 => "q2",
        }
    }

    /// The statement that creates it under a name; the stream of bids must be defined.
    pub fn statement(self, name: &str, to: &str) -> String {
        QUERY.replace("{name}", name).replace("{to}", to).replace("{select}", self.select())
    }

    /// Whether it keeps the bid whose record has this key, which is the auction as text.
    pub fn keeps(self, key: Option<&[u8]>) -> bool {
        let auction = || std::str::from_utf8(key?).ok()?.parse::<u64>().ok();
        self != Self::Q2 || auction().is_some_and(|auction| auction.is_multiple_of(AUCTION_DIVISOR))
    }

    fn select(self) -> &'static str {
        match self {
            Self::Q0 => "SELECT k, auction, bidder, price, channel, url, dateTime, extra FROM bids",
            Self::Q1 => "SELECT k, auction, bidder, price * 0.908 AS price, dateTime, extra FROM bids",
            Self::Q2 => "SELECT k, auction, price FROM bids WHERE auction % 123 = 0",
        }
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
