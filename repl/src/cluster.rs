//! The cluster with the topics: an external one, or the broker inside this process.
//!
//! A data folder belongs to one process at a time. A second shell on the same folder uses the broker of the first, and
//! starts its own broker on the same address when the first has ended.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_broker::{ADVICE, Broker, Config, Joined, StartError, Storage, running_broker};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::options::{Location, Options, Work};

/// The address of a broker that runs alone, unless another one is given.
const LISTEN: &str = "127.0.0.1:9092";
/// How often a process that joined checks whether the folder is still in use.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait for a folder whose process is starting or ending.
const FOLDER_WAIT_MAX: Duration = Duration::from_secs(10);

/// A cluster to connect to.
#[derive(Debug)]
pub struct Cluster {
    bootstrap: String,
    hosting: Hosting,
}

#[derive(Debug)]
enum Hosting {
    External,
    /// The broker of this process, and where its topics are.
    Own(Broker, String),
    /// The broker of another process on the same folder.
    Joined(Successor),
}

/// Takes over the broker of another process when that process has ended. Clients find it at the same address: they
/// reconnect and their statements continue.
#[derive(Debug)]
struct Successor {
    /// Kept while this process waits for the folder.
    _joined: Option<Joined>,
    watching: JoinHandle<()>,
    broker: Arc<Mutex<Option<Broker>>>,
}

impl Cluster {
    /// Finds or starts the cluster. The error is text for the user. An external cluster is not contacted yet:
    /// connecting to it shows whether it exists.
    pub async fn open(options: &Options) -> Result<Self, String> {
        let config = match &options.location {
            Location::Cluster(brokers) => return Ok(Self { bootstrap: brokers.clone(), hosting: Hosting::External }),
            Location::Folder(folder) => Config::in_folder(folder),
            Location::Memory => Config::in_memory(),
        };
        match &options.work {
            Work::Broker { listen, properties } => {
                let config = alone(config, listen.as_deref(), properties, options.is_data_given)?;
                started(config).await
            }
            _ => start_or_join(config).await,
        }
    }

    /// The address for Kafka clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A one-line notice for the user, if any.
    pub fn notice(&self) -> Option<String> {
        match &self.hosting {
            Hosting::External => None,
            Hosting::Joined(_) => Some(format!("using the broker of another headwater process, on {}", self.bootstrap)),
            Hosting::Own(_, place) => Some(format!(
                "a broker for any Kafka client listens on {}, its topics {place}; {ADVICE}",
                self.bootstrap
            )),
        }
    }

    /// Stops the broker of this process, if there is one; its data is written to disk.
    pub async fn close(self) {
        match self.hosting {
            Hosting::External => {}
            Hosting::Own(broker, _) => broker.shutdown().await,
            Hosting::Joined(heir) => heir.close().await,
        }
    }
}

/// Starts the broker of a folder, or uses the one that already runs there.
async fn start_or_join(config: Config) -> Result<Cluster, String> {
    let begun = Instant::now();
    loop {
        match Broker::start(config.clone()).await {
            Err(StartError::Locked { folder, running: Some(address) }) => {
                let hosting = Hosting::Joined(Successor::watch(folder, Config { listen: address, ..config }));
                return Ok(Cluster { bootstrap: address.to_string(), hosting });
            }
            // The other process is about to start its broker, or has just stopped it.
            Err(StartError::Locked { .. }) if begun.elapsed() < FOLDER_WAIT_MAX => {}
            started => return ours(started, &config.storage),
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

impl Successor {
    fn watch(folder: PathBuf, config: Config) -> Self {
        let joined = Joined::join(&folder)
            .inspect_err(|error| tracing::warn!(%error, "could not register as a user of the data folder"));
        let broker = Arc::new(Mutex::new(None));
        let watching = tokio::spawn(take_over(folder, config, Arc::clone(&broker)));
        Self { _joined: joined.ok(), watching, broker }
    }

    async fn close(self) {
        // Wait for a broker that is just starting, so that its start is not interrupted.
        let mut broker = self.broker.lock().await;
        self.watching.abort();
        if let Some(broker) = broker.take() {
            broker.shutdown().await;
        }
    }
}

/// Waits until no process has the folder, and starts a broker there. Another waiting process may be faster.
async fn take_over(folder: PathBuf, config: Config, broker: Arc<Mutex<Option<Broker>>>) {
    let mut reported = String::new();
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if !is_free(&folder).await {
            continue;
        }
        let mut location = broker.lock().await;
        match Broker::start(config.clone()).await {
            Ok(started) => {
                tracing::info!(address = %started.address(), "took the broker over from a process that has ended");
                *location = Some(started);
                return;
            }
            Err(StartError::Locked { .. }) => {}
            Err(error) if error.to_string() == reported => {}
            Err(error) => {
                tracing::warn!(%error, "could not take the broker over from a process that has ended; trying again");
                reported = error.to_string();
            }
        }
    }
}

/// Checks on a blocking thread.
async fn is_free(folder: &Path) -> bool {
    let folder = folder.to_owned();
    let look = tokio::task::spawn_blocking(move || folder.is_dir() && running_broker(&folder).is_none());
    look.await.unwrap_or(false)
}

async fn started(config: Config) -> Result<Cluster, String> {
    let storage = config.storage.clone();
    ours(Broker::start(config).await, &storage)
}

fn ours(started: Result<Broker, StartError>, storage: &Storage) -> Result<Cluster, String> {
    let broker = started.map_err(|error| error.to_string())?;
    let place = match storage {
        Storage::Folder(folder) => format!("are in {}", folder.display()),
        Storage::Memory => "are in memory and end with it".to_owned(),
    };
    Ok(Cluster { bootstrap: broker.address().to_string(), hosting: Hosting::Own(broker, place) })
}

/// Checks the properties of a broker. The error is text for the user.
pub fn check(options: &Options) -> Result<(), String> {
    let Work::Broker { properties, .. } = &options.work else { return Ok(()) };
    with_properties(Config::in_memory(), properties).map(|_| ())
}

fn with_properties(config: Config, properties: &[(String, String)]) -> Result<Config, String> {
    config.with_properties(properties.iter().cloned()).map_err(|problems| problems.join("\n"))
}

/// The config of a broker that runs alone: options of the command line count before properties.
fn alone(
    config: Config,
    listen: Option<&str>,
    properties: &[(String, String)],
    is_data_given: bool,
) -> Result<Config, String> {
    let (storage, default) = (config.storage.clone(), Config { listen: address(LISTEN)?, ..config });
    let config = with_properties(default, properties)?;
    let config = if is_data_given { Config { storage, ..config } } else { config };
    match listen {
        Some(listen) => Ok(Config { listen: address(listen)?, ..config }),
        None => Ok(config),
    }
}

fn address(listen: &str) -> Result<SocketAddr, String> {
    let found =
        listen.to_socket_addrs().map_err(|error| format!("--listen \"{listen}\" is not an address: {error}"))?;
    found.into_iter().next().ok_or_else(|| format!("--listen \"{listen}\" is not an address of this machine"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::LowArgs;
    use crate::options::Surroundings;
    use clap::Parser;

    fn options(arguments: &[&str]) -> Options {
        let low = LowArgs::try_parse_from([&["headwater"], arguments].concat()).unwrap();
        Options::resolve(low, &Surroundings::default()).unwrap()
    }

    /// Goal: two shells on one folder share one broker, and `headwater broker` does not join.
    #[tokio::test]
    async fn a_second_shell_joins_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let first = Cluster::open(&options(&["--data", data])).await.unwrap();
        let second = Cluster::open(&options(&["--data", data])).await.unwrap();
        assert_eq!(first.bootstrap(), second.bootstrap());
        assert!(first.notice().unwrap().contains("production data belongs in a real Kafka cluster"));
        assert!(second.notice().unwrap().starts_with("using the broker"));
        let alone = Cluster::open(&options(&["broker", "--listen", "127.0.0.1:0", "--data", data])).await;
        assert!(alone.unwrap_err().contains("in use by another process"));
        second.close().await;
        first.close().await;
    }

    /// Goal: the second shell continues when the first ends. Method: the first stops its broker, and the same address
    /// answers again.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_shell_takes_over_when_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let first = Cluster::open(&options(&["--data", data])).await.unwrap();
        let second = Cluster::open(&options(&["--data", data])).await.unwrap();
        let address = second.bootstrap().to_owned();
        first.close().await;
        let begun = Instant::now();
        while running_broker(folder.path()).map(|found| found.to_string()) != Some(address.clone()) {
            assert!(begun.elapsed() < Duration::from_secs(10), "nobody took over");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
        second.close().await;
        assert_eq!(running_broker(folder.path()), None);
    }

    /// Goal: a broker that runs alone takes Kafka's own properties, options of the command line count before them, and what is wrong is
    /// told, all of it.
    #[tokio::test]
    async fn a_broker_takes_kafka_s_own_properties() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = folder.path().join("server.properties");
        let text =
            format!("listeners=PLAINTEXT://127.0.0.1:0\nlog.dirs={}\nnum.partitions=3\n", other.path().display());
        std::fs::write(&file, text).unwrap();
        let config = |arguments: &[&str]| {
            let arguments = [&["broker", "--config", file.to_str().unwrap()], arguments].concat();
            let options = Options::resolve(
                LowArgs::try_parse_from([&["headwater"], &arguments[..]].concat()).unwrap(),
                &Surroundings {
                    variables: [("HOME".to_owned(), "/home/u".to_owned())].into(),
                    ..Surroundings::default()
                },
            );
            let options = options.unwrap();
            let Work::Broker { listen, properties } = &options.work else { panic!("it runs the broker") };
            let base = match &options.location {
                Location::Folder(folder) => Config::in_folder(folder),
                _ => panic!("it has a folder"),
            };
            alone(base, listen.as_deref(), properties, options.is_data_given)
        };
        let from_file = config(&[]).unwrap();
        assert_eq!((from_file.listen.port(), from_file.default_partitions), (0, 3));
        assert_eq!(from_file.storage, Storage::Folder(other.path().into()));
        let over = config(&["--set", "num.partitions=5", "--listen", "127.0.0.1:7", "--data", "/elsewhere"]).unwrap();
        assert_eq!((over.listen.port(), over.default_partitions), (7, 5));
        assert_eq!(over.storage, Storage::Folder("/elsewhere".into()));
        let problems = config(&["--set", "ssl.key.location=k", "--set", "log.retention.ms=soon"]).unwrap_err();
        assert_eq!(problems.lines().count(), 2, "{problems}");
    }

    #[tokio::test]
    async fn addresses_are_checked() {
        let broker = |listen| options(&["broker", "--listen", listen, "--data", "/nowhere/at/all"]);
        assert!(Cluster::open(&broker("nonsense")).await.unwrap_err().contains("--listen \"nonsense\""));
        let elsewhere = Cluster::open(&options(&["--bootstrap-server", "a:1,b:2"])).await.unwrap();
        assert_eq!((elsewhere.bootstrap(), elsewhere.notice()), ("a:1,b:2", None));
    }
}
