//! The handlers: one function for each API, from a Kafka request to a Kafka response.
//!
//! Separate because only this module knows both the Kafka messages and the modules that do the work. Each family of
//! APIs has its own file, and all handlers have the same shape: a function takes the call and the request and returns
//! the response. Errors are reported in the response, for each topic or partition by itself. A response sets only the
//! fields that exist in its version.

pub(crate) mod absent;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod consumer_groups;
pub(crate) mod fetch;
pub(crate) mod group_admin;
pub(crate) mod group_offsets;
pub(crate) mod log_dirs;
pub(crate) mod membership;
pub(crate) mod offsets;
pub(crate) mod produce;
pub(crate) mod quorum;
pub(crate) mod topics;
pub(crate) mod transaction_admin;
pub(crate) mod transactions;
pub(crate) mod versions;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;

pub(crate) use fetch::{FetchedPartition, FetchedTopic};

use crate::config::Storage;
use crate::core::Core;
use crate::log::Isolation;

/// The context of a request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) core: Arc<Core>,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    pub(crate) peer: SocketAddr,
    /// The address that the client connected to.
    pub(crate) local: SocketAddr,
}

/// Runs work that may block on the disk on a thread for it. Work in memory runs directly.
pub(crate) async fn on_disk<T: Send + 'static>(core: &Core, work: impl FnOnce() -> T + Send + 'static) -> T {
    match core.config.storage {
        Storage::Memory => work(),
        Storage::Folder(_) => core.disk.run(work).await,
    }
}

/// The error code of a result, 0 for success.
fn code<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, ResponseError::code)
}

fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn isolation(level: i8) -> Isolation {
    if level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
}

/// Removes duplicates and keeps the order, so that repeating a name makes neither the work nor the response larger.
fn once<T, K: Ord>(mut named: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = BTreeSet::new();
    named.retain(|one| seen.insert(key(one)));
    named
}

/// Checks the leader epoch that a client expects; there is only one epoch.
fn check_leader_epoch(epoch: i32) -> Result<(), ResponseError> {
    if epoch > crate::log::LEADER_EPOCH { Err(ResponseError::UnknownLeaderEpoch) } else { Ok(()) }
}
