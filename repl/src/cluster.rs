//! The cluster with the topics: an external one, or the broker inside this process, with a Schema Registry beside it.
//!
//! A data folder belongs to one process at a time. A second shell on the same folder uses the broker and the registry of
//! the first, and starts its own ones on the same addresses when the first has ended.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_broker::{ADVICE, Broker, Config, Joined, StartError, Storage, running_broker};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::options::{Location, Options, RegistryChoice, Work};
use crate::registry::{ANY_PORT, Hosted, Wanted};
use crate::registry_file::{RegistryUser, running_registry};

/// The address of a broker that runs alone, unless another one is given, and that of the registry beside it.
const LISTEN: &str = "127.0.0.1:9092";
const LISTEN_REGISTRY: &str = "127.0.0.1:8081";
/// How often a process that joined checks whether the folder is still in use.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait for a folder whose process is starting or ending.
const FOLDER_WAIT_MAX: Duration = Duration::from_secs(10);

/// A cluster to connect to.
#[derive(Debug)]
pub struct Cluster {
    bootstrap: String,
    registry: Option<String>,
    hosting: Hosting,
}

#[derive(Debug)]
enum Hosting {
    External,
    /// The broker of this process, and where its topics are.
    Own(Host, String),
    /// The broker of another process on the same folder.
    Joined(Successor),
}

/// A broker of this process and what belongs to it.
#[derive(Debug)]
struct Host {
    broker: Broker,
    registry: Option<Hosted>,
}

/// Takes over the broker and the registry of another process when that process has ended. Clients find them at the same
/// addresses: they reconnect and their statements continue.
#[derive(Debug)]
struct Successor {
    /// Kept while this process waits for the folder.
    _joined: Option<(Joined, RegistryUser)>,
    watching: JoinHandle<()>,
    host: Arc<Mutex<Option<Host>>>,
}

impl Cluster {
    /// Finds or starts the cluster. The error is text for the user. An external cluster is not contacted yet:
    /// connecting to it shows whether it exists.
    pub async fn open(options: &Options) -> Result<Self, String> {
        let config = match &options.location {
            Location::Cluster(brokers) => {
                return Ok(Self { bootstrap: brokers.clone(), registry: None, hosting: Hosting::External });
            }
            Location::Folder(folder) => Config::in_folder(folder),
            Location::Memory => Config::in_memory(),
        };
        match &options.work {
            Work::Broker { listen, registry, properties } => {
                let config = alone(config, listen.as_deref(), properties, options.is_data_given)?;
                let wanted = beside(config.listen, registry)?;
                let storage = config.storage.clone();
                own(Broker::start(config).await, &storage, wanted).await
            }
            _ if options.registry.is_some() => start_or_join(config, Wanted::None).await,
            _ => start_or_join(config, Wanted::At(ANY_PORT)).await,
        }
    }

    /// The address for Kafka clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The URL of the Schema Registry beside the broker of this or another process, if there is one.
    #[allow(dead_code, reason = "for the engine, once it has formats with schemas")]
    pub fn registry(&self) -> Option<String> {
        self.registry.clone()
    }

    /// A one-line notice for the user, if any.
    pub fn notice(&self) -> Option<String> {
        let registry = |words: &str| self.registry.as_ref().map(|url| format!("{words}{url}")).unwrap_or_default();
        match &self.hosting {
            Hosting::External => None,
            Hosting::Joined(_) => Some(format!(
                "using the broker of another headwater process, on {}{}",
                self.bootstrap,
                registry(", and its Schema Registry on ")
            )),
            Hosting::Own(_, place) => Some(format!(
                "a broker for any Kafka client listens on {}{}, its topics {place}; {ADVICE}",
                self.bootstrap,
                registry(", with a Schema Registry on ")
            )),
        }
    }

    /// Stops the broker and the registry of this process, if it has them; the data is written to disk.
    pub async fn close(self) {
        match self.hosting {
            Hosting::External => {}
            Hosting::Own(host, _) => host.close().await,
            Hosting::Joined(heir) => heir.close().await,
        }
    }
}

impl Host {
    /// The registry comes first, because its schemas are in the broker.
    async fn close(self) {
        if let Some(registry) = self.registry {
            registry.close().await;
        }
        self.broker.shutdown().await;
    }
}

/// Starts the broker of a folder, or uses the one that already runs there.
async fn start_or_join(config: Config, wanted: Wanted) -> Result<Cluster, String> {
    let begun = Instant::now();
    loop {
        match Broker::start(config.clone()).await {
            Err(StartError::Locked { folder, running: Some(address) }) => {
                return Ok(join(folder, config, address).await);
            }
            // The other process is about to start its broker, or has just stopped it.
            Err(StartError::Locked { .. }) if begun.elapsed() < FOLDER_WAIT_MAX => {}
            started => return own(started, &config.storage, wanted).await,
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Uses the broker of another process at this address, and its registry.
async fn join(folder: PathBuf, config: Config, address: SocketAddr) -> Cluster {
    let joined = Joined::join(&folder).and_then(|joined| Ok((joined, RegistryUser::join(&folder)?)));
    let joined = joined.inspect_err(|error| tracing::warn!(%error, "could not register as a user of the data folder"));
    let registry = running_registry(&folder).await;
    let host = Arc::new(Mutex::new(None));
    let config = Config { listen: address, ..config };
    let watching = tokio::spawn(take_over(folder, config, registry, Arc::clone(&host)));
    Cluster {
        bootstrap: address.to_string(),
        registry: registry.map(|address| format!("http://{address}")),
        hosting: Hosting::Joined(Successor { _joined: joined.ok(), watching, host }),
    }
}

impl Successor {
    async fn close(self) {
        // Wait for a broker that is just starting, so that its start is not interrupted.
        let mut host = self.host.lock().await;
        self.watching.abort();
        if let Some(host) = host.take() {
            host.close().await;
        }
    }
}

/// Waits until no process has the folder, and starts a broker and a registry there. Another waiting process may be faster.
async fn take_over(folder: PathBuf, config: Config, registry: Option<SocketAddr>, host: Arc<Mutex<Option<Host>>>) {
    let mut complaint = Complaint::default();
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if !is_free(&folder).await {
            continue;
        }
        let mut host = host.lock().await;
        match Broker::start(config.clone()).await {
            Ok(broker) => {
                tracing::info!(address = %broker.address(), "took the broker over from a process that has ended");
                *host = Some(Host { broker, registry: None });
                break;
            }
            Err(StartError::Locked { .. }) => {}
            Err(error) => complaint.report("broker", &error.to_string()),
        }
    }
    let wanted = registry.map_or(Wanted::None, Wanted::At);
    loop {
        if let Some(host) = &mut *host.lock().await {
            match Hosted::start(wanted, Some(&folder), &host.broker.address().to_string()).await {
                Ok(hosted) => {
                    host.registry = Some(hosted);
                    return;
                }
                Err(error) => complaint.report("schema registry", &error),
            }
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// A problem that is tried again and again, and reported when it changes.
#[derive(Default)]
struct Complaint(String);

impl Complaint {
    fn report(&mut self, what: &str, error: &str) {
        if self.0 != error {
            tracing::warn!(%error, "could not take the {what} over from a process that has ended; trying again");
            error.clone_into(&mut self.0);
        }
    }
}

/// Checks on a blocking thread.
async fn is_free(folder: &Path) -> bool {
    let folder = folder.to_owned();
    let look = tokio::task::spawn_blocking(move || folder.is_dir() && running_broker(&folder).is_none());
    look.await.unwrap_or(false)
}

/// The cluster of a broker of this process, with the registry that is wanted.
async fn own(started: Result<Broker, StartError>, storage: &Storage, wanted: Wanted) -> Result<Cluster, String> {
    let broker = started.map_err(|error| error.to_string())?;
    let bootstrap = broker.address().to_string();
    let (folder, place) = match storage {
        Storage::Folder(folder) => (Some(&**folder), format!("are in {}", folder.display())),
        Storage::Memory => (None, "are in memory and end with it".to_owned()),
    };
    match Hosted::start(wanted, folder, &bootstrap).await {
        Ok(registry) => {
            let url = registry.url();
            let host = Host { broker, registry: Some(registry) };
            Ok(Cluster { bootstrap, registry: url, hosting: Hosting::Own(host, place) })
        }
        Err(error) => {
            broker.shutdown().await;
            Err(error)
        }
    }
}

/// The registry beside a broker that runs alone.
fn beside(broker: SocketAddr, choice: &RegistryChoice) -> Result<Wanted, String> {
    Ok(match choice {
        RegistryChoice::None => Wanted::None,
        RegistryChoice::At(listen) => Wanted::At(address("--registry", listen)?),
        RegistryChoice::Default if broker.port() == address("--listen", LISTEN)?.port() => {
            Wanted::Preferably(address("--registry", LISTEN_REGISTRY)?)
        }
        RegistryChoice::Default => Wanted::At(ANY_PORT),
    })
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
    let (storage, default) = (config.storage.clone(), Config { listen: address("--listen", LISTEN)?, ..config });
    let config = with_properties(default, properties)?;
    let config = if is_data_given { Config { storage, ..config } } else { config };
    match listen {
        Some(listen) => Ok(Config { listen: address("--listen", listen)?, ..config }),
        None => Ok(config),
    }
}

fn address(option: &str, listen: &str) -> Result<SocketAddr, String> {
    let found =
        listen.to_socket_addrs().map_err(|error| format!("{option} \"{listen}\" is not an address: {error}"))?;
    found.into_iter().next().ok_or_else(|| format!("{option} \"{listen}\" is not an address of this machine"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::LowArgs;
    use crate::options::Surroundings;
    use clap::Parser;
    use headwater_formats::schema::SchemaKind;
    use headwater_registry::{NewSchema, Registry, Settings};

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
        assert_eq!(first.registry(), second.registry());
        assert!(second.notice().unwrap().contains(&format!("Schema Registry on {}", first.registry().unwrap())));
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
        let registry = second.registry().unwrap();
        assert_eq!(Some(&registry), first.registry().as_ref());
        let connect = || Registry::connect(Settings::at(&registry).unwrap()).unwrap();
        let new = NewSchema::new(SchemaKind::Avro, r#""long""#);
        let id = connect().register("numbers-value", &new).await.unwrap();
        first.close().await;
        let begun = Instant::now();
        while running_broker(folder.path()).map(|found| found.to_string()) != Some(address.clone()) {
            assert!(begun.elapsed() < Duration::from_secs(10), "nobody took over");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
        while running_registry(folder.path()).await.map(|found| format!("http://{found}")) != Some(registry.clone()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody took the registry over");
        }
        assert_eq!(&*connect().schema(id).await.unwrap().text, r#""long""#);
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
            let Work::Broker { listen, properties, .. } = &options.work else { panic!("it runs the broker") };
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

    /// Goal: whoever has a registry, or wants none, hosts none, and a broker that runs alone has it where it is wanted.
    #[tokio::test]
    async fn a_registry_is_hosted_unless_it_is_not_wanted() {
        let registry = async |arguments: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let arguments = [arguments, &["--data", folder.path().to_str().unwrap()]].concat();
            let cluster = Cluster::open(&options(&arguments)).await.unwrap();
            let (registry, notice) = (cluster.registry(), cluster.notice().unwrap());
            assert_eq!(notice.contains("Schema Registry"), registry.is_some(), "{notice}");
            cluster.close().await;
            registry
        };
        assert!(registry(&[]).await.is_some());
        assert_eq!(registry(&["--schema-registry", "http://a:1"]).await, None);
        let broker = ["broker", "--listen", "127.0.0.1:0"];
        assert!(registry(&broker).await.is_some());
        assert_eq!(registry(&[&broker[..], &["--registry", "none"]].concat()).await, None);
        let given = registry(&[&broker[..], &["--registry", "[::1]:0"]].concat()).await;
        assert!(given.as_ref().is_some_and(|url| url.starts_with("http://[::1]:")), "{given:?}");
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--data", folder.path().to_str().unwrap(), "--registry", "0.0.0.0:0"];
        let refused = Cluster::open(&options(&[&broker[..], &arguments].concat())).await.unwrap_err();
        assert!(refused.contains("0.0.0.0:0 is not a loopback address"), "{refused}");
        assert_eq!(running_broker(folder.path()), None);
    }

    /// Goal: the registry beside a broker at the usual port is at its usual port, too.
    #[test]
    fn usual_ports_belong_together() {
        let wanted = |listen: &str| beside(listen.parse().unwrap(), &RegistryChoice::Default).unwrap();
        assert_eq!(wanted("127.0.0.1:9092"), Wanted::Preferably(LISTEN_REGISTRY.parse().unwrap()));
        assert_eq!(wanted("127.0.0.1:9093"), Wanted::At(ANY_PORT));
    }

    #[tokio::test]
    async fn addresses_are_checked() {
        let broker = |listen| options(&["broker", "--listen", listen, "--data", "/nowhere/at/all"]);
        assert!(Cluster::open(&broker("nonsense")).await.unwrap_err().contains("--listen \"nonsense\""));
        let elsewhere = Cluster::open(&options(&["--bootstrap-server", "a:1,b:2"])).await.unwrap();
        assert_eq!((elsewhere.bootstrap(), elsewhere.notice()), ("a:1,b:2", None));
    }
}
