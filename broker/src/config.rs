//! How a broker is set up, and the limits that keep one client from taking all.
//!
//! Apart so that every knob and every limit is found in one place.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use crate::log::Flush;

/// How long the rest of a request may be in coming before the connection is closed.
pub(crate) const REQUEST_PAUSE_MAX: Duration = Duration::from_secs(20);
/// How long a client may take none of its answer before the connection is closed: as long as Kafka leaves a connection
/// idle, since a consumer reads nothing while it is busy with the last records.
pub(crate) const ANSWER_PAUSE_MAX: Duration = Duration::from_secs(600);
/// From how many bytes of answers that clients have not taken yet on fetches are given less, however much they ask for.
pub(crate) const ANSWER_BYTES_MAX: usize = 400 << 20;
/// How much a fetch may be given in any case.
pub(crate) const FETCH_BYTES_MIN: usize = 1 << 20;
/// Most elements of all arrays of a request. One takes several hundred bytes of memory when it is read and answered.
pub(crate) const REQUEST_ELEMENTS_MAX: usize = 200_000;
/// Most topics that are made because one request for metadata names them. A client asks again for those that are missing.
pub(crate) const TOPICS_MADE_MAX: usize = 100;
/// Most bytes that a member of a group may leave with it, and that its leader may give it back.
pub(crate) const MEMBER_BYTES_MAX: usize = 4 << 20;
/// Largest request, in bytes: Kafka's `socket.request.max.bytes`.
pub(crate) const REQUEST_BYTES_MAX: usize = 100 << 20;
/// Most bytes of all requests that have arrived and are being handled; reading further ones waits. It must be larger
/// than the largest request. Each connection handles one request at a time, the others wait in its socket.
pub(crate) const REQUEST_BYTES_IN_FLIGHT_MAX: usize = 400 << 20;
/// Most bytes of records in one answer to a fetch: Kafka's `fetch.max.bytes`.
pub(crate) const FETCH_BYTES_MAX: usize = 55 << 20;
/// Longest that a fetch waits for records, in ms.
pub(crate) const FETCH_WAIT_MS_MAX: i32 = 300_000;
/// After what time a producer that writes nothing is forgotten by a partition, in ms.
pub(crate) const PRODUCER_IDLE_MS_MAX: i64 = 24 * 3_600 * 1_000;

/// How a broker is set up.
///
/// ```no_run
/// # async fn run() -> Result<(), headwater_broker::StartError> {
/// use headwater_broker::{Broker, Config};
///
/// let broker = Broker::start(Config::in_memory()).await?;
/// println!("listening on {}", broker.address());
/// broker.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one. Anything but loopback is warned of, since
    /// whoever reaches the port may read and change everything.
    pub listen: SocketAddr,
    /// Host and port that clients are told; `None` tells each client the address it has reached.
    pub advertised: Option<(String, u16)>,
    /// Where records are kept.
    pub storage: Storage,
    /// When writes are forced to the disk; without meaning in memory.
    pub flush: Flush,
    /// Whether a client that asks for a missing topic, and allows it, gets a new one.
    pub auto_create_topics: bool,
    /// Partitions of a topic that is made without saying how many, at least 1.
    pub default_partitions: i32,
    /// How long a new consumer group waits for more members before its first assignment, in ms.
    pub group_initial_delay_ms: u64,
}

/// Where records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In this folder, which is made when it is missing and belongs to one process at a time.
    Folder(PathBuf),
    /// In memory, until the broker ends.
    Memory,
}

impl Config {
    /// A broker on a free loopback port that keeps nothing.
    pub fn in_memory() -> Config {
        Config::with(Storage::Memory)
    }

    /// A broker on a free loopback port that keeps everything in a folder.
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
        }
    }
}
