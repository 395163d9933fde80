//! Three brokers of `tests/real/kafka`, which are killed and restarted one at a time.

use std::error::Error;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::binary;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// Number of brokers, and of replicas of everything.
pub const NODES: usize = 3;

const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Maximum time until all replicas are in sync again.
const COPY_MAX: Duration = Duration::from_secs(90);
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The cluster. Dropping it stops all brokers and removes their data.
pub struct Cluster {
    bootstrap: String,
}

impl Cluster {
    /// Starts a new cluster.
    pub fn up() -> Result<Self, Box<dyn Error>> {
        // Created before the start, so that a partial start is cleaned up.
        let mut cluster = Self { bootstrap: String::new() };
        cluster.bootstrap = kafka("up", None)?.trim().to_owned();
        Ok(cluster)
    }

    /// Addresses of all brokers.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Kills a broker (kill -9), numbered from 1.
    pub fn kill(&self, node: usize) -> Result<(), Box<dyn Error>> {
        kafka("kill", Some(node)).map(drop)
    }

    /// Restarts a broker with its data and waits until it is up.
    pub fn start(&self, node: usize) -> Result<(), Box<dyn Error>> {
        kafka("start", Some(node)).map(drop)
    }

    /// Waits until all replicas of every partition are in sync: only then may the next broker be killed.
    pub fn await_copies(&self) -> Result<Duration, Box<dyn Error>> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set_log_level(RDKafkaLogLevel::Emerg);
        let (consumer, begun): (BaseConsumer, _) = (config.create()?, Instant::now());
        loop {
            match behind(&consumer) {
                Ok(0) => return Ok(begun.elapsed()),
                behind if begun.elapsed() > COPY_MAX => {
                    return Err(format!("replicas are not in sync after {COPY_MAX:?}: {behind:?}").into());
                }
                _ => thread::sleep(LOOK_INTERVAL),
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = kafka("down", None) {
            eprintln!("could not stop the brokers: {error}");
        }
    }
}

/// Number of partitions with a missing replica.
fn behind(consumer: &BaseConsumer) -> Result<usize, Box<dyn Error>> {
    let metadata = consumer.fetch_metadata(None, ANSWER_MAX)?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    Ok(partitions.filter(|partition| partition.isr().len() < NODES).count())
}

/// Runs the script and returns its output.
fn kafka(command: &str, node: Option<usize>) -> Result<String, Box<dyn Error>> {
    let script = binary::workspace().join("tests/real/kafka");
    let done = Command::new(&script)
        .args([command, "--nodes", &NODES.to_string()])
        .args(node.map(|node| node.to_string()))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    match done.status.success() {
        true => Ok(String::from_utf8(done.stdout)?),
        false => Err(format!("{} {command} ended with {}", script.display(), done.status).into()),
    }
}
