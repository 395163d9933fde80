//! A bounded cache that fetches each key once, however many ask for it at the same time.
//!
//! Separate because ids and versions are remembered in the same way. What could not be fetched is not remembered: it may
//! be there next time.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::error::RegistryError;

/// Values that never change, by their keys. When there are too many, those that came first are forgotten.
#[derive(Debug)]
pub(crate) struct Flight<K, V> {
    inner: Mutex<Inner<K, V>>,
    limit: usize,
}

type Cell<V> = Arc<OnceCell<Result<V, RegistryError>>>;

#[derive(Debug)]
struct Inner<K, V> {
    landed: HashMap<K, V>,
    order: VecDeque<K>,
    under_way: HashMap<K, Cell<V>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Flight<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        let inner = Inner { landed: HashMap::new(), order: VecDeque::new(), under_way: HashMap::new() };
        Self { inner: Mutex::new(inner), limit }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.inner.lock().landed.get(key).cloned()
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        let mut inner = self.inner.lock();
        if inner.landed.insert(key.clone(), value).is_none() {
            inner.order.push_back(key);
        }
        while inner.order.len() > self.limit {
            let oldest = inner.order.pop_front();
            oldest.map(|key| inner.landed.remove(&key));
        }
    }

    /// Forgets the keys for which this is false.
    pub(crate) fn retain(&self, mut keep: impl FnMut(&K) -> bool) {
        let mut inner = self.inner.lock();
        inner.landed.retain(|key, _| keep(key));
        inner.order.retain(|key| keep(key));
    }

    /// The value of a key; `fetch` is called if nobody has it or is fetching it. Whoever gives up on its own fetch
    /// leaves it to the next one that waits.
    pub(crate) async fn get_or_fetch<F>(&self, key: K, fetch: impl FnOnce() -> F) -> Result<V, RegistryError>
    where
        F: Future<Output = Result<V, RegistryError>>,
    {
        let cell = {
            let mut inner = self.inner.lock();
            if let Some(value) = inner.landed.get(&key) {
                return Ok(value.clone());
            }
            Arc::clone(inner.under_way.entry(key.clone()).or_default())
        };
        let seat = Seat { flight: self, key, cell };
        let fetched = seat.cell.get_or_init(fetch).await.clone();
        if let Ok(value) = &fetched {
            self.insert(seat.key.clone(), value.clone());
        }
        fetched
    }
}

/// Whoever waits for a value. The last to leave, or the first with the value, takes its entry along.
struct Seat<'a, K: Eq + Hash, V> {
    flight: &'a Flight<K, V>,
    key: K,
    cell: Cell<V>,
}

impl<K: Eq + Hash, V> Drop for Seat<'_, K, V> {
    fn drop(&mut self) {
        let mut inner = self.flight.inner.lock();
        let same = inner.under_way.get(&self.key).is_some_and(|other| Arc::ptr_eq(other, &self.cell));
        // The two owners are this seat and the map.
        if same && (self.cell.initialized() || Arc::strong_count(&self.cell) <= 2) {
            inner.under_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Flight;

    #[test]
    fn the_first_keys_are_forgotten_first() {
        let flight = Flight::new(2);
        for key in 0..4 {
            flight.insert(key, key * 10);
        }
        assert_eq!((flight.get(&1), flight.get(&2), flight.get(&3)), (None, Some(20), Some(30)));
        flight.retain(|key| *key != 2);
        flight.insert(5, 50);
        assert_eq!((flight.get(&2), flight.get(&3), flight.get(&5)), (None, Some(30), Some(50)));
    }
}
