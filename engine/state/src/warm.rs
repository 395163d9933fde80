//! Brings what a batch is about to use into the cache of the processor.
//!
//! Keys are spread over all of the memory of a store, so each of them waits for memory several times: for the index, the entry and
//! the buffer of its table. Short loops over many keys, one for each of these, make the processor wait for many keys at once.

use std::hint::black_box;

use super::table::Table;

/// The number of keys to bring at once: what they need fits into the cache nearest to the processor.
pub(crate) const KEYS: usize = 256;
/// Bytes that arrive at once.
const LINE_BYTES: usize = 64;

/// Reads what a search for keys reads, in the tables in which they are.
pub(crate) fn warm<'t>(keys: impl Iterator<Item = (&'t Table, u64)>) {
    let places: Vec<(&Table, u32)> = keys.filter_map(|(table, hash)| Some((table, table.guess(hash)?))).collect();
    warm_places(&places);
}

/// Reads the keys and values at some places.
pub(crate) fn warm_places(places: &[(&Table, u32)]) {
    let starts: Vec<usize> = places.iter().map(|(table, at)| table.start(*at)).collect();
    let lines = |(at, start): (usize, &usize)| {
        let table = places[at].0;
        table.byte(*start) ^ table.byte(*start + LINE_BYTES)
    };
    black_box(starts.iter().enumerate().map(lines).fold(0, |all, byte| all ^ byte));
}
