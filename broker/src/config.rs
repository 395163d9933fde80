//! The configuration of a broker, and the limits that keep one client from using up all resources.
//!
//! Separate so that every option and every limit is in one place.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use crate::log::Flush;

/// How long the remaining bytes of a request can take before the connection is closed.
pub(crate) const REQUEST_PAUSE_MAX: Duration = Duration::from_secs(20);
/// How long a client can read none of its response before the connection is closed. It is as long as Kafka keeps an
/// idle connection, because a consumer reads nothing while it processes the previous records.
pub(crate) const ANSWER_PAUSE_MAX: Duration = Duration::from_secs(600);
/// The number of unread response bytes above which fetches return less than they ask for.
pub(crate) const ANSWER_BYTES_MAX: usize = 400 << 20;
/// The size that a fetch can always return, in bytes.
pub(crate) const FETCH_BYTES_MIN: usize = 1 << 20;
/// The maximum number of elements in all arrays of a request. An element takes several hundred bytes of memory while
/// the request is decoded and answered.
pub(crate) const REQUEST_ELEMENTS_MAX: usize = 200_000;
/// The maximum number of topics that one metadata request can create. A client asks again for those that are missing.
pub(crate) const TOPICS_MADE_MAX: usize = 100;
/// The maximum size of a member's metadata, and of the assignments that a leader sends.
pub(crate) const MEMBER_BYTES_MAX: usize = 4 << 20;
/// The maximum size of a request, in bytes: Kafka's `socket.request.max.bytes`.
pub(crate) const REQUEST_BYTES_MAX: usize = 100 << 20;
/// The maximum size of all requests that are being handled, in bytes; further requests are not read until there is
/// room. It must be larger than the largest request. Each connection handles one request at a time; later ones wait in
/// its socket.
pub(crate) const REQUEST_BYTES_IN_FLIGHT_MAX: usize = 400 << 20;
/// How many requests can be at the disk at the same time; further ones wait for their turn. Each of them has a thread with its own
/// memory; more threads than this gain nothing.
pub(crate) const DISK_WORK_MAX: usize = 16;
/// The maximum size of the records in one fetch response, in bytes: Kafka's `fetch.max.bytes`.
pub(crate) const FETCH_BYTES_MAX: usize = 55 << 20;
/// The maximum time that a fetch waits for records, in ms.
pub(crate) const FETCH_WAIT_MS_MAX: i32 = 300_000;
/// How long a partition keeps the state of a producer that writes nothing, in ms.
pub(crate) const PRODUCER_IDLE_MS_MAX: i64 = 24 * 3_600 * 1_000;

/// How often expired records are deleted by default, in ms. Kafka does so every five minutes, but here people wait for
/// it.
const RETENTION_CHECK_MS: u64 = 10_000;

/// How often expired offsets are deleted by default, in ms: as in Kafka.
const OFFSETS_RETENTION_CHECK_MS: u64 = 600_000;

/// How often members of groups with the protocol of KIP-848 send heartbeats, in ms. In Kafka it is every five seconds, and so long
/// partitions wait for their next reader.
const CONSUMER_HEARTBEAT_MS: u32 = 1_000;
/// How long such a member can be silent, in ms: as in Kafka.
const CONSUMER_SESSION_TIMEOUT_MS: u64 = 45_000;

/// The configuration of a broker.
///
/// Begin with [`Config::in_memory`] or [`Config::in_folder`] and change what should be different:
///
/// ```
/// # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
/// use headwater_broker::{Broker, Config};
///
/// let config = Config { default_partitions: 4, auto_create_topics: false, ..Config::in_memory() };
/// let broker = Broker::start(config).await?;
/// assert!(broker.address().ip().is_loopback());
/// broker.shutdown().await;
/// # Ok::<(), headwater_broker::StartError>(())
/// # }).expect("starts");
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; port 0 picks a free port. An address other than loopback is logged as a warning,
    /// because anyone who can reach the port can read and change everything.
    pub listen: SocketAddr,
    /// The host and port that clients are told to connect to; with `None`, each client is told the address that it
    /// connected to.
    pub advertised: Option<(String, u16)>,
    /// Where the data is stored.
    pub storage: Storage,
    /// When writes are forced to the disk; has no effect in memory.
    pub flush: Flush,
    /// Whether a metadata request for a missing topic creates it, if the client allows that.
    pub auto_create_topics: bool,
    /// The number of partitions of a topic that is created without one; at least 1.
    pub default_partitions: i32,
    /// How long a new consumer group waits for more members before its first assignment, in ms.
    pub group_initial_delay_ms: u64,
    /// How often members of consumer groups with the protocol of KIP-848 (`group.protocol=consumer`) send heartbeats, in ms. A
    /// partition gets from one member to the next within two or three of them.
    pub consumer_heartbeat_ms: u32,
    /// How long such a member can be silent before its partitions go to others, in ms.
    pub consumer_session_timeout_ms: u64,
    /// How often expired records are deleted and logs are compacted, in ms; at least 1.
    pub retention_check_ms: u64,
    /// How long committed offsets are kept that no member of their group needs any more, in ms; with `None`, for ever, like the
    /// records. In Kafka it is a week, after which a consumer silently begins at its `auto.offset.reset`.
    ///
    /// The time counts from the commit of an offset, and from when the last member left. With members, only offsets of topics that
    /// none of them subscribes to expire. What the broker does not know counts as needed until it starts: that is so for members that
    /// it had when it ended, and for offsets that earlier versions committed.
    pub offsets_retention_ms: Option<u64>,
    /// How often expired offsets are deleted, in ms; at least 1.
    pub offsets_retention_check_ms: u64,
    /// The settings that topics have unless they are set for the topic, by their names as settings of topics. Others have Kafka's
    /// defaults.
    pub topic_defaults: BTreeMap<String, String>,
}

/// Where a broker stores its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In this folder, which is created if it does not exist. Only one process can use it at a time.
    Folder(PathBuf),
    /// In memory, until the broker is shut down.
    Memory,
}

impl Config {
    /// A broker on a free loopback port that stores everything in memory.
    pub fn in_memory() -> Config {
        Config::with(Storage::Memory)
    }

    /// A broker on a free loopback port that stores everything in a folder.
    ///
    /// The next broker of the folder has all of its topics, records and committed offsets:
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
    /// use headwater_broker::{Broker, Config};
    ///
    /// let folder = tempfile::tempdir()?;
    /// for _ in 0..2 {
    ///     let broker = Broker::start(Config::in_folder(folder.path())).await?;
    ///     broker.shutdown().await;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).expect("starts");
    /// ```
    pub fn in_folder(folder: impl Into<PathBuf>) -> Config {
        Config::with(Storage::Folder(folder.into()))
    }

    fn with(storage: Storage) -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertised: None,
            storage,
            flush: Flush::System,
            auto_create_topics: true,
            default_partitions: 1,
            group_initial_delay_ms: 0,
            consumer_heartbeat_ms: CONSUMER_HEARTBEAT_MS,
            consumer_session_timeout_ms: CONSUMER_SESSION_TIMEOUT_MS,
            retention_check_ms: RETENTION_CHECK_MS,
            offsets_retention_ms: None,
            offsets_retention_check_ms: OFFSETS_RETENTION_CHECK_MS,
            topic_defaults: BTreeMap::new(),
        }
    }
}
