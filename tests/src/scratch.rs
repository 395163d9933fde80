//! Unique names, and topics named after them that are deleted when a program ends.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

const CLUSTER_WAIT_MAX: Duration = Duration::from_secs(30);

/// A unique name that can be a service id. Dropping it deletes every topic whose name contains it: the program's own,
/// those of queries, and the command topic of a service with this name.
pub struct Scratch {
    bootstrap: String,
    name: String,
}

impl Scratch {
    /// A name that begins with `program` and is not part of any other, in this process or another one.
    pub fn new(bootstrap: &str, program: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = format!("{program}_{seconds:x}_{}_{number:03}", std::process::id());
        Self { bootstrap: bootstrap.to_owned(), name }
    }

    /// The name itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of a topic that contains it.
    pub fn topic(&self, what: &str) -> String {
        format!("{}_{what}", self.name)
    }

    fn delete_topics(&self) -> Result<(), Box<dyn Error>> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create()?;
        let metadata = admin.inner().fetch_metadata(None, CLUSTER_WAIT_MAX)?;
        let named = metadata.topics().iter().map(|topic| topic.name()).filter(|name| name.contains(&self.name));
        let names: Vec<&str> = named.collect();
        if names.is_empty() {
            return Ok(());
        }
        let options = AdminOptions::new().operation_timeout(Some(CLUSTER_WAIT_MAX));
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        for deleted in runtime.block_on(admin.delete_topics(&names, &options))? {
            deleted.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.delete_topics() {
            eprintln!("could not delete the topics of {}: {error}", self.name);
        }
    }
}
