//! A store in memory.

use std::collections::BTreeMap;

use arrow::array::{Array, BinaryArray};
use arrow::error::ArrowError;

use super::store::{Changes, Store};

type Key = (i64, Vec<u8>);

/// Keeps all values in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    values: BTreeMap<Key, Vec<u8>>,
    before: BTreeMap<Key, Option<Vec<u8>>>,
}

impl Store for MemoryStore {
    fn get(&self, window: i64, keys: &BinaryArray) -> Result<BinaryArray, ArrowError> {
        Ok(keys.iter().map(|key| self.values.get(&(window, key.unwrap_or_default().to_vec()))).collect())
    }

    fn put(&mut self, window: i64, keys: &BinaryArray, values: &BinaryArray) {
        for (key, value) in keys.iter().zip(values) {
            let key = (window, key.unwrap_or_default().to_vec());
            let old = match value {
                Some(value) => self.values.insert(key.clone(), value.to_vec()),
                None => self.values.remove(&key),
            };
            self.before.entry(key).or_insert(old);
        }
    }

    fn expire(&mut self, start: i64) {
        let gone: Vec<Key> = self.values.keys().filter(|key| key.0 < start).cloned().collect();
        for key in gone {
            let old = self.values.remove(&key);
            self.before.entry(key).or_insert(old);
        }
    }

    fn changes(&self) -> Result<Changes, ArrowError> {
        Ok(Changes {
            windows: self.before.keys().map(|key| key.0).collect::<Vec<_>>().into(),
            keys: self.before.keys().map(|key| Some(&key.1)).collect(),
            values: self.before.keys().map(|key| self.values.get(key)).collect(),
            before: self.before.values().map(Option::as_ref).collect(),
        })
    }

    fn seal(&mut self) -> Result<Changes, ArrowError> {
        let changes = self.changes();
        self.before.clear();
        changes
    }

    fn restore(&mut self, keys: &BinaryArray, values: &BinaryArray) -> Result<(), ArrowError> {
        for (key, value) in keys.iter().zip(values) {
            let (key, window) =
                key.unwrap_or_default().split_last_chunk::<8>().ok_or_else(|| ArrowError::ParseError("key".into()))?;
            let key = (i64::from_be_bytes(*window), key.to_vec());
            match value {
                Some(value) => drop(self.values.insert(key, value.to_vec())),
                None => drop(self.values.remove(&key)),
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn bytes(&self) -> usize {
        0
    }
}

impl Changes {
    /// Keys of records.
    pub fn record_keys(&self) -> BinaryArray {
        let key = |(window, key): (&i64, Option<&[u8]>)| [key.unwrap_or_default(), &window.to_be_bytes()].concat();
        self.windows.values().iter().zip(&self.keys).map(|pair| Some(key(pair))).collect()
    }
}
