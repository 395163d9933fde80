//! Makes sure that only one process uses a folder of snapshots. Whether one does is decided by the lock on a file, which ends with
//! the process; the number in the file only says which one it is.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

const LOCK_FILE: &str = "lock";

/// The lock on a folder, held until this is dropped.
#[derive(Debug)]
pub(super) struct StateLock {
    _file: File,
}

/// Another process uses the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The folder.
    pub folder: PathBuf,
    /// The id of the process, if it is known.
    pub process: Option<u32>,
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        match self.process {
            Some(process) => write!(f, "the folder of snapshots \"{folder}\" is in use by process {process}"),
            None => write!(f, "the folder of snapshots \"{folder}\" is in use by another process"),
        }
    }
}

impl StateLock {
    /// Locks a folder, which is created if it does not exist. Fails if another process has locked it, or if it cannot be written.
    pub(super) fn take(folder: &Path) -> Result<Self, Result<Locked, io::Error>> {
        fs::create_dir_all(folder).map_err(Err)?;
        let mut options = OpenOptions::new();
        let path = folder.join(LOCK_FILE);
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(Err)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let process = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Ok(Locked { folder: folder.to_owned(), process }));
            }
            Err(TryLockError::Error(error)) => return Err(Err(error)),
        }
        let written = file.set_len(0).and_then(|()| file.rewind());
        written.and_then(|()| writeln!(file, "{}", std::process::id())).map_err(Err)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_process() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("state");
        let lock = StateLock::take(&folder).expect("it is free");
        let locked = StateLock::take(&folder).expect_err("it is in use").expect("no other reason");
        let expected =
            format!("the folder of snapshots \"{}\" is in use by process {}", folder.display(), std::process::id());
        assert_eq!(locked.to_string(), expected);
        drop(lock);
        StateLock::take(&folder).expect("it is free again");
    }
}
