//! What all stores are: values by window and key, in batches, with the changes of the current epoch.
//!
//! ```text
//! restore(records)*  → ready            before the first row
//! get(keys), put(keys, values)*         as often as rows come
//! changes()          → Changes          at a barrier, before it is sealed
//! seal()             → Changes          the epoch ends: they become records of the changelog
//! ```

use std::fmt::Debug;

use arrow::array::{BinaryArray, Int64Array};
use arrow::error::ArrowError;

/// Values by window and key, of one partition of a query.
///
/// A window is named by its start in ms since the epoch; state without windows is in window 0.
pub trait Store: Debug + Send {
    /// The value of each key in a window; null where there is none. Fails only if the values of a batch do not fit in one
    /// array (2 GiB).
    fn get(&self, window: i64, keys: &BinaryArray) -> Result<BinaryArray, ArrowError>;

    /// Sets the value of each key in a window; a null value removes the key. No key appears twice.
    fn put(&mut self, window: i64, keys: &BinaryArray, values: &BinaryArray);

    /// Drops all windows that start before `start`, which are not put into again. Those with changes are dropped by the next
    /// seal, so that the changes still come out; until then [`Self::get`] may or may not find their keys. The changelog keeps
    /// their records until its retention deletes them.
    fn expire(&mut self, start: i64);

    /// What has changed since the last seal, ordered by window and key. A key that has the value again that it had then is
    /// left out. Fails as [`Self::get`] does.
    fn changes(&self) -> Result<Changes, ArrowError>;

    /// Ends the epoch: the changes since the last seal, after which there are none. Where it fails it has changed nothing.
    fn seal(&mut self) -> Result<Changes, ArrowError>;

    /// Takes over records of the changelog, in their order: the keys as [`Changes::record_keys`] writes them, a null value for a
    /// removed key. They are no changes. Fails on a key that is not one of these, with its index, and takes none then.
    fn restore(&mut self, keys: &BinaryArray, values: &BinaryArray) -> Result<(), ArrowError>;

    /// The number of keys.
    fn len(&self) -> usize;

    /// True when there is no key.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory in bytes, roughly.
    fn bytes(&self) -> usize;
}

/// What has changed in a store since the last seal, each key once.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The start of the window of each key, in ms since the epoch.
    pub windows: Int64Array,
    /// The keys; never null.
    pub keys: BinaryArray,
    /// The values now; null for a removed key.
    pub values: BinaryArray,
    /// The values at the last seal; null for a new key.
    pub before: BinaryArray,
}
