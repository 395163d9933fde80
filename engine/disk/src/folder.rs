//! The folder of a process for the state that does not fit in memory.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use headwater_state::ColdError;

/// What the names of these folders begin with.
const PREFIX: &str = "headwater-state-";
/// What the name of the file that a process keeps locked ends with, beside its folder.
const LOCK: &str = "lock";

/// A folder that is deleted when it is dropped. While it exists, a file beside it is locked; so if the process is killed, another
/// one can tell, and deletes both.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates a folder within `parent`, and deletes those there whose processes were killed.
    pub(super) fn create(parent: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(parent)?;
        delete_dead(parent);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent)?;
        let lock = File::create(folder.path().with_extension(LOCK))?;
        lock.lock()?;
        Ok(Self { path: folder.keep(), _lock: lock })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        delete(&self.path);
    }
}

/// Deletes the folders of processes that do not run any more, as far as that is possible.
fn delete_dead(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let is_lock = path.extension().is_some_and(|extension| extension == LOCK)
            && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        if is_lock && File::open(&path).is_ok_and(|lock| !matches!(lock.try_lock(), Err(TryLockError::WouldBlock))) {
            delete(&path.with_extension(""));
        }
    }
}

/// Deletes a folder and its lock. What cannot be deleted is left to another process.
fn delete(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %folder.display(), %error, "could not delete a folder of state");
        return;
    }
    drop(std::fs::remove_file(folder.with_extension(LOCK)));
}

/// An error of the operating system, with what could not be done and where.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> ColdError {
    ColdError::new(format!("could not {what} \"{}\": {}", path.display(), reason(error)))
}

/// The message of an operating system error, without its number.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or_else(|| text.clone(), |(reason, _)| reason.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folders_of_the_dead_are_deleted() {
        let parent = tempfile::tempdir().expect("a folder");
        let alive = Folder::create(parent.path()).expect("it is writable");
        let dead = parent.path().join("headwater-state-1-abc");
        std::fs::create_dir(&dead).expect("it is writable");
        std::fs::write(dead.join("table"), "rows").expect("it is writable");
        std::fs::write(dead.with_extension(LOCK), "").expect("it is writable");
        std::fs::write(parent.path().join("notes.lock"), "").expect("it is writable");
        let other = Folder::create(parent.path()).expect("it is writable");
        assert!(alive.path().is_dir() && other.path().is_dir() && !dead.exists());
        drop((alive, other));
        let left: Vec<_> = std::fs::read_dir(parent.path()).expect("it is there").flatten().collect();
        assert_eq!(left.iter().map(|entry| entry.file_name()).collect::<Vec<_>>(), ["notes.lock"]);
    }
}
