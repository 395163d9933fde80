//! A single-node, Kafka-compatible broker in the process: for tests, for development and for trying things out.
//!
//! [`Broker::start`] starts one, in memory or over a folder, and any Kafka client can then connect to
//! [`Broker::address`]: librdkafka and its bindings, the Java client, or the console tools. The broker supports
//! idempotent and transactional producers, long-polling fetches, both isolation levels, consumer groups with the classic
//! protocol and with that of KIP-848, and the admin requests for topics, configs, groups, transactions and offsets.
//!
//! ```
//! use std::time::Duration;
//!
//! use headwater_broker::{Broker, Config};
//! use rdkafka::ClientConfig;
//! use rdkafka::consumer::{BaseConsumer, Consumer};
//! use rdkafka::message::Message;
//! use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = tokio::runtime::Runtime::new()?;
//! let broker = runtime.block_on(Broker::start(Config::in_memory()))?;
//! let address = broker.address().to_string();
//!
//! // The first record creates the topic.
//! let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &address).create()?;
//! producer.send(BaseRecord::to("greetings").key("en").payload("hello")).map_err(|(error, _)| error)?;
//! producer.flush(Duration::from_secs(10))?;
//!
//! let consumer: BaseConsumer = ClientConfig::new()
//!     .set("bootstrap.servers", &address)
//!     .set("group.id", "readers")
//!     .set("auto.offset.reset", "earliest")
//!     .create()?;
//! consumer.subscribe(&["greetings"])?;
//! let message = consumer.iter().next().expect("waits for a record")?;
//! assert_eq!(message.payload(), Some(&b"hello"[..]));
//!
//! drop(message);
//! drop((consumer, producer));
//! runtime.block_on(broker.shutdown());
//! # Ok(())
//! # }
//! ```
//!
//! The same tests of clients in Go (franz-go), Java, Python (confluent-kafka) and C (kcat) pass on it and on Apache Kafka: records with
//! every compression, transactions, groups and administration, byte for byte.
//!
//! # What it does not do
//!
//! It is not a place for production data ([`ADVICE`]):
//!
//! * There is one broker, so there is no replication. The replication factor is always 1.
//! * There is no TLS, no authentication and no authorization: anyone who can reach the port can read and change
//!   everything. It therefore listens on loopback by default.
//! * Share groups, the second transaction protocol (`transaction.version` 2), ListOffsets 8 and later, fetch sessions, and
//!   settings of a running broker (`kafka-configs --entity-type brokers --alter`) are not supported. Clients fall back to the
//!   older versions by themselves.
//! * All members of a group use one protocol, the classic one or that of KIP-848 (`group.protocol=consumer`); a group without
//!   members can change it. Kafka also has both in one group while its members are being upgraded.
//! * It runs on Unix only.
//!
//! # Where it answers differently from Apache Kafka 4.3
//!
//! The same programs were run on both. What clients can see:
//!
//! | request | here | Kafka |
//! |---|---|---|
//! | classic members after a restart | go on without a rebalance | rejoin |
//! | members of KIP-848 after a restart | rejoin; until then, the group is listed as a classic one | go on |
//! | OffsetCommit by a member with a generation, to a group that does not exist | `UNKNOWN_MEMBER_ID`, so that the member joins again | `ILLEGAL_GENERATION` |
//! | JoinGroup with a `session.timeout.ms` below 6 s | accepted | `INVALID_SESSION_TIMEOUT` |
//! | Produce with an unknown compression | `UNSUPPORTED_COMPRESSION_TYPE` | `UNKNOWN_SERVER_ERROR` |
//! | Produce in a transaction by an unknown producer id | `INVALID_TXN_STATE` | `INVALID_PRODUCER_ID_MAPPING` |
//! | Produce with a timestamp in the future | accepted, unless the topic says otherwise | refused beyond one hour |
//! | `INVALID_RECORD` | without a text | with a text |
//! | DescribeConfigs with synonyms | only the value in force | all levels |
//! | offsets of a group without members | kept for ever (`offsets.retention.minutes` is -1) | for seven days |
//!
//! # Defaults
//!
//! [`Config::in_memory`] and [`Config::in_folder`] listen on a free loopback port, create missing topics with one
//! partition when a client asks for them, leave it to the operating system when writes reach the disk, and let a new
//! consumer group start without waiting for more members. A new topic keeps all records (`retention.ms` is -1) and
//! accepts timestamps in the future; its other settings have Kafka's defaults. Committed offsets do not expire, unless
//! [`Config::offsets_retention_ms`] says so. See [`Config`] for all options.
//!
//! # How it fails
//!
//! [`Broker::start`] returns a [`StartError`] and leaves nothing running. Afterwards, errors are reported to the client
//! whose request failed, with Kafka's error codes, and in the log (with `tracing`). No request ends the broker: a request
//! that cannot be decoded closes its connection.
//!
//! A broker that is killed loses nothing that was acknowledged, because the operating system has it. What survives a power
//! failure depends on [`Flush`]. A full disk fails the write (`KAFKA_STORAGE_ERROR`) and leaves the log as it was. Records
//! whose file is missing are reported at start; reading their offsets fails (`CORRUPT_MESSAGE`), and none of these offsets
//! is assigned again. A transaction that was open when the broker ended goes on with the next one; after a power failure,
//! which may have taken something of it, it is aborted and its producer is fenced.
//!
//! # Modules
//!
//! | module | contains | does not know |
//! |---|---|---|
//! | `broker` | starting and shutting down, from top to bottom | requests |
//! | `config` | all options and all limits | who uses them |
//! | `properties` | Kafka's names for the options | who uses them |
//! | `start_error` | why a broker did not start | how it starts |
//! | `descriptors` | how many files and sockets can be open, and how they are divided | files, sockets |
//! | `disk_threads` | the threads on which requests wait for the disk: so many and no more | the disk, requests |
//! | `failure` | tracks a lasting failure, so that it is logged when it starts and when it is over | what fails |
//! | `parallel` | the same work for many things, by several threads | the work |
//! | `boot` | which start of the machine this is | who asks |
//! | `lock` | one process per folder, and finding its broker | what is in the folder |
//! | `listen` | the addresses that a broker listens on | what is in the folder |
//! | `net` | sockets, frames, the list of APIs and versions, dispatching a request to its handler | what requests mean |
//! | `api/*` | the handlers, one file for each family of APIs: from Kafka's messages to the modules below and back | sockets, files |
//! | `topics` | topics by name, their settings and the logs of their partitions | the protocol, groups, transactions |
//! | `log` | raw batches in segments, the state of producers, the offsets of a log | topics, the protocol |
//! | `group` | members, assignments, committed offsets; `coordinator` (the classic protocol) and `consumer` (KIP-848) do no I/O | logs, sockets |
//! | `txn` | transactional ids and how a transaction ends; `transaction` does no I/O | the protocol, batches |
//! | `meta` | the journal of all metadata | who decides the changes |
//! | `topic_partition` | the name of a partition | everything else |
//!
//! Imports go down: `net → api → {topics, group, txn} → {log, meta}`. Code without I/O takes the time as an argument;
//! `clock` is the only clock.
//!
//! # Files
//!
//! ```text
//! lock       locked while a broker is running; contains its address
//! joined     locked by the processes that use the broker of another process
//! addresses  the addresses at which such processes expect the next broker
//! clean      exists after a clean shutdown: checksums need not be verified again
//! journal    one line for each change: topics, settings, groups, committed offsets, producer ids, transactions, log extents
//! logs/<topic id>/<partition>/<base offset>.log            batches as the producers compressed them
//! logs/<topic id>/<partition>/<base offset>.<number>.log   what a compaction left of several such files
//! logs/<topic id>/<partition>/<base offset>.outline        what is known of a closed one, so that a start need not read it
//! orphaned/<topic id>/                              folders found in `logs` whose topic is not in the journal
//! ```
//!
//! Folders are created with mode 0700. Nothing that contains records is removed unless the journal says that its topic was
//! deleted, or that its log begins after them: if the journal is missing, or if a newer version wrote it, the broker does
//! not start.
//!
//! A segment is closed when it reaches `segment.bytes`, and when a record is more than `segment.ms` later than its first
//! one. Expired segments are removed every ten seconds ([`Config::retention_check_ms`]), and closed segments of topics with the
//! policy `compact` are compacted: of the records with one key only the last stays, at its offset, and records that remove a key
//! go after `delete.retention.ms`. Compaction writes new files beside the old ones, needs about 30 MB of memory whatever the size
//! of a log, and blocks neither reads nor writes. Indexes by offset and by timestamp are kept in memory; a start takes those of
//! closed segments from their outlines, which are written at the next such time, and reads the batch headers of the others.

mod api;
mod boot;
mod broker;
mod clock;
mod config;
mod core;
mod descriptors;
mod disk_threads;
mod failure;
mod group;
mod listen;
mod lock;
mod log;
mod meta;
mod net;
mod parallel;
mod properties;
mod start_error;
mod topic_partition;
mod topics;

mod txn;

pub use broker::{ADVICE, Broker};
pub use config::{Config, Flush, Storage};
pub use lock::{Joined, running_broker};
pub use log::RecoveryError;
pub use meta::JournalError;
pub use start_error::StartError;
