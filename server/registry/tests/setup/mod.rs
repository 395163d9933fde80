//! A registry to expect something of: the embedded one, or a real one.

use headwater_registry::{Missing, Registry, RegistryError, Settings};
use headwater_schema_registry::{MemoryLog, Server};

pub struct Setup {
    pub registry: Registry,
    /// Whether it is not ours.
    pub is_real: bool,
    url: String,
    _server: Option<Server>,
}

impl Setup {
    pub async fn start() -> Self {
        if let Ok(url) = std::env::var("HEADWATER_TEST_REGISTRY") {
            return Self { registry: connect(&url), is_real: true, url, _server: None };
        }
        let address = "127.0.0.1:0".parse().expect("an address");
        let server = Server::start(address, MemoryLog::default()).await.expect("it starts");
        let url = server.url();
        Self { registry: connect(&url), is_real: false, url, _server: Some(server) }
    }

    /// Another client, which remembers nothing yet.
    pub fn connect(&self) -> Registry {
        connect(&self.url)
    }

    /// A name that no other test has.
    pub fn subject(&self, name: &str) -> String {
        format!("{name}-{:016x}", rand::random::<u64>())
    }
}

fn connect(url: &str) -> Registry {
    Registry::connect(Settings::at(url).expect("a URL")).expect("no files are read")
}

/// What was not found.
pub fn missing<T: std::fmt::Debug>(answer: Result<T, RegistryError>) -> Missing {
    match answer {
        Err(RegistryError::NotFound { missing, .. }) => missing,
        other => panic!("{other:?}"),
    }
}
