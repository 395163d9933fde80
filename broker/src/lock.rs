//! One process for a folder, and how a second process finds the first one's broker.
//!
//! Processes that joined a broker go on with whatever broker the folder has next, and look for it where theirs was. So the next
//! one listens there, too, as long as any of them is left ([`Joined`]).
//!
//! Apart because of its rule: whether a broker runs is decided by the lock on the file, which ends with
//! the process that holds it; the address in the file counts only while the lock is held.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const LOCK_FILE: &str = "lock";
/// Locked by every process that joined.
const JOINED_FILE: &str = "joined";
/// Where brokers of the folder listened that processes have joined, one address a line, the latest first.
const ADDRESSES_FILE: &str = "addresses";
/// Most addresses that are remembered.
const ADDRESSES_MAX: usize = 4;
/// A second process that only looks holds the lock for a moment, so starting tries this often.
const LOCK_TRIES: usize = 10;
/// How often a second process looks for the address of a broker that is about to start.
const ADDRESS_TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// A folder that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

/// Why a folder is not ours.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process has it.
    Held,
    Io(io::Error),
}

impl FolderLock {
    /// Takes the folder.
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
                    file.set_len(0).map_err(LockError::Io)?; // an address left by a process that was killed
                    return Ok(FolderLock { file });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            }
        }
        Err(LockError::Held)
    }

    /// Tells other processes where the broker listens.
    pub(crate) fn write_address(&mut self, address: SocketAddr) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(format!("{address}\n").as_bytes())
    }

    /// Gives the folder back, although the value lives on.
    pub(crate) fn release(&self) {
        let _ = self.file.set_len(0); // while the lock is free nobody reads the address
        let _ = self.file.unlock(); // ends with the file at the latest
    }
}

/// A process that uses the broker of another one on a folder, until this is dropped.
#[derive(Debug)]
pub struct Joined {
    _file: File,
}

impl Joined {
    /// Lets the next broker of the folder know that this process looks for it where the present one is.
    pub fn join(folder: &Path) -> io::Result<Joined> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(JOINED_FILE))?;
        file.lock_shared()?;
        Ok(Joined { _file: file })
    }
}

/// Where processes look for a broker of this folder that have joined one before; nowhere when none is left.
pub(crate) fn expected_at(folder: &Path) -> Vec<SocketAddr> {
    let joined = File::open(folder.join(JOINED_FILE));
    let is_expected = joined.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
    let text = if is_expected { fs::read_to_string(folder.join(ADDRESSES_FILE)) } else { Ok(String::new()) };
    text.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).take(ADDRESSES_MAX).collect()
}

/// Remembers where the broker of this folder listens, the address that others are told first.
pub(crate) fn remember(folder: &Path, addresses: &[SocketAddr]) -> io::Result<()> {
    let lines = addresses.iter().take(ADDRESSES_MAX).map(|address| format!("{address}\n"));
    fs::write(folder.join(ADDRESSES_FILE), lines.collect::<String>())
}

/// The address of the broker that another process (or this one) runs over a folder; `None` when
/// none does. Waits up to two seconds for a broker that is just starting. An address left behind by a process that
/// was killed is never returned: the lock on the folder decides.
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
            let _ = file.unlock(); // ends with the file at the latest
            false
        }
        Err(_) => true,
    }
}

/// One that listens on all addresses is reached over loopback.
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
