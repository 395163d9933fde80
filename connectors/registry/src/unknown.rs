//! Ids that the registry did not know, remembered the longer the more often they were asked for.
//!
//! Separate because bytes that are not an id must not be asked for with every batch of records for ever, while a registry may learn a
//! schema later than a record with it is read.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use headwater_formats::schema::SchemaId;
use parking_lot::Mutex;

use crate::error::RegistryError;

/// How long the second answer counts: the first one not at all, and each later one twice as long as the one before.
const COUNTS_FOR: Duration = Duration::from_millis(10);
/// How long an answer counts at most.
const COUNTS_FOR_MAX: Duration = Duration::from_secs(1);
/// How many are remembered. When there are more, all are forgotten.
const IDS_MAX: usize = 10_000;

/// The answers of the registry that there is no such id.
#[derive(Default)]
pub(crate) struct Unknown(Mutex<HashMap<SchemaId, Answer>>);

struct Answer {
    error: RegistryError,
    until: Instant,
    /// How long the next one counts.
    next_for: Duration,
}

impl Unknown {
    /// The answer, if it still counts.
    pub(crate) fn get(&self, id: SchemaId, now: Instant) -> Option<RegistryError> {
        let unknown = self.0.lock();
        unknown.get(&id).filter(|answer| now < answer.until).map(|answer| answer.error.clone())
    }

    pub(crate) fn add(&self, id: SchemaId, now: Instant, error: RegistryError) {
        let mut unknown = self.0.lock();
        if unknown.len() >= IDS_MAX {
            unknown.clear();
        }
        let (counts_for, next_for) = match unknown.get(&id) {
            None => (Duration::ZERO, COUNTS_FOR),
            Some(last) => (last.next_for, (last.next_for * 2).min(COUNTS_FOR_MAX)),
        };
        unknown.insert(id, Answer { error, until: now + counts_for, next_for });
    }

    /// Forgets an id that is known.
    pub(crate) fn forget(&self, id: SchemaId) {
        self.0.lock().remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_the_longer_the_more_often_it_was_given() {
        let (unknown, start) = (Unknown::default(), Instant::now());
        let add = |times: usize| (0..times).for_each(|_| unknown.add(1, start, RegistryError::NotGiven));
        let counts = |for_ms: u64| unknown.get(1, start + Duration::from_millis(for_ms)).is_some();
        add(1);
        assert!(!counts(0), "the first answer may be about a schema that is just being registered");
        for for_ms in [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            add(1);
            assert!(counts(for_ms - 1) && !counts(for_ms), "{for_ms}");
        }
        add(1_000);
        assert!(counts(999) && !counts(1_000));
        unknown.forget(1);
        assert!(!counts(0));
    }

    /// Goal: a topic with an id that nobody knows costs few requests. Method: a reader that never waits, and looks
    /// every millisecond.
    #[test]
    fn an_id_is_asked_for_about_once_a_second() {
        let (unknown, start) = (Unknown::default(), Instant::now());
        let mut asked = 0;
        for now in (0..6_000).map(|ms| start + Duration::from_millis(ms)) {
            if unknown.get(1, now).is_none() {
                unknown.add(1, now, RegistryError::NotGiven);
                asked += 1;
            }
        }
        assert_eq!(asked, 13);
    }

    #[test]
    fn no_number_of_ids_takes_more_memory() {
        let (unknown, now) = (Unknown::default(), Instant::now());
        (0..25_000).for_each(|id| unknown.add(id, now, RegistryError::NotGiven));
        assert!(unknown.0.lock().len() <= IDS_MAX);
    }
}
