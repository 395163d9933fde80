//! The records of the demo: orders with nested items, and customers that change.
//!
//! Deterministic: the same seed and times give the same records. About one order in [`BROKEN_EVERY`] is invalid, as in
//! real topics, and occasionally a customer is deleted.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::BinaryBuilder;
use arrow::buffer::ScalarBuffer;
use headwater_formats::record::OutBatch;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The topic of orders.
pub const ORDERS: &str = "orders";
/// The topic of customers.
pub const CUSTOMERS: &str = "customers";
/// Number of customers.
pub const CUSTOMERS_COUNT: u32 = 500;
/// One order in this many cannot be decoded.
pub const BROKEN_EVERY: u32 = 200;
/// One change of a customer in this many is a deletion.
const DELETED_EVERY: u32 = 25;
/// Maximum number of different items in one order.
const ITEMS_MAX: u32 = 5;

/// The items for sale: number and price in cents.
const GOODS: &[(&str, u32)] = &[
    ("TEA-SENCHA", 1_290),
    ("TEA-ASSAM", 990),
    ("TEA-MATCHA", 2_450),
    ("COFFEE-KENYA", 1_450),
    ("COFFEE-BRAZIL", 1_150),
    ("COFFEE-DECAF", 1_250),
    ("CUP-BLUE", 850),
    ("CUP-WHITE", 790),
    ("POT-IRON", 4_900),
    ("POT-GLASS", 3_250),
    ("KETTLE-STEEL", 5_990),
    ("SCALE", 2_790),
];
const CITIES: &[(&str, &str)] = &[
    ("Lisbon", "PT"),
    ("Porto", "PT"),
    ("Gdańsk", "PL"),
    ("Kraków", "PL"),
    ("Bergen", "NO"),
    ("Utrecht", "NL"),
    ("Ghent", "BE"),
    ("Lyon", "FR"),
    ("Leipzig", "DE"),
    ("Turin", "IT"),
];
const STREETS: &[&str] = &["Mill Lane", "Station Road", "Rua Nova", "Quai Sud", "Hafenstraße", "Via Roma"];
const FIRST_NAMES: &[&str] = &["Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Femke", "Goran", "Hanna", "Ivo", "Jana"];
const LAST_NAMES: &[&str] = &["Almeida", "Berg", "Costa", "Dubois", "Eriksen", "Ferrari", "Gruber", "Hoekstra", "Ito"];
const TIERS: &[&str] = &["BRONZE", "BRONZE", "BRONZE", "SILVER", "SILVER", "GOLD"];
const STATUSES: &[&str] = &["PAID", "PAID", "PAID", "SHIPPED", "SHIPPED", "CANCELLED"];

/// A generator of records.
#[derive(Debug)]
pub struct Feed {
    random: StdRng,
    orders: u64,
}

impl Feed {
    /// A generator that gives the same records for the same seed. `orders` is the number of earlier orders: the next
    /// one is numbered after them.
    pub fn new(seed: u64, orders: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), orders }
    }

    /// A record for each customer, all with one timestamp (ms since the epoch).
    pub fn all_customers(&mut self, at_ms: i64) -> OutBatch {
        let mut batch = Batch::new(CUSTOMERS);
        for number in 0..CUSTOMERS_COUNT {
            let value = self.customer(number);
            batch.push(&customer_id(number), Some(value.as_bytes()), at_ms);
        }
        batch.finish()
    }

    /// Changes of customers, one at each time: mostly a new city or tier, sometimes a deletion.
    pub fn customer_changes(&mut self, at_ms: impl Iterator<Item = i64>) -> OutBatch {
        let mut batch = Batch::new(CUSTOMERS);
        for at_ms in at_ms {
            let number = self.random.random_range(0..CUSTOMERS_COUNT);
            let deleted = self.random.random_ratio(1, DELETED_EVERY);
            let value = (!deleted).then(|| self.customer(number));
            batch.push(&customer_id(number), value.as_deref().map(str::as_bytes), at_ms);
        }
        batch.finish()
    }

    /// Orders, one at each time.
    pub fn orders(&mut self, at_ms: impl Iterator<Item = i64>) -> OutBatch {
        let mut batch = Batch::new(ORDERS);
        for at_ms in at_ms {
            self.orders += 1;
            let key = format!("O-{:06}", self.orders);
            let value = self.order();
            if self.random.random_ratio(1, BROKEN_EVERY) {
                batch.push(&key, Some(&self.broken(&value)), at_ms);
            } else {
                batch.push(&key, Some(value.as_bytes()), at_ms);
            }
        }
        batch.finish()
    }

    fn customer(&mut self, number: u32) -> String {
        let (first, last) = (of(FIRST_NAMES, number), of(LAST_NAMES, number / 10));
        let (city, country) = *self.any(CITIES);
        let tier = *self.any(TIERS);
        let email = format!("{}.{}@example.com", first.to_lowercase(), last.to_lowercase());
        format!(
            r#"{{"name":"{first} {last}","email":"{email}","tier":"{tier}","address":{{"city":"{city}","country":"{country}"}}}}"#
        )
    }

    fn order(&mut self) -> String {
        let customer = customer_id(self.customer_number());
        let status = *self.any(STATUSES);
        let (items, cents) = self.items();
        let street = *self.any(STREETS);
        let house = self.random.random_range(1..200);
        let (city, country) = *self.any(CITIES);
        format!(
            r#"{{"customer_id":"{customer}","status":"{status}","amount":{},"items":[{items}],"ship_to":{{"street":"{street} {house}","city":"{city}","country":"{country}"}}}}"#,
            money(cents)
        )
    }

    /// Some customers place far more orders than others.
    fn customer_number(&mut self) -> u32 {
        let bound = self.random.random_range(1..=CUSTOMERS_COUNT);
        self.random.random_range(0..bound)
    }

    /// The items of an order as JSON, and their total price.
    fn items(&mut self) -> (String, u32) {
        let (mut text, mut cents) = (String::new(), 0);
        for position in 0..self.random.random_range(1..=ITEMS_MAX) {
            let (sku, price) = *self.any(GOODS);
            let quantity = self.random.random_range(1..=3);
            cents += price * quantity;
            let comma = if position > 0 { "," } else { "" };
            write!(text, r#"{comma}{{"sku":"{sku}","quantity":{quantity},"price":{}}}"#, money(price))
                .expect("writing to a string cannot fail");
        }
        (text, cents)
    }

    /// An order as a faulty producer would write it.
    fn broken(&mut self, order: &str) -> Vec<u8> {
        match self.random.random_range(0..4) {
            0 => order.as_bytes()[..order.len() / 2].to_vec(),
            1 => order.replacen("\"amount\":", "\"amount\":\"about \",\"was\":", 1).into_bytes(),
            2 => order.replacen("\"items\":[", "\"items\":{},\"was\":[", 1).into_bytes(),
            _ => b"<html><body>502 Bad Gateway</body></html>".to_vec(),
        }
    }

    fn any<T>(&mut self, list: &'static [T]) -> &'static T {
        &list[self.random.random_range(0..list.len())]
    }
}

fn customer_id(number: u32) -> String {
    format!("C-{number:04}")
}

fn money(cents: u32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn of<'a>(list: &[&'a str], number: u32) -> &'a str {
    list[number as usize % list.len()]
}

/// Collects records for an [`OutBatch`].
struct Batch {
    topic: Arc<str>,
    keys: BinaryBuilder,
    values: BinaryBuilder,
    timestamps_ms: Vec<i64>,
}

impl Batch {
    fn new(topic: &str) -> Self {
        Self {
            topic: topic.into(),
            keys: BinaryBuilder::new(),
            values: BinaryBuilder::new(),
            timestamps_ms: Vec::new(),
        }
    }

    fn push(&mut self, key: &str, value: Option<&[u8]>, at_ms: i64) {
        self.keys.append_value(key.as_bytes());
        self.values.append_option(value);
        self.timestamps_ms.push(at_ms);
    }

    fn finish(mut self) -> OutBatch {
        OutBatch {
            topic: self.topic,
            partitions: None,
            keys: self.keys.finish(),
            values: self.values.finish(),
            timestamps_ms: Some(ScalarBuffer::from(self.timestamps_ms)),
            headers: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    const SEED: u64 = 7;

    /// Goal: the demo is the same for everybody. Method: generate records twice from one seed and compare them.
    #[test]
    fn one_seed_gives_one_feed() {
        let records = || Feed::new(SEED, 0).orders(0..1_000).values;
        assert_eq!(records(), records());
    }

    #[test]
    fn about_one_order_in_two_hundred_is_broken() {
        let orders = Feed::new(SEED, 0).orders(0..20_000);
        let good = |value: &[u8]| {
            let order: Option<serde_json::Value> = serde_json::from_slice(value).ok();
            order.is_some_and(|order| order["amount"].is_number() && order["items"].is_array())
        };
        let broken = orders.values.iter().flatten().filter(|value| !good(value)).count();
        assert!((60..160).contains(&broken), "seed {SEED}: {broken} of 20,000");
        assert_eq!(orders.timestamps_ms.unwrap()[19_999], 19_999);
    }

    #[test]
    fn an_order_costs_as_much_as_its_items() {
        let orders = Feed::new(SEED, 0).orders(0..100);
        for value in orders.values.iter().flatten() {
            let Ok(order) = serde_json::from_slice::<serde_json::Value>(value) else { continue };
            let (Some(amount), Some(items)) = (order["amount"].as_f64(), order["items"].as_array()) else { continue };
            let sum: f64 =
                items.iter().map(|item| item["price"].as_f64().unwrap() * item["quantity"].as_f64().unwrap()).sum();
            assert!((amount - sum).abs() < 0.001, "{order}");
        }
    }

    #[test]
    fn customers_change_and_some_are_deleted() {
        let mut feed = Feed::new(SEED, 0);
        let all = feed.all_customers(5);
        assert_eq!((all.len(), all.values.null_count()), (500, 0));
        let changes = feed.customer_changes(0..1_000);
        assert!((10..100).contains(&changes.values.null_count()), "seed {SEED}");
    }
}
