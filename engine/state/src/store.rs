//! The trait of all stores, which hold values by window and key and know the changes of the current epoch.
//!
//! ```text
//! restore(records)*                     before the first row
//! get(keys), put(keys, values)*         for each batch of rows
//! changes()          → Changes          at a barrier, before the seal
//! seal()             → Changes          ends the epoch: they become records of the changelog
//! commit()                              the oldest sealed epoch is committed: readers see it
//! ```
//!
//! The next epoch may begin while the commit of a sealed one is in progress.

use std::fmt::Debug;

use arrow::array::{BinaryArray, Int64Array};
use arrow::error::ArrowError;

use super::view::View;

/// Values by window and key, of one partition of a query.
///
/// A window is identified by its start, in ms since the epoch. State without windows is in window 0.
pub trait Store: Debug + Send {
    /// The value of each key in a window; null if the key does not exist. Fails only if the values of a batch exceed the size
    /// of one array (2 GiB).
    fn get(&self, window: i64, keys: &BinaryArray) -> Result<BinaryArray, ArrowError>;

    /// Sets the value of each key in a window; a null value removes the key. No key appears twice.
    fn put(&mut self, window: i64, keys: &BinaryArray, values: &BinaryArray);

    /// Drops all windows that start before `start`, and whatever is put into them later. Those that have changed since the last
    /// seal remain until the next one, and [`Self::changes`] still includes their changes. The next seal removes the keys of all
    /// of them from the changelog.
    fn expire(&mut self, start: i64);

    /// Calls `visit` with each key of a window and its value, in no particular order.
    fn visit(&self, window: i64, visit: &mut dyn FnMut(&[u8], &[u8]));

    /// Removes all keys of a window. For windows that expire in the order of their starts, [`Self::expire`] costs less.
    fn remove_window(&mut self, window: i64);

    /// Has the next seal tell readers that windows that start before `start` may have been removed, or what is kept in one window
    /// for them: [`Self::has_expired`] is true from then on.
    fn set_kept_from(&mut self, start: i64);

    /// The changes since the last seal, ordered by window and key. A key whose value is the same as then is left out. Fails as
    /// [`Self::get`] does.
    fn changes(&self) -> Result<Changes, ArrowError>;

    /// Ends the epoch and returns what is to be written to the changelog, ordered by window and key: the changes since the last
    /// seal, and the keys of expired windows with a null value.
    fn seal(&mut self) -> Result<Changes, ArrowError>;

    /// Makes the oldest epoch that is sealed and not committed yet visible to readers; does nothing if there is none. Never
    /// waits for a reader to finish.
    fn commit(&mut self);

    /// What readers in other threads see: the restored values and those of committed epochs.
    fn view(&self) -> View;

    /// Whether windows were dropped or removed, with all of their keys, or readers told that they may have been.
    fn has_expired(&self) -> bool;

    /// Applies records of the changelog in order: keys in the form of [`Changes::record_keys`], with a null value for a removed
    /// key. They do not count as changes. Fails if a key does not have that form, and applies nothing then.
    fn restore(&mut self, keys: &BinaryArray, values: &BinaryArray) -> Result<(), ArrowError>;

    /// The number of keys.
    fn len(&self) -> usize;

    /// True if there are no keys.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The approximate memory in use, in bytes.
    fn bytes(&self) -> usize;
}

/// The changes of a store since the last seal, with each key once.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The start of each key's window, in ms since the epoch.
    pub windows: Int64Array,
    /// The keys; never null.
    pub keys: BinaryArray,
    /// The new values; null for a removed key.
    pub values: BinaryArray,
    /// The values at the last seal; null for a new key.
    pub before: BinaryArray,
}
