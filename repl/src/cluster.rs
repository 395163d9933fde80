//! Where the topics are: a cluster elsewhere, or the broker inside this process.
//!
//! A folder belongs to one process at a time. A second shell on the same folder does not fail: it
//! joins the broker of the first.

use std::net::{SocketAddr, ToSocketAddrs};

use headwater_broker::{ADVICE, Broker, Config, StartError};

use crate::options::{Options, Place, Work};

/// A cluster that can be connected to.
#[derive(Debug)]
pub struct Cluster {
    bootstrap: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Elsewhere,
    /// The broker of this process.
    Ours(Broker),
    /// The broker of another process on the same folder.
    Joined,
}

impl Cluster {
    /// Finds or starts the cluster. Fails in words. A cluster elsewhere is not looked at yet:
    /// whoever connects to it finds out whether it is there.
    pub async fn open(options: &Options) -> Result<Self, String> {
        let config = match &options.place {
            Place::Cluster(brokers) => return Ok(Self { bootstrap: brokers.clone(), kind: Kind::Elsewhere }),
            Place::Folder(folder) => Config::in_folder(folder),
            Place::Memory => Config::in_memory(),
        };
        match &options.work {
            Work::Broker { listen } => started(Config { listen: address(listen)?, ..config }).await,
            _ => match headwater_broker::start(config).await {
                Err(StartError::Locked { running: Some(address), .. }) => {
                    Ok(Self { bootstrap: address.to_string(), kind: Kind::Joined })
                }
                started => ours(started),
            },
        }
    }

    /// The address that Kafka clients connect to.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// What the user should know about it, in one line.
    pub fn notice(&self) -> Option<String> {
        match self.kind {
            Kind::Elsewhere => None,
            Kind::Joined => Some(format!("joined the broker of another headwater, on {}", self.bootstrap)),
            Kind::Ours(_) => Some(format!("a broker for any Kafka client listens on {}; {ADVICE}", self.bootstrap)),
        }
    }

    /// Ends the broker of this process, if there is one: what was written reaches the disk.
    pub async fn close(self) {
        if let Kind::Ours(broker) = self.kind {
            broker.shutdown().await;
        }
    }
}

async fn started(config: Config) -> Result<Cluster, String> {
    ours(headwater_broker::start(config).await)
}

fn ours(started: Result<Broker, StartError>) -> Result<Cluster, String> {
    let broker = started.map_err(|error| error.to_string())?;
    Ok(Cluster { bootstrap: broker.address().to_string(), kind: Kind::Ours(broker) })
}

fn address(listen: &str) -> Result<SocketAddr, String> {
    let found = listen.to_socket_addrs().map_err(|error| format!("--listen \"{listen}\" is no address: {error}"))?;
    found.into_iter().next().ok_or_else(|| format!("--listen \"{listen}\" names no address of this machine"))
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

    /// Goal: two shells on one folder share one broker, and the broker alone does not join.
    #[tokio::test]
    async fn a_second_shell_joins_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let first = Cluster::open(&options(&["--data", data])).await.unwrap();
        let second = Cluster::open(&options(&["--data", data])).await.unwrap();
        assert_eq!(first.bootstrap(), second.bootstrap());
        assert!(first.notice().unwrap().contains("production data belongs in a real Kafka cluster"));
        assert!(second.notice().unwrap().starts_with("joined the broker"));
        let alone = Cluster::open(&options(&["broker", "--listen", "127.0.0.1:0", "--data", data])).await;
        assert!(alone.unwrap_err().contains("in use by another process"));
        second.close().await;
        first.close().await;
    }

    #[tokio::test]
    async fn addresses_are_checked() {
        let broker = |listen| options(&["broker", "--listen", listen, "--data", "/nowhere/at/all"]);
        assert!(Cluster::open(&broker("nonsense")).await.unwrap_err().contains("--listen \"nonsense\""));
        let elsewhere = Cluster::open(&options(&["--bootstrap-server", "a:1,b:2"])).await.unwrap();
        assert_eq!((elsewhere.bootstrap(), elsewhere.notice()), ("a:1,b:2", None));
    }
}
