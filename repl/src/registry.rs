//! The Schema Registry that a process hosts beside its broker.
//!
//! Separate from the cluster because it is only a guest there: its schemas are in a topic of the broker, and a client of
//! the registry needs its address and nothing else.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use headwater_connectors::transport::Transport;
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_schema_registry::{Server, TopicLog};

use crate::registry_file::RegistryFile;

/// Any free port.
pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Which registry a process hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// None.
    None,
    /// One at this address. With port 0, where the folder's registry was before if that is free, otherwise on any port.
    At(SocketAddr),
    /// One at this address if it is free, otherwise as with port 0.
    Preferably(SocketAddr),
}

impl Wanted {
    /// The addresses to try in turn.
    fn candidates(self, previous: Option<SocketAddr>) -> Vec<SocketAddr> {
        match self {
            Self::None => Vec::new(),
            Self::At(address) if address.port() == 0 => previous.into_iter().chain([address]).collect(),
            Self::At(address) => vec![address],
            Self::Preferably(address) => [address].into_iter().chain(previous).chain([ANY_PORT]).collect(),
        }
    }
}

/// A registry beside the broker of this process, or that there is none, as other processes are told.
#[derive(Debug)]
pub struct Hosted {
    server: Option<Server>,
    /// Locked while the registry answers.
    _file: Option<RegistryFile>,
}

impl Hosted {
    /// Starts to answer; schemas are read from the broker at the first request. Only the process that has the folder may
    /// do so. The error is text for the user.
    pub async fn start(wanted: Wanted, folder: Option<&Path>, bootstrap: &str) -> Result<Self, String> {
        let mut file = match folder {
            Some(folder) => RegistryFile::take(folder).await.inspect_err(warn).ok(),
            None => None,
        };
        let previous = file.as_ref().and_then(|file| file.previous);
        let mut server = match first(&wanted.candidates(previous), bootstrap).await {
            Ok(server) => server,
            Err(error) => {
                if let Some(file) = &mut file {
                    let _ = file.write(previous).inspect_err(warn);
                }
                return Err(error);
            }
        };
        if let (Some(server), Some(previous)) = (&mut server, previous)
            && server.address() != previous
            && file.as_ref().is_some_and(|file| file.is_expected)
            && let Err(error) = server.listen_also(previous).await
        {
            tracing::warn!(%error, "processes that use the schema registry of this folder lose it");
        }
        if let Some(file) = &mut file {
            let _ = file.write(server.as_ref().map(Server::address)).inspect_err(warn);
        }
        Ok(Self { server, _file: file })
    }

    /// Its URL, if there is one.
    pub fn url(&self) -> Option<String> {
        self.server.as_ref().map(Server::url)
    }

    /// Stops it. The broker must still be running.
    pub async fn close(self) {
        if let Some(server) = self.server {
            server.shutdown().await;
        }
    }
}

/// Listens at the first of these addresses that is free.
async fn first(candidates: &[SocketAddr], bootstrap: &str) -> Result<Option<Server>, String> {
    let mut failure = None;
    for address in candidates {
        match Server::start(*address, log(bootstrap)).await {
            Ok(server) => return Ok(Some(server)),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) => Err(format!(
            "the Schema Registry could not start: {error}\n  hint: Choose another address with --registry HOST:PORT, or none."
        )),
        None => Ok(None),
    }
}

fn log(bootstrap: &str) -> TopicLog {
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), bootstrap.to_owned())]);
    TopicLog::new(move || Ok(Arc::new(KafkaTransport::connect(properties.clone())?) as Arc<dyn Transport>))
}

fn warn(error: &std::io::Error) {
    tracing::warn!(%error, "other processes cannot find the schema registry of this one");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(of: &Hosted) -> u16 {
        of.server.as_ref().unwrap().address().port()
    }

    #[tokio::test]
    async fn a_folder_keeps_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let start = async |wanted| Hosted::start(wanted, Some(folder.path()), "127.0.0.1:1").await.unwrap();
        let first = start(Wanted::At(ANY_PORT)).await;
        let address = first.server.as_ref().unwrap().address();
        first.close().await;
        let second = start(Wanted::At(ANY_PORT)).await;
        assert_eq!(port(&second), address.port());
        // Another program has the preferred one.
        let other = Hosted::start(Wanted::Preferably(address), None, "127.0.0.1:1").await.unwrap();
        assert_ne!(port(&other), address.port());
        let refused = Hosted::start(Wanted::At(address), None, "127.0.0.1:1").await.unwrap_err();
        assert!(refused.contains("--registry HOST:PORT, or none"), "{refused}");
        second.close().await;
        // A failure forgets nothing.
        let other = Hosted::start(Wanted::At(ANY_PORT), None, "127.0.0.1:1").await.unwrap();
        let taken = Wanted::At(other.server.as_ref().unwrap().address());
        assert!(Hosted::start(taken, Some(folder.path()), "127.0.0.1:1").await.is_err());
        let third = start(Wanted::At(ANY_PORT)).await;
        assert_eq!(port(&third), address.port());
        third.close().await;
        let none = start(Wanted::None).await;
        assert_eq!(none.url(), None);
    }
}
