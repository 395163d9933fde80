//! Brings what a batch is about to use into the cache of the processor.
//!
//! Keys are spread over all of the memory of a store, so each of them waits for memory several times: for the index and
//! the record of its table. Short loops over many keys, one for each of these, make the processor wait for many keys at once.

use std::hint::black_box;

use super::table::Table;

/// The number of keys to bring at once: what they need fits into the cache nearest to the processor.
pub(crate) const KEYS: usize = 256;
/// Bytes that arrive at once.
const LINE_BYTES: usize = 64;

/// Reads what a search for keys reads, in the tables in which they are.
pub(crate) fn warm<'t>(keys: impl Iterator<Item = (&'t Table, u64)>) {
    let keys: Vec<(&Table, u64)> = keys.collect();
    black_box(keys.iter().fold(0, |all, (table, hash)| all ^ table.first_slot(*hash)));
    let places: Vec<_> = keys.iter().filter_map(|(table, hash)| Some((*table, table.guess(*hash)?))).collect();
    warm_records(places.into_iter());
}

/// Reads the records at some places.
pub(crate) fn warm_records<'t>(places: impl Iterator<Item = (&'t Table, usize)>) {
    let lines = |(table, at): (&Table, usize)| table.byte(at) ^ table.byte(at + LINE_BYTES);
    black_box(places.map(lines).fold(0, |all, byte| all ^ byte));
}
