//! Where the Schema Registry of a data folder answers, for other processes and for the next one.
//!
//! Separate because of its rules, which are those of the broker's own lock: the address counts only while the file is
//! locked, and the lock ends with the process that holds it. Unlocked, it is the address that the next registry of the
//! folder prefers, so that clients find it where it was.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const FILE: &str = "registry";
/// Locked (shared) by every process that uses the registry of another one.
const JOINED_FILE: &str = "registry.joined";
/// Written in place of an address if there is no registry.
const NONE: &str = "none";
/// A process that looks for the address holds the lock for a moment, so taking it makes this many attempts.
const LOCK_TRIES: usize = 50;
/// How often a process looks for the address of a registry that is starting. It starts right after its broker.
const ADDRESS_TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// The file of a process that hosts the registry; locked until this is dropped.
#[derive(Debug)]
pub struct RegistryFile {
    file: File,
    /// Where the previous registry answered.
    pub previous: Option<SocketAddr>,
    /// Whether other processes still expect it there.
    pub is_expected: bool,
}

impl RegistryFile {
    /// Locks the file of a folder. Only the process that has the folder may do so.
    pub async fn take(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        lock(&file).await?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // Until there is an address again, others wait.
        file.set_len(0)?;
        Ok(Self { file, previous: text.trim_end().parse().ok(), is_expected: is_expected(folder) })
    }

    /// Tells other processes where the registry answers, or that there is none.
    pub fn write(&mut self, address: Option<SocketAddr>) -> io::Result<()> {
        self.file.rewind()?;
        let text = address.map_or_else(|| NONE.to_owned(), |address| address.to_string());
        self.file.write_all(format!("{text}\n").as_bytes())
    }
}

async fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another process holds its lock"))
}

/// A registration as a user of another process's registry, until this is dropped: the next registry of the folder answers
/// at the same address, even if it is given another one.
#[derive(Debug)]
pub struct RegistryUser {
    _file: File,
}

impl RegistryUser {
    /// Registers this process.
    pub fn join(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(JOINED_FILE))?;
        file.lock_shared()?;
        Ok(Self { _file: file })
    }
}

fn is_expected(folder: &Path) -> bool {
    let joined = File::open(folder.join(JOINED_FILE));
    joined.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Where the registry of the process that has a folder answers; `None` if it has none. Waits for one that is starting.
pub async fn running_registry(folder: &Path) -> Option<SocketAddr> {
    for _ in 0..ADDRESS_TRIES {
        if let Some(text) = written(folder) {
            return text.parse().ok();
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

/// What is written in a file that is locked; `None` if it is not.
fn written(folder: &Path) -> Option<String> {
    let mut file = File::open(folder.join(FILE)).ok()?;
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.strip_suffix('\n').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[tokio::test]
    async fn the_address_counts_while_the_file_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(written(folder.path()), None);
        let mut first = RegistryFile::take(folder.path()).await.unwrap();
        assert_eq!((first.previous, first.is_expected, written(folder.path())), (None, false, None));
        first.write(Some(address(1234))).unwrap();
        assert_eq!(running_registry(folder.path()).await, Some(address(1234)));
        drop(first);
        assert_eq!(written(folder.path()), None);

        let user = RegistryUser::join(folder.path()).unwrap();
        let mut second = RegistryFile::take(folder.path()).await.unwrap();
        assert_eq!((second.previous, second.is_expected), (Some(address(1234)), true));
        second.write(None).unwrap();
        assert_eq!(written(folder.path()).as_deref(), Some(NONE));
        assert_eq!(running_registry(folder.path()).await, None);
        drop((second, user));
        assert!(!RegistryFile::take(folder.path()).await.unwrap().is_expected);
    }
}
