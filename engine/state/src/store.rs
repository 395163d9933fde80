//! The trait of all stores, which hold values by window and key and know the changes of the current epoch.
//!
//! ```text
//! restore(records)*                     before the first row
//! get(keys), put(keys, values)*         for each batch of rows
//! changes()          → Changes          at a barrier, before the seal
//! seal()             → Changes          ends the epoch: they become records of the changelog
//! sealed_rest()*     → Changes          the others, if there are very many
//! commit()                              the oldest sealed epoch is committed: readers see it
//! settle()                              what does not fit in memory goes to disk
//! ```
//!
//! The next epoch may begin while the commit of a sealed one is in progress.

use std::fmt::Debug;

use arrow::array::{BinaryArray, Int64Array};
use arrow::error::ArrowError;

use super::cold::ColdError;
use super::view::View;

/// Values by window and key, of one partition of a query.
///
/// A window is identified by its start, in ms since the epoch. State without windows is in window 0.
pub trait Store: Debug + Send {
    /// The value of each key in a window; null if the key does not exist. Fails if the values of a batch exceed the size of one
    /// array (2 GiB), or if the disk does: then [`Self::failure`] says so.
    fn get(&self, window: i64, keys: &BinaryArray) -> Result<BinaryArray, ArrowError>;

    /// Sets the value of each key in a window; a null value removes the key. No key appears twice. If the disk fails, nothing is
    /// set, and neither [`Self::changes`] nor [`Self::seal`] succeed any more.
    fn put(&mut self, window: i64, keys: &BinaryArray, values: &BinaryArray);

    /// Drops all windows that start before `start`, and whatever is put into them later. Those that have changed since the last
    /// seal remain until the next one, and [`Self::changes`] still includes their changes. The next seal removes the keys of all
    /// of them from the changelog.
    fn expire(&mut self, start: i64);

    /// Calls `visit` with each key of a window and its value, in no particular order. If the disk fails, keys are missing, and
    /// [`Self::failure`] says so.
    fn visit(&self, window: i64, visit: &mut dyn FnMut(&[u8], &[u8]));

    /// Removes all keys of a window, and forgets what has changed in it since the last seal. The next seal removes its keys from
    /// the changelog.
    fn remove_window(&mut self, window: i64);

    /// Has the next seal tell readers that windows that start before `start` may have been removed, or what is kept in one window
    /// for them: [`Self::has_expired`] is true from then on.
    fn set_kept_from(&mut self, start: i64);

    /// The changes since the last seal, ordered by window and key. A key whose value is the same as then is left out. Fails as
    /// [`Self::get`] does.
    fn changes(&self) -> Result<Changes, ArrowError>;

    /// Ends the epoch and returns what is to be written to the changelog, ordered by window and key: the changes since the last
    /// seal, and the keys of expired and removed windows with a null value. Very many of those are left to
    /// [`Self::sealed_rest`].
    fn seal(&mut self) -> Result<Changes, ArrowError>;

    /// More keys of removed windows, which belong to the last seal; `None` if there are no more. To be called until then, before
    /// anything else. Fails if the disk does.
    fn sealed_rest(&mut self) -> Result<Option<Changes>, ArrowError>;

    /// Makes the oldest epoch that is sealed and not committed yet visible to readers; does nothing if there is none. Never
    /// waits for a reader to finish.
    fn commit(&mut self);

    /// Hands over to the disk what exceeds the memory that the store may have, and frees what is there. To be called after each
    /// [`Self::commit`], once readers can go on: it may wait for the disk.
    fn settle(&mut self);

    /// What readers in other threads see: the restored values and those of committed epochs.
    fn view(&self) -> View;

    /// Whether windows were dropped or removed, with all of their keys, or readers told that they may have been.
    fn has_expired(&self) -> bool;

    /// Whether the epoch should end, because its changes take much of the memory that the store may have.
    fn is_full(&self) -> bool;

    /// Moves committed keys to disk if other stores need the memory. For a store whose query is idle: others
    /// [`settle`](Self::settle) at each commit.
    fn yield_memory(&mut self);

    /// Why the disk failed; `None` if it has not. After a failure the store must be dropped, and its state be restored into
    /// another one.
    fn failure(&self) -> Option<ColdError>;

    /// Applies records of the changelog in order: keys in the form of [`Changes::record_keys`], with a null value for a removed
    /// key. They do not count as changes. Fails if a key does not have that form, and applies nothing then; and if the disk
    /// fails.
    fn restore(&mut self, keys: &BinaryArray, values: &BinaryArray) -> Result<(), ArrowError>;

    /// The number of keys.
    fn len(&self) -> usize;

    /// True if there are no keys.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The approximate memory in use, in bytes, including what is removed and not yet given back.
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
