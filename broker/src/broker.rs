//! Starting a broker and shutting it down.
//!
//! Separate because it is the spine, to be read from top to bottom: lock the folder, listen, open the journal, the
//! topics, the groups and the transactions, serve; and back again.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::api::on_disk;
use crate::boot::boot_id;
use crate::clock::now_ms;
use crate::config::{Config, Storage};
use crate::core::{Answers, Core};
use crate::disk_threads::DiskThreads;
use crate::group::{Groups, Timeouts};
use crate::listen::listen_for_all;
use crate::lock::{FolderLock, LockError, remember, running_broker};
use crate::log::{Flush, make_folder};
use crate::meta::{Change, FORMAT, Journal};
use crate::net;
use crate::start_error::StartError;
use crate::topics::{Topics, holds_records};
use crate::txn::Transactions;

/// The notice for everyone who starts a broker: it is not meant for production. The command line prints it as well.
pub const ADVICE: &str =
    "the embedded broker is for trying, testing and development: production data belongs in a real Kafka cluster";

/// The maximum time between two checks of the clock, when no deadline is known.
const TIMER_PAUSE: Duration = Duration::from_secs(60);
/// The minimum time between two checks of the clock.
const TIMER_PAUSE_MIN: Duration = Duration::from_millis(1);
/// The time between two looks for what must be forced to the disk.
const SYNC_PAUSE: Duration = Duration::from_millis(200);
const JOURNAL_FILE: &str = "journal";
const LOGS_FOLDER: &str = "logs";
/// A file that exists if the last broker was shut down cleanly.
const CLEAN_FILE: &str = "clean";

/// A running broker.
///
/// It runs as tasks of the tokio runtime in which it was started, and it stops with [`Broker::shutdown`] or when this is
/// dropped. The crate documentation has a complete example with a producer and a consumer.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    core: Arc<Core>,
    tasks: Vec<JoinHandle<()>>,
}

async fn start(config: Config) -> Result<Broker, StartError> {
    tracing::info!("{ADVICE}");
    let lock = match &config.storage {
        Storage::Folder(folder) => Some(take_folder(folder)?),
        Storage::Memory => None,
    };
    let (listeners, addresses) = listen_for_all(&config).await?;
    let address = addresses[0];
    let core = tokio::task::spawn_blocking(move || open(config, lock, address)).await;
    let core = Arc::new(core.map_err(|error| io_error(address, error))??);
    if let Storage::Folder(folder) = &core.config.storage
        && let Err(error) = remember(folder, &addresses)
    {
        tracing::warn!(%error, "could not save the addresses of the broker");
    }
    let serving = tokio::spawn(net::serve(listeners, Arc::clone(&core)));
    let timing = tokio::spawn(run_timer(Arc::clone(&core)));
    let maintaining = tokio::spawn(maintain(Arc::clone(&core)));
    let syncing = tokio::spawn(sync(Arc::clone(&core)));
    let expiring = tokio::spawn(expire_offsets(Arc::clone(&core)));
    tracing::info!(%address, topics = core.topics.all().len(), "broker started");
    Ok(Broker { address, core, tasks: vec![serving, timing, maintaining, syncing, expiring] })
}

fn io_error(address: SocketAddr, error: tokio::task::JoinError) -> StartError {
    StartError::Listen { address, cause: io::Error::other(error) }
}

impl Broker {
    /// Starts a broker. When this returns, it accepts connections at [`Broker::address`].
    ///
    /// Must be called in a tokio runtime; the broker runs there. A test that blocks its thread in a client needs a
    /// runtime with several threads, because the broker must be able to answer meanwhile.
    ///
    /// In memory there is nothing to read. Over a folder it reads the outlines of closed segments and the batch headers of
    /// the last segment of every partition, and that as a whole if the last broker was not shut down cleanly.
    ///
    /// The future is boxed, so that the broker is compiled in this crate and not again in every crate that starts one.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
    /// use headwater_broker::{Broker, Config};
    ///
    /// let broker = Broker::start(Config::in_memory()).await?;
    /// println!("bootstrap.servers={}", broker.address());
    /// broker.shutdown().await;
    /// # Ok::<(), headwater_broker::StartError>(())
    /// # }).expect("starts");
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the folder is in use by another process or cannot be read or written, if the address cannot be bound, or
    /// if the journal is damaged, missing although there are records, or written by a newer version; see [`StartError`].
    /// A journal that cannot be used is left unchanged, and so are the logs. Damaged or missing logs do not prevent the
    /// start: they are reported in the log, and reading their lost offsets fails.
    ///
    /// # Panics
    ///
    /// The returned future panics if it is polled outside of a tokio runtime.
    pub fn start(config: Config) -> Pin<Box<dyn Future<Output = Result<Broker, StartError>> + Send>> {
        Box::pin(start(config))
    }

    /// The address that the broker listens on, with the actual port if the config asked for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shuts the broker down: closes all connections, forces written data to the disk and unlocks the folder. If
    /// that fails, the error is logged, and the next start verifies checksums as after a crash.
    ///
    /// Dropping the broker does the same, but blocks the thread while it writes to the disk.
    pub async fn shutdown(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await; // fails, because the task was aborted
        }
        let core = Arc::clone(&self.core);
        on_disk(&self.core, move || close(&core)).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        close(&self.core);
    }
}

fn take_folder(folder: &Path) -> Result<FolderLock, StartError> {
    let failed = |cause| StartError::Folder { folder: folder.to_owned(), cause };
    make_folder(folder).map_err(failed)?;
    FolderLock::take(folder).map_err(|error| match error {
        LockError::Held => StartError::Locked { folder: folder.to_owned(), running: running_broker(folder) },
        LockError::Io(cause) => failed(cause),
    })
}

fn open(config: Config, mut lock: Option<FolderLock>, address: SocketAddr) -> Result<Core, StartError> {
    let (journal, logs, trusted) = match &config.storage {
        Storage::Folder(folder) => open_folder(folder, &config)?,
        Storage::Memory => (Journal::in_memory(), None, true),
    };
    let failed = |cause| StartError::Folder { folder: folder_of(&config), cause };
    let journal = Arc::new(journal);
    let timer = Arc::new(Notify::new());
    let sign = || journal.sign(|| Uuid::new_v4().simple().to_string()[..22].to_owned()).map_err(failed);
    let is_older = journal.read(|image| image.cluster.as_ref().is_some_and(|cluster| cluster.format < FORMAT));
    if !is_older {
        sign()?;
    }
    let topics = Arc::new(Topics::open(&journal, logs, &config, trusted)?);
    if is_older {
        topics.keep_all_records().map_err(|error| StartError::Topics(error.message))?;
    }
    let cluster_id = sign()?;
    let timeouts = Timeouts {
        initial_delay_ms: config.group_initial_delay_ms,
        session_timeout_ms: config.consumer_session_timeout_ms,
    };
    let groups = Groups::open(&journal, timeouts, &timer, now_ms());
    let transactions = Transactions::open(&journal, &timer);
    let boot_id = boot_id();
    let is_whole = trusted || boot_id.is_some() && journal.read(|image| image.boot_id == boot_id);
    transactions.recover(&topics, &groups, is_whole, now_ms());
    if let Some(boot_id) = boot_id.filter(|id| journal.read(|image| image.boot_id.as_ref() != Some(id))) {
        journal.write(Change::MachineStarted { boot_id }).map_err(failed)?;
    }
    if let Some(lock) = &mut lock {
        lock.write_address(address).map_err(failed)?;
    }
    let (answers, lock) = (Answers::default(), Mutex::new(lock));
    let disk = DiskThreads::new().map_err(failed)?;
    Ok(Core { config, cluster_id, journal, topics, groups, transactions, answers, disk, timer, lock })
}

/// Opens the journal and returns it with the folder of the logs, and whether the last broker was shut down cleanly. If
/// the journal cannot be read, nothing in the folder is changed.
fn open_folder(folder: &Path, config: &Config) -> Result<(Journal, Option<PathBuf>, bool), StartError> {
    let logs = folder.join(LOGS_FOLDER);
    let must_exist = holds_records(&logs).map_err(|cause| StartError::Folder { folder: logs.clone(), cause })?;
    let journal = Journal::open(&folder.join(JOURNAL_FILE), config.flush, must_exist)?;
    // From here on, the folder counts as clean only after the next clean shutdown.
    let trusted = fs::remove_file(folder.join(CLEAN_FILE)).is_ok();
    Ok((journal, Some(logs), trusted))
}

fn folder_of(config: &Config) -> PathBuf {
    match &config.storage {
        Storage::Folder(folder) => folder.clone(),
        Storage::Memory => PathBuf::new(),
    }
}

/// Handles timeouts until the task is aborted.
async fn run_timer(core: Arc<Core>) {
    loop {
        let working = Arc::clone(&core);
        let next_ms = on_disk(&core, move || working.handle_timeouts(now_ms())).await;
        let wait = next_ms.map_or(TIMER_PAUSE, |next_ms| {
            Duration::from_millis(u64::try_from(next_ms - now_ms()).unwrap_or(0)).clamp(TIMER_PAUSE_MIN, TIMER_PAUSE)
        });
        if tokio::time::timeout(wait, core.timer.notified()).await.is_err() && wait == TIMER_PAUSE {
            core.handle_idle_producers();
        }
    }
}

/// Deletes expired records and compacts logs now and then until the task is aborted.
async fn maintain(core: Arc<Core>) {
    loop {
        tokio::time::sleep(Duration::from_millis(core.config.retention_check_ms.max(1))).await;
        let working = Arc::clone(&core);
        on_disk(&core, move || {
            working.topics.delete_expired(now_ms());
            working.topics.compact(now_ms());
            working.topics.write_outlines();
        })
        .await;
    }
}

/// Deletes expired offsets now and then until the task is aborted; by default they do not expire.
async fn expire_offsets(core: Arc<Core>) {
    let Some(retention_ms) = core.config.offsets_retention_ms else { return };
    let retention_ms = i64::try_from(retention_ms).unwrap_or(i64::MAX);
    loop {
        tokio::time::sleep(Duration::from_millis(core.config.offsets_retention_check_ms.max(1))).await;
        let working = Arc::clone(&core);
        on_disk(&core, move || working.groups.expire_offsets(now_ms().saturating_sub(retention_ms))).await;
    }
}

/// Forces to the disk what is due until the task is aborted.
async fn sync(core: Arc<Core>) {
    let mut synced_changes = 0;
    loop {
        tokio::time::sleep(SYNC_PAUSE).await;
        // Most brokers leave it to the system: no thread is woken for nothing.
        let syncs_journal = matches!(core.config.flush, Flush::Every(_));
        if !syncs_journal && !core.topics.want_syncs() {
            continue;
        }
        let working = Arc::clone(&core);
        synced_changes = on_disk(&core, move || {
            working.topics.sync_due(now_ms());
            if !syncs_journal {
                return synced_changes;
            }
            let synced = working.journal.sync_after(synced_changes);
            synced.unwrap_or_else(|error| {
                tracing::error!(%error, "could not force the journal to the disk");
                synced_changes
            })
        })
        .await;
    }
}

/// Closes the logs and the journal and unlocks the folder. The second call does nothing.
fn close(core: &Core) {
    let Some(lock) = core.lock.lock().take() else { return };
    core.topics.write_outlines();
    let synced = core.topics.close()
        & core.journal.close().inspect_err(|error| tracing::error!(%error, "could not sync the journal")).is_ok();
    if let Storage::Folder(folder) = &core.config.storage
        && synced
        && let Err(error) = fs::write(folder.join(CLEAN_FILE), "")
    {
        tracing::warn!(%error, "could not record the clean shutdown");
    }
    lock.release();
}
