//! What each API does: Kafka's messages in and out, the work in the rooms behind.
//!
//! Apart because only this room knows both Kafka's messages and the rooms. One file for each family of APIs, all of
//! one shape: a function takes the call and the request and gives the answer; what fails, fails in the
//! answer, for each topic or partition by itself. An answer sets only fields that its version has.

pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod fetch;
pub(crate) mod group_admin;
pub(crate) mod group_offsets;
pub(crate) mod log_dirs;
pub(crate) mod membership;
pub(crate) mod offsets;
pub(crate) mod produce;
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

use crate::config::Storage;
use crate::core::Core;
use crate::log::Isolation;

/// What comes with a request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) core: Arc<Core>,
    pub(crate) version: i16,
    pub(crate) client_id: String,
    pub(crate) peer: SocketAddr,
    /// The address that the client has reached.
    pub(crate) local: SocketAddr,
}

/// Does work that may wait for the disk where that holds nobody up; in memory there is nothing to wait for.
pub(crate) async fn on_disk<T: Send + 'static>(core: &Core, work: impl FnOnce() -> T + Send + 'static) -> T {
    if core.config.storage == Storage::Memory {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and with it this task.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The number of a result, 0 when all is well.
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

/// Each thing once, in order: naming it again must not make the work and the answer longer.
fn once<T, K: Ord>(mut named: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = BTreeSet::new();
    named.retain(|one| seen.insert(key(one)));
    named
}

/// A client may say which epoch of the leader it knows; there is only one.
fn check_leader_epoch(epoch: i32) -> Result<(), ResponseError> {
    if epoch > crate::log::LEADER_EPOCH { Err(ResponseError::UnknownLeaderEpoch) } else { Ok(()) }
}
