//! Local snapshots: the state of a query's partition in a file, which shortens its next restore.
//!
//! A snapshot is what the changelog up to an offset comes to: its records without those that later ones replace. The changelog
//! decides: a restore loads the file and then reads the changelog from that offset, and a file that may not be right is deleted
//! and replaced by a restore of everything. Applying a record that the file has already changes nothing, so a snapshot may be of
//! a later commit than the offset says, never of an earlier one.
//!
//! ```text
//! keeper   decides when a share dumps its stores, and proves that what it dumps is what the cluster has
//! file     the form of a file: a header, the records, a checksum
//! loading  a file that is checked and then loaded, piece by piece
//! folder   where files are: on the disk, or in memory for simulations
//! shelf    the files of one query
//! lock     one process for each folder
//! ```

mod file;
mod folder;
mod keeper;
mod loading;
mod lock;
mod shelf;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use headwater_connectors::transport::Admin;
use headwater_language::catalog::{Catalog, QueryDef};

use folder::{DiskFolder, UNFINISHED};
pub use folder::{Folder, MemoryFolder};
pub(super) use keeper::{Keeper, Marks};
pub(super) use loading::{Loaded, Loading};
pub use lock::Locked;
use lock::StateLock;
pub(super) use shelf::{Changelog, Shelf};

use super::job::legal_name;

/// The snapshots of one process; none before [`use_folder`](Self::use_folder) or [`open`](Self::open).
#[derive(Debug, Default)]
pub struct Snapshots(OnceLock<Arc<Root>>);

/// The folder of a process.
#[derive(Debug)]
struct Root {
    folder: Arc<dyn Folder>,
    service_id: String,
    /// The name of the cluster's part of the folder, once it is known.
    cluster: OnceLock<String>,
    /// Shortest time between two dumps of a share, in ms.
    interval_ms: i64,
    /// A share is being dumped: the others wait, so that the copies of what they change do not add up.
    is_busy: AtomicBool,
    /// It was reported that snapshots cannot be written.
    has_warned: AtomicBool,
    is_swept: AtomicBool,
    _lock: Option<StateLock>,
}

/// Shortest time between two dumps of a share, in ms.
const INTERVAL_MS: i64 = 60_000;

impl Snapshots {
    /// Keeps snapshots in a folder, which no other process uses, from now on. Fails if another process does. If the folder cannot
    /// be written, this process goes on without snapshots, which is logged.
    pub fn open(&self, folder: &Path, service_id: &str) -> Result<(), Locked> {
        match StateLock::take(folder) {
            Ok(lock) => {
                let root = Root::new(Arc::new(DiskFolder::new(folder)), service_id, INTERVAL_MS, Some(lock));
                let _ = self.0.set(Arc::new(root));
                Ok(())
            }
            Err(Ok(locked)) => Err(locked),
            Err(Err(error)) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "cannot write to the folder of snapshots; queries run without them");
                Ok(())
            }
        }
    }

    /// Keeps snapshots in this folder from now on, at most one for each store in `interval_ms`.
    pub fn use_folder(&self, folder: Arc<dyn Folder>, service_id: &str, interval_ms: i64) {
        let _ = self.0.set(Arc::new(Root::new(folder, service_id, interval_ms, None)));
    }

    /// The files of a query; `None` if there are no snapshots here or the cluster cannot say which one it is.
    pub(super) fn of(&self, admin: &dyn Admin, query: &QueryDef) -> Option<Shelf> {
        let root = self.0.get()?;
        let folder = format!("{}/{}", root.service_folder(admin)?, legal_name(&query.unique_name()));
        Some(Shelf::new(root.clone(), folder, query))
    }

    /// Deletes the files of a query that was terminated.
    pub(super) fn delete(&self, admin: &dyn Admin, query: &QueryDef) {
        if let Some(shelf) = self.of(admin, query) {
            shelf.delete();
        }
    }

    /// Deletes the files of queries that no longer exist, and those that were not finished, once in a process. Call it before the
    /// first query starts.
    pub(super) fn sweep(&self, admin: &dyn Admin, catalog: &Catalog) {
        let Some(root) = self.0.get().filter(|root| !root.is_swept.swap(true, Ordering::Relaxed)) else { return };
        let Some(service) = root.service_folder(admin) else { return };
        let known: BTreeSet<String> = catalog.queries().map(|query| legal_name(&query.unique_name())).collect();
        let found = root.folder.children(&service).unwrap_or_default();
        for query in found {
            let folder = format!("{service}/{query}");
            if !known.contains(&query) {
                root.delete(&folder);
                continue;
            }
            // A process that was killed may have left them behind.
            let files = root.folder.children(&folder).unwrap_or_default();
            let unfinished = files.iter().filter(|file| file.ends_with(UNFINISHED));
            unfinished.for_each(|file| root.delete(&format!("{folder}/{file}")));
        }
    }
}

impl Root {
    fn new(folder: Arc<dyn Folder>, service_id: &str, interval_ms: i64, lock: Option<StateLock>) -> Self {
        Self {
            folder,
            service_id: legal_name(service_id),
            cluster: OnceLock::new(),
            interval_ms,
            is_busy: AtomicBool::new(false),
            has_warned: AtomicBool::new(false),
            is_swept: AtomicBool::new(false),
            _lock: lock,
        }
    }

    /// The part of the folder that belongs to the service on this cluster.
    fn service_folder(&self, admin: &dyn Admin) -> Option<String> {
        if self.cluster.get().is_none() {
            match admin.cluster_id() {
                Ok(Some(id)) => drop(self.cluster.set(legal_name(&id))),
                Ok(None) => return None,
                Err(error) => {
                    tracing::debug!(%error, "could not read the id of the cluster; going on without snapshots");
                    return None;
                }
            }
        }
        self.cluster.get().map(|cluster| format!("{cluster}/{}", self.service_id))
    }

    /// Reports once in a process that snapshots cannot be written.
    fn warn(&self, path: &str, error: &io::Error) {
        let path = self.folder.full_name(path);
        match self.has_warned.swap(true, Ordering::Relaxed) {
            false => tracing::warn!(path, %error, "could not write a snapshot; queries go on without it"),
            true => tracing::debug!(path, %error, "could not write a snapshot"),
        }
    }

    /// Deletes a file or a folder with everything in it.
    fn delete(&self, path: &str) {
        if let Err(error) = self.folder.delete(path) {
            tracing::debug!(path = self.folder.full_name(path), %error, "could not delete snapshots");
        }
    }
}
