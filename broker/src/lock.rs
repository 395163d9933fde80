//! Makes sure that only one process uses a folder, and lets a second process find the broker of the first.
//!
//! Processes that joined a broker keep using the next broker of the folder and look for it at the address of the
//! previous one. The next broker therefore listens there as well, for as long as any of them is running ([`Joined`]).
//!
//! Separate because of its rule: whether a broker is running is decided by the lock on the file, which ends with the
//! process that holds it. The address in the file counts only while the lock is held.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const LOCK_FILE: &str = "lock";
/// Locked (shared) by every process that joined.
const JOINED_FILE: &str = "joined";
/// The addresses of earlier brokers that processes may have joined: one per line, the most recent first.
const ADDRESSES_FILE: &str = "addresses";
/// The maximum number of remembered addresses.
const ADDRESSES_MAX: usize = 4;
/// A second process that checks the lock holds it for a moment, so starting makes this many attempts.
const LOCK_TRIES: usize = 10;
/// How often a second process looks for the address of a broker that is starting.
const ADDRESS_TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// The lock on a folder, held until this is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

/// Why a folder could not be locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process holds the lock.
    Held,
    Io(io::Error),
}

impl FolderLock {
    /// Locks the folder.
    pub(crate) fn take(folder: &Path) -> Result<FolderLock, LockError> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(lock_path(folder))
            .map_err(LockError::Io)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0).map_err(LockError::Io)?; // removes the address that a killed process left behind
                    return Ok(FolderLock { file });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            }
        }
        Err(LockError::Held)
    }

    /// Publishes the broker's address to other processes.
    pub(crate) fn write_address(&mut self, address: SocketAddr) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(format!("{address}\n").as_bytes())
    }

    /// Unlocks the folder before this is dropped.
    pub(crate) fn release(&self) {
        let _ = self.file.set_len(0); // nobody reads the address while the file is unlocked
        let _ = self.file.unlock(); // closing the file unlocks it in any case
    }
}

/// A registration of this process as a user of another process's broker, until this is dropped.
///
/// Clients keep the address that they were given. If a process uses the broker of another process and that one ends, its
/// clients find the next broker of the folder only if it listens at the same address. A registration makes it do so, even
/// if it is configured with another address.
///
/// ```
/// # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
/// use headwater_broker::{Broker, Config, Joined};
///
/// let folder = tempfile::tempdir()?;
/// let first = Broker::start(Config::in_folder(folder.path())).await?;
/// let address = first.address();
/// let joined = Joined::join(folder.path())?;
/// first.shutdown().await;
///
/// let next = Broker::start(Config::in_folder(folder.path())).await?;
/// assert_eq!(next.address(), address);
/// # drop(joined);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).expect("starts");
/// ```
#[derive(Debug)]
pub struct Joined {
    _file: File,
}

impl Joined {
    /// Registers this process, so that the next broker of the folder also listens at the current broker's address.
    ///
    /// Fails if the folder does not exist or cannot be written.
    pub fn join(folder: &Path) -> io::Result<Joined> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(JOINED_FILE))?;
        file.lock_shared()?;
        Ok(Joined { _file: file })
    }
}

/// The addresses at which registered processes expect the next broker of this folder; empty if there is none.
pub(crate) fn expected_at(folder: &Path) -> Vec<SocketAddr> {
    let joined = File::open(folder.join(JOINED_FILE));
    let is_expected = joined.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
    let text = if is_expected { fs::read_to_string(folder.join(ADDRESSES_FILE)) } else { Ok(String::new()) };
    text.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).take(ADDRESSES_MAX).collect()
}

/// Stores the addresses of this folder's broker, the published one first.
pub(crate) fn remember(folder: &Path, addresses: &[SocketAddr]) -> io::Result<()> {
    let lines = addresses.iter().take(ADDRESSES_MAX).map(|address| format!("{address}\n"));
    fs::write(folder.join(ADDRESSES_FILE), lines.collect::<String>())
}

/// The address of the broker that this or another process runs over a folder; `None` if there is none.
///
/// Waits up to two seconds for a broker that is starting, and blocks the thread meanwhile. The address that a killed
/// process left behind is never returned, because the lock on the folder decides.
///
/// ```
/// # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
/// use headwater_broker::{Broker, Config, running_broker};
///
/// let folder = tempfile::tempdir()?;
/// assert_eq!(running_broker(folder.path()), None);
/// let broker = Broker::start(Config::in_folder(folder.path())).await?;
/// assert_eq!(running_broker(folder.path()), Some(broker.address()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).expect("starts");
/// ```
pub fn running_broker(folder: &Path) -> Option<SocketAddr> {
    for _ in 0..ADDRESS_TRIES {
        let mut file = File::open(lock_path(folder)).ok()?;
        if !is_held(&file) {
            return None;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        if let Some(address) = text.strip_suffix('\n').and_then(|text| text.parse().ok()) {
            return Some(reachable(address));
        }
        thread::sleep(PAUSE);
    }
    None
}

fn is_held(file: &File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock(); // closing the file unlocks it in any case
            false
        }
        Err(_) => true,
    }
}

/// A broker that listens on all addresses is reached over loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join(LOCK_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_decides_and_not_what_the_file_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let address: SocketAddr = "127.0.0.1:1234".parse().expect("an address");
        assert_eq!(running_broker(folder.path()), None);
        let mut lock = FolderLock::take(folder.path()).expect("is free");
        lock.write_address(address).expect("writes");
        assert_eq!(running_broker(folder.path()), Some(address));
        assert!(matches!(FolderLock::take(folder.path()), Err(LockError::Held)));
        lock.release();
        assert_eq!(running_broker(folder.path()), None);
        std::fs::write(folder.path().join("lock"), "127.0.0.1:1\n").expect("writes");
        assert_eq!(running_broker(folder.path()), None);
        assert!(FolderLock::take(folder.path()).is_ok());
    }

    #[test]
    fn a_broker_on_all_addresses_is_reached_over_loopback() {
        assert_eq!(reachable("0.0.0.0:9".parse().expect("an address")).to_string(), "127.0.0.1:9");
        assert_eq!(reachable("[::]:9".parse().expect("an address")).to_string(), "[::1]:9");
    }
}
