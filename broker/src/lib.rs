//! A single-node Kafka-compatible broker for trying, testing and development.
//!
//! It speaks the Kafka protocol over segment files in a folder, or in memory, so that any Kafka client can write to
//! it and read from it: idempotent and transactional produce, long-poll fetch, both isolation levels, admin requests
//! and classic consumer groups. What it is not: replicated, secured or a place for production data ([`ADVICE`]).
//!
//! ```
//! # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
//! use headwater_broker::{Broker, Config};
//!
//! let broker = Broker::start(Config::in_memory()).await.expect("starts");
//! assert!(broker.address().ip().is_loopback());
//! broker.shutdown().await;
//! # });
//! ```
//!
//! # Rooms
//!
//! | room | holds | does not know |
//! |---|---|---|
//! | `broker` | starting and ending, top to bottom | requests |
//! | `config` | every knob and every limit | who uses them |
//! | `descriptors` | how many files and sockets there may be, for whom | files, sockets |
//! | `failure` | a failure that lasts, reported when it begins and ends | what fails |
//! | `lock` | one process for a folder, and finding its broker | what is in the folder |
//! | `listen` | the addresses that a broker listens on | what is in the folder |
//! | `start_error` | why a broker did not start | how it starts |
//! | `net` | sockets, frames, the list of APIs and versions, from an API to its function | what requests mean |
//! | `api/*` | one file for each family of APIs: Kafka's messages to calls of the rooms and back | sockets, files |
//! | `topics` | topics by name, their settings and the logs of their partitions | the wire, groups, transactions |
//! | `log` | raw batches in segments, producers' sequences, the ends of a log | topics by name, the wire |
//! | `group` | members, generations, committed offsets; `coordinator` is still | logs, sockets |
//! | `txn` | transactional ids and how a transaction ends; `transaction` is still | the wire, batches |
//! | `meta` | the journal of everything that is no record | who decides the changes |
//!
//! Imports go down this list: `net → api → {topics, group, txn} → {log, meta}`. Still code takes the time
//! as an argument; `clock` is the only clock.
//!
//! # What is on the disk
//!
//! ```text
//! lock       held while a broker runs, with its address
//! clean      there when the last broker ended in order: checksums are not looked at again
//! journal    one line a change: topics, settings, committed offsets, producer ids, transactions, how far logs have got
//! logs/<topic id>/<partition>/<base offset>.log     batches as the producers packed them
//! orphaned/<topic id>/                              what was in `logs` although the journal knew no such topic
//! ```
//!
//! Folders are made for their owner alone (mode 0700). Nothing that holds records is removed unless the journal says
//! that its topic was deleted: without a journal, or with one that a newer version wrote, the broker does not start.
//!
//! A segment is closed when it reaches `segment.bytes`, so retention can remove whole files and compaction can
//! replace them. Indexes by offset and by time are kept in memory and rebuilt from batch headers.
//!
//! # What survives what
//!
//! A broker that is killed loses nothing that was acknowledged: the operating system has it. What survives a loss of power
//! is a choice, [`Flush`]. A full disk fails the write (`KAFKA_STORAGE_ERROR`) and leaves the log as it was. Records
//! whose file is gone are reported at start; reading their offsets fails (`CORRUPT_MESSAGE`), and none of the offsets is
//! given again. A transaction that was open when the broker ended is aborted and its producer fenced.

mod api;
mod broker;
mod clock;
mod config;
mod core;
mod descriptors;
mod failure;
mod group;
mod listen;
mod lock;
mod log;
mod meta;
mod net;
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
