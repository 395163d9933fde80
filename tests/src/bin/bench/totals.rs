//! What a query with state must write, computed from its input by another client, and what it wrote.
//!
//! Both are totals by output key: of the latest record of each key for tables, and of all records of a key for joins.

use std::collections::BTreeMap;
use std::error::Error;

use crate::query::{ADVANCE_MS, GAP_MS, Query, SIZE_MS};
use crate::reader::each_record;

/// Number of keys that are shown with an error.
const SHOWN_MAX: usize = 3;

/// The totals of each output key: how many rows, and the sums of up to two columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<Vec<u8>, [i64; 3]>);

impl Totals {
    /// What a query must write about the bids in a topic. For a join, `auctions` is the topic of the auctions.
    pub fn expected(bootstrap: &str, topic: &str, query: Query, auctions: &str) -> Result<Self, Box<dyn Error>> {
        let mut totals = Self::default();
        match query {
            Query::Session => return Self::sessions(bootstrap, topic),
            Query::Join | Query::Pairs => {
                let auctions = opened(bootstrap, auctions)?;
                each_bid(bootstrap, topic, |bid| {
                    let (category, time_ms) = auctions.get(bid.key).ok_or("a bid has no auction")?;
                    if query == Query::Join || (bid.time_ms - time_ms).abs() <= SIZE_MS {
                        totals.add(bid.key.to_vec(), [1, bid.price, *category]);
                    }
                    Ok(())
                })?;
            }
            _ => {
                let advance_ms = if query == Query::Hopping { ADVANCE_MS } else { SIZE_MS };
                each_bid(bootstrap, topic, |bid| {
                    for start_ms in starts(bid.time_ms, advance_ms) {
                        totals.add(window_key(bid.auction, &[start_ms]), [1, bid.price, 0]);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(totals)
    }

    /// The sessions of each bidder: a bid belongs to the one before if it is not more than the gap later.
    fn sessions(bootstrap: &str, topic: &str) -> Result<Self, Box<dyn Error>> {
        let mut bids: BTreeMap<i64, Vec<(i64, i64)>> = BTreeMap::new();
        each_bid(bootstrap, topic, |bid| {
            bids.entry(bid.bidder).or_default().push((bid.time_ms, bid.price));
            Ok(())
        })?;
        let mut totals = Self::default();
        for (bidder, mut bids) in bids {
            bids.sort_unstable();
            for session in bids.chunk_by(|before, after| after.0 - before.0 <= GAP_MS) {
                let (start_ms, end_ms) = (session[0].0, session[session.len() - 1].0);
                let sum = session.iter().map(|(_, price)| price).sum();
                totals.add(window_key(bidder, &[end_ms, start_ms]), [session.len() as i64, sum, 0]);
            }
        }
        Ok(totals)
    }

    /// What a query has written to a topic.
    pub fn written(bootstrap: &str, topic: &str, query: Query) -> Result<Self, Box<dyn Error>> {
        let mut totals = Self::default();
        each_record(bootstrap, topic, |record| {
            let key = record.key.ok_or("an output record has no key")?;
            match record.value {
                Some(value) if !query.has_windows() => {
                    totals.add(key.to_vec(), [1, number(value, "PRICE")?, number(value, "CATEGORY")?]);
                }
                Some(value) => drop(totals.0.insert(key.to_vec(), [number(value, "N")?, number(value, "S")?, 0])),
                None => drop(totals.0.remove(key)),
            }
            Ok(())
        })?;
        Ok(totals)
    }

    /// Describes the differences from what was expected; `None` if there are none.
    pub fn differences(&self, expected: &Self) -> Option<String> {
        let keys = expected.0.keys().chain(self.0.keys().filter(|key| !expected.0.contains_key(*key)));
        let differ: Vec<_> = keys.filter(|key| self.0.get(*key) != expected.0.get(*key)).collect();
        let shown = differ
            .iter()
            .take(SHOWN_MAX)
            .map(|key| format!("{}: {:?} instead of {:?}", key.escape_ascii(), self.0.get(*key), expected.0.get(*key)));
        let shown = shown.collect::<Vec<_>>().join("; ");
        (!differ.is_empty()).then(|| format!("{} of {} keys differ: {shown}", differ.len(), expected.0.len()))
    }

    /// The number of keys, and the totals of all of them.
    pub fn all(&self) -> (usize, [i64; 2]) {
        let add = |[n, s]: [i64; 2], values: &[i64; 3]| [n + values[0], s + values[1]];
        (self.0.len(), self.0.values().fold([0, 0], add))
    }

    fn add(&mut self, key: Vec<u8>, values: [i64; 3]) {
        let totals = self.0.entry(key).or_default();
        totals.iter_mut().zip(values).for_each(|(total, value)| *total += value);
    }
}

/// The key of a group with its window, as Kafka Streams writes it.
fn window_key(group: i64, times_ms: &[i64]) -> Vec<u8> {
    [group].iter().chain(times_ms).flat_map(|number| number.to_be_bytes()).collect()
}

/// The starts of the windows of a time.
fn starts(time_ms: i64, advance_ms: i64) -> impl Iterator<Item = i64> {
    let last = time_ms - time_ms.rem_euclid(advance_ms);
    (0..).map(move |step| last - step * advance_ms).take_while(move |start| start + SIZE_MS > time_ms)
}

/// The fields of a bid that the queries use.
struct Bid<'a> {
    key: &'a [u8],
    auction: i64,
    bidder: i64,
    price: i64,
    time_ms: i64,
}

fn each_bid(
    bootstrap: &str,
    topic: &str,
    mut show: impl FnMut(&Bid<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    each_record(bootstrap, topic, |record| {
        let (key, value) = record.key.zip(record.value).ok_or("a bid has no key or no value")?;
        let field = |name| number(value, name);
        let (auction, bidder, price) = (field("auction")?, field("bidder")?, field("price")?);
        show(&Bid { key, auction, bidder, price, time_ms: record.timestamp_ms })
    })
}

/// The category and the time in ms of each auction, by the key of its record.
type Opened = BTreeMap<Vec<u8>, (i64, i64)>;

fn opened(bootstrap: &str, topic: &str) -> Result<Opened, Box<dyn Error>> {
    let mut auctions = BTreeMap::new();
    each_record(bootstrap, topic, |record| {
        let (key, value) = record.key.zip(record.value).ok_or("an auction has no key or no value")?;
        auctions.insert(key.to_vec(), (number(value, "category")?, record.timestamp_ms));
        Ok(())
    })?;
    Ok(auctions)
}

/// The whole number in a field of a flat JSON object without escapes.
fn number(json: &[u8], name: &str) -> Result<i64, Box<dyn Error>> {
    let text = std::str::from_utf8(json)?;
    let (_, after) = text.split_once(&format!("\"{name}\":")).ok_or_else(|| format!("no \"{name}\" in {text}"))?;
    let end = after.find([',', '}']).ok_or_else(|| format!("not a JSON object: {text}"))?;
    Ok(after[..end].trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name() {
        let json = br#"{"auction":17,"price":5,"N":-2}"#;
        assert_eq!(["auction", "price", "N"].map(|name| number(json, name).unwrap()), [17, 5, -2]);
        assert!(number(json, "S").is_err() && number(b"{\"S\":1", "S").is_err());
    }

    #[test]
    fn a_time_is_in_each_window_that_contains_it() {
        assert_eq!(starts(25_000, SIZE_MS).collect::<Vec<_>>(), [20_000]);
        assert_eq!(starts(25_000, 5_000).collect::<Vec<_>>(), [25_000, 20_000]);
        assert_eq!(starts(29_999, 5_000).collect::<Vec<_>>(), [25_000, 20_000]);
    }

    #[test]
    fn differences_are_counted_and_shown() {
        let (mut expected, mut found) = (Totals::default(), Totals::default());
        expected.add(b"a".to_vec(), [1, 5, 0]);
        found.add(b"a".to_vec(), [1, 5, 0]);
        assert_eq!(found.differences(&expected), None);
        found.add(b"b".to_vec(), [1, 5, 0]);
        assert_eq!(found.differences(&expected).unwrap(), "1 of 1 keys differ: b: Some([1, 5, 0]) instead of None");
    }
}
