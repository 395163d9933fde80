//! Ids that the registry did not know, remembered for a while.
//!
//! Separate because bytes that are not an id must not be asked for with every batch of records, while a registry may learn a schema
//! later than a record with it is read.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use headwater_formats::schema::SchemaId;
use parking_lot::Mutex;

use crate::error::RegistryError;

/// How long an answer counts.
const COUNTS_FOR: Duration = Duration::from_secs(10);
/// How many are remembered. When there are more, all are forgotten.
const IDS_MAX: usize = 10_000;

/// The answers of the registry that there is no such id, with the time of each.
#[derive(Default)]
pub(crate) struct Unknown(Mutex<HashMap<SchemaId, (Instant, RegistryError)>>);

impl Unknown {
    /// The answer, if it still counts.
    pub(crate) fn get(&self, id: SchemaId, now: Instant) -> Option<RegistryError> {
        let unknown = self.0.lock();
        let (since, error) = unknown.get(&id)?;
        (now.duration_since(*since) < COUNTS_FOR).then(|| error.clone())
    }

    pub(crate) fn add(&self, id: SchemaId, now: Instant, error: RegistryError) {
        let mut unknown = self.0.lock();
        if unknown.len() >= IDS_MAX {
            unknown.clear();
        }
        unknown.insert(id, (now, error));
    }

    /// Forgets an id that was registered.
    pub(crate) fn forget(&self, id: SchemaId) {
        self.0.lock().remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_for_a_while() {
        let (unknown, start) = (Unknown::default(), Instant::now());
        unknown.add(1, start, RegistryError::NotGiven);
        unknown.add(2, start, RegistryError::NotGiven);
        unknown.forget(2);
        let before = start + COUNTS_FOR - Duration::from_millis(1);
        assert_eq!((unknown.get(1, before), unknown.get(2, before)), (Some(RegistryError::NotGiven), None));
        assert_eq!(unknown.get(1, start + COUNTS_FOR), None);
    }

    #[test]
    fn no_number_of_ids_takes_more_memory() {
        let (unknown, now) = (Unknown::default(), Instant::now());
        (0..25_000).for_each(|id| unknown.add(id, now, RegistryError::NotGiven));
        assert!(unknown.0.lock().len() <= IDS_MAX);
        assert!(unknown.get(24_999, now).is_some());
    }
}
