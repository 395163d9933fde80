//! Bids and auctions like those of the Nexmark benchmark: the same records for the same seed.
//!
//! It does no I/O, so that a test or a decoding benchmark can use the records without Kafka. The shape follows
//! Nexmark's own generator: half of all bids are on one hot auction, half come through four hot channels, prices span
//! six orders of magnitude, and bids arrive up to two seconds late. The first 5,000,000 bids of seed 1 have 215.7 bytes
//! on average, and contain 10,004 channels and 346,031 pairs of a 10 s window and an auction.
//!
//! ```
//! use headwater_tests::nexmark::Bids;
//! let bid = Bids::new(1).next().expect("bids never end");
//! let mut json = Vec::new();
//! bid.write_json(&mut json);
//! assert!(json.starts_with(b"{\"auction\":"));
//! ```

use std::io::Write;

/// Timestamp of the first bid in ms since the epoch, before its lateness is subtracted.
pub const START_MS: i64 = 1_700_000_000_000;
/// Bids in one second of event time.
pub const BIDS_PER_SECOND: u64 = 10_000;
/// Maximum lateness: how much older a bid may be than the newest bid before it.
pub const LATE_MS_MAX: u64 = 2_000;
/// Different channels: four hot ones and `channel-0` to `channel-9999`.
pub const CHANNELS: u64 = 10_004;

/// Number of auctions opened for every fifty bids.
const AUCTIONS_PER_BIDS: (u64, u64) = (3, 50);
const FIRST_AUCTION: u64 = 1_000;
/// Number of auctions that are open at the same time; the first of every this many is the hot one.
const AUCTIONS_OPEN: u64 = 100;
const FIRST_PERSON: u64 = 1_000;
const BIDS_PER_PERSON: u64 = 50;
const PERSONS_ACTIVE: u64 = 1_000;
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
/// Mean length of the filler of a bid, which makes the mean record 216 bytes long.
const BID_EXTRA_BYTES: u64 = 34;
const AUCTION_EXTRA_BYTES: u64 = 60;

/// One bid on one auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    /// The auction; also the record's key, as text.
    pub auction: u64,
    /// The bidder.
    pub bidder: u64,
    /// The price offered, in cents.
    pub price: u64,
    /// The channel of the bid.
    pub channel: String,
    /// The page it came from.
    pub url: String,
    /// The time of the bid, in ms since the epoch.
    pub date_time_ms: i64,
    /// Filler.
    pub extra: String,
}

impl Bid {
    /// Appends the bid as one JSON object. No field needs escaping: all text is plain ASCII.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let Self { auction, bidder, price, channel, url, date_time_ms, extra } = self;
        write!(
            out,
            r#"{{"auction":{auction},"bidder":{bidder},"price":{price},"channel":"{channel}","url":"{url}","dateTime":{date_time_ms},"extra":"{extra}"}}"#
        )
        .expect("a Vec takes every write");
    }
}

/// The endless sequence of bids of one seed.
#[derive(Clone, Debug)]
pub struct Bids {
    random: Random,
    made: u64,
}

impl Bids {
    /// The bids of a seed, from the first.
    pub fn new(seed: u64) -> Self {
        Self { random: Random(seed), made: 0 }
    }

    fn auction(&mut self) -> u64 {
        let newest = auctions_for(self.made);
        let number = if self.random.below(2) == 0 {
            newest / AUCTIONS_OPEN * AUCTIONS_OPEN
        } else {
            newest - self.random.below(AUCTIONS_OPEN.min(newest + 1))
        };
        FIRST_AUCTION + number
    }

    fn bidder(&mut self) -> u64 {
        let newest = self.made / BIDS_PER_PERSON;
        FIRST_PERSON + newest - self.random.below(PERSONS_ACTIVE.min(newest + 1))
    }

    fn channel(&mut self) -> (String, String) {
        if self.random.below(2) == 0 {
            let hot = self.random.below(HOT_CHANNELS.len() as u64);
            (HOT_CHANNELS[hot as usize].to_owned(), page(hot))
        } else {
            let number = self.random.below(CHANNELS - HOT_CHANNELS.len() as u64);
            let url = page(number + 100) + &format!("&channel_id={}", number.reverse_bits() >> 40);
            (format!("channel-{number}"), url)
        }
    }

    fn date_time_ms(&mut self) -> i64 {
        let on_time = START_MS + (self.made * 1_000 / BIDS_PER_SECOND) as i64;
        on_time - self.random.below(LATE_MS_MAX + 1) as i64
    }
}

impl Iterator for Bids {
    type Item = Bid;

    fn next(&mut self) -> Option<Bid> {
        let (channel, url) = self.channel();
        let bid = Bid {
            auction: self.auction(),
            bidder: self.bidder(),
            price: self.random.price(),
            channel,
            url,
            date_time_ms: self.date_time_ms(),
            extra: self.random.filler(BID_EXTRA_BYTES),
        };
        self.made += 1;
        Some(bid)
    }
}

/// Number of auctions opened by the time that this many bids are made.
pub fn auctions_for(bids: u64) -> u64 {
    bids * AUCTIONS_PER_BIDS.0 / AUCTIONS_PER_BIDS.1
}

/// One auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auction {
    /// Its id; also the record's key, as text.
    pub id: u64,
    /// What is sold.
    pub item_name: String,
    /// A longer description.
    pub description: String,
    /// First price, in cents.
    pub initial_bid: u64,
    /// Price below which it is not sold, in cents.
    pub reserve: u64,
    /// Opening time, in ms since the epoch.
    pub date_time_ms: i64,
    /// Closing time, in ms since the epoch.
    pub expires_ms: i64,
    /// The seller.
    pub seller: u64,
    /// Its category, 10 to 14.
    pub category: u64,
    /// Filler.
    pub extra: String,
}

impl Auction {
    /// Appends the auction as one JSON object. No field needs escaping: all text is plain ASCII.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let Self { id, item_name, description, initial_bid, reserve, .. } = self;
        let Self { date_time_ms, expires_ms, seller, category, extra, .. } = self;
        write!(
            out,
            r#"{{"id":{id},"itemName":"{item_name}","description":"{description}","initialBid":{initial_bid},"reserve":{reserve},"dateTime":{date_time_ms},"expires":{expires_ms},"seller":{seller},"category":{category},"extra":"{extra}"}}"#
        )
        .expect("a Vec takes every write");
    }
}

/// The endless sequence of auctions of one seed, on which the bids of [`Bids`] are made.
#[derive(Clone, Debug)]
pub struct Auctions {
    random: Random,
    made: u64,
}

impl Auctions {
    /// The auctions of a seed, from the first.
    pub fn new(seed: u64) -> Self {
        Self { random: Random(!seed), made: 0 }
    }
}

impl Iterator for Auctions {
    type Item = Auction;

    fn next(&mut self) -> Option<Auction> {
        let bids = self.made * AUCTIONS_PER_BIDS.1 / AUCTIONS_PER_BIDS.0;
        let date_time_ms = START_MS + (bids * 1_000 / BIDS_PER_SECOND) as i64 - LATE_MS_MAX as i64;
        let initial_bid = self.random.price();
        let auction = Auction {
            id: FIRST_AUCTION + self.made,
            item_name: self.random.filler(10),
            description: self.random.filler(50),
            initial_bid,
            reserve: initial_bid + self.random.price(),
            date_time_ms,
            expires_ms: date_time_ms + 10_000 + self.random.below(10_000) as i64,
            seller: FIRST_PERSON + self.random.below(bids / BIDS_PER_PERSON + 1),
            category: 10 + self.random.below(5),
            extra: self.random.filler(AUCTION_EXTRA_BYTES),
        };
        self.made += 1;
        Some(auction)
    }
}

/// The page of a channel: three words that are always the same for it.
fn page(channel: u64) -> String {
    let mut words = Random(channel);
    format!("https://www.nexmark.com/{}/{}/{}/item.htm?query=1", words.letters(5), words.letters(5), words.letters(5))
}

/// SplitMix64, implemented here so that no change of a dependency changes the records.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end - 1`; the bias is below one in 2^40 for the values of `end` used here.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A price in cents, from 1 to 1,000,000 whole units, with every order of magnitude equally likely.
    fn price(&mut self) -> u64 {
        let unit = self.below(1 << 32) as f64 / (1_u64 << 32) as f64;
        (10_f64.powf(unit * 6.0) * 100.0).round() as u64
    }

    /// A number of letters that varies by a fifth around the mean.
    fn filler(&mut self, mean: u64) -> String {
        let length = mean - mean / 5 + self.below(2 * (mean / 5) + 1);
        self.letters(length)
    }

    fn letters(&mut self, length: u64) -> String {
        let mut bits = 0;
        let mut letter = |i: u64| {
            bits = if i.is_multiple_of(12) { self.next() } else { bits >> 5 };
            char::from(b'a' + (bits % 26) as u8)
        };
        (0..length).map(&mut letter).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_determines_the_bids() {
        let first: Vec<Bid> = Bids::new(7).take(1_000).collect();
        assert_eq!(first, Bids::new(7).take(1_000).collect::<Vec<_>>());
        assert_ne!(first, Bids::new(8).take(1_000).collect::<Vec<_>>());
    }

    /// These bytes are pinned: the records must not change, so that figures stay comparable over time.
    #[test]
    fn first_bid_is_pinned() {
        let mut json = Vec::new();
        Bids::new(1).next().expect("bids never end").write_json(&mut json);
        let pinned = r#"{"auction":1000,"bidder":1000,"price":3778908,"channel":"channel-7457","url":"https://www.nexmark.com/meicm/hlhux/ckntf/item.htm?query=1&channel_id=8697856","dateTime":1699999998245,"extra":"yhzgfkgxigxqsibwmolpewiqhbnmnquqwm"}"#;
        assert_eq!(String::from_utf8(json).expect("ASCII"), pinned);
    }

    #[test]
    fn bids_are_at_most_two_seconds_late() {
        let mut newest = 0;
        for bid in Bids::new(1).take(100_000) {
            assert!(newest - bid.date_time_ms <= LATE_MS_MAX as i64);
            newest = newest.max(bid.date_time_ms);
        }
    }

    #[test]
    fn every_bid_is_on_an_auction_that_exists() {
        let bids = 50_000;
        let known: BTreeSet<u64> = Auctions::new(1).take(auctions_for(bids) as usize + 1).map(|a| a.id).collect();
        assert!(Bids::new(1).take(bids as usize).all(|bid| known.contains(&bid.auction)));
    }

    #[test]
    fn mean_size_is_as_documented() {
        let bids = 100_000;
        let mut json = Vec::new();
        Bids::new(1).take(bids).for_each(|bid| bid.write_json(&mut json));
        let mean = json.len() as f64 / bids as f64;
        // Ids are shorter at first: over 5,000,000 bids it is 215.7.
        assert!((212.0..216.0).contains(&mean), "mean {mean} bytes");
    }
}
