//! What is said of arrays: their items, and how many there are.
//!
//! Separate because items are given in two ways, each in two spellings: one schema for all, or one for each place
//! (`items` as an array, `prefixItems`) and one for the rest (`additionalItems`, `items`).

use serde_json::Value;

use super::super::document::Place;
use super::{Comparison, accepts_all};

const BOUNDS: [(&str, bool, &str, &str); 2] = [
    ("maxItems", true, "MAX_ITEMS_ADDED", "MAX_ITEMS_DECREASED"),
    ("minItems", false, "MIN_ITEMS_ADDED", "MIN_ITEMS_INCREASED"),
];

/// The schemas of items: of the first ones, and of the rest if anything is said of it.
struct Items<'a> {
    first: Vec<Place<'a>>,
    rest: Option<Place<'a>>,
}

impl<'a> Items<'a> {
    fn of(array: Place<'a>) -> Self {
        match array.get("items") {
            _ if array.value.get("prefixItems").is_some() => {
                Self { first: array.list("prefixItems").collect(), rest: array.get("items") }
            }
            Some(items) if items.value.is_array() => {
                Self { first: array.list("items").collect(), rest: array.get("additionalItems") }
            }
            items => Self { first: Vec::new(), rest: items },
        }
    }

    fn at(&self, i: usize) -> Option<Place<'a>> {
        self.first.get(i).copied().or(self.rest)
    }
}

impl<'a> Comparison<'a> {
    pub(super) fn arrays(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        self.bounds(&BOUNDS, reader, writer, path);
        let flag = |place: Place<'a>| place.value.get("uniqueItems").and_then(Value::as_bool).unwrap_or_default();
        if flag(reader) && !flag(writer) {
            self.say("UNIQUE_ITEMS_ADDED", &format!("{path}/uniqueItems"));
        }
        let (reads, writes) = (Items::of(reader), Items::of(writer));
        for i in 0..reads.first.len().max(writes.first.len()) {
            let is_new = i >= writes.first.len();
            let kind =
                if is_new { "ITEM_ADDED_TO_OPEN_CONTENT_MODEL" } else { "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL" };
            self.items(reads.at(i), writes.at(i), kind, &format!("{path}/items/{i}"));
        }
        self.items(reads.rest, writes.rest, "ADDITIONAL_ITEMS_REMOVED", &format!("{path}/items"));
    }

    fn items(&mut self, reader: Option<Place<'a>>, writer: Option<Place<'a>>, kind: &'static str, path: &str) {
        match (reader, writer) {
            (Some(reader), Some(writer)) => self.schemas(reader, writer, path),
            (Some(reader), None) if !accepts_all(reader.value) => self.say(kind, path),
            _ => {}
        }
    }
}
