//! Reading and writing topics: [`Source`], [`Sink`] and [`Admin`], in batches both ways, and [`Member`], which assigns
//! partitions to the readers of a group.
//!
//! All calls block the calling thread for at most the timeout they are given, or the transport's own documented
//! timeout; asynchronous callers use a blocking thread. Code above this module does not know which transport it uses:
//! `memory` for simulation and tests, `kafka` for everything else (the embedded broker also speaks the Kafka protocol).
//!
//! ```text
//! Source:  open_sources → poll* (Batch … Lost … Batch, Finished for each bounded range) → drop
//! Sink:    open_sink → [begin] → write* → flush | commit | abort → drop
//! Member:  join_group → poll* (Assigned … Revoked → release … Assigned …) → drop, which leaves the group
//! ```

mod admin;
mod columns;
mod doorbell;
mod error;
pub mod faults;
pub mod kafka;
mod lost;
mod member;
pub mod memory;
mod position;
mod sink;
mod source;
mod topic_id;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use self::admin::{Admin, Extent, Glance, NewTopic, TopicInfo, Watermarks};
pub use self::doorbell::Doorbell;
pub use self::error::{TransportError, TransportErrorKind};
pub use self::lost::{LossCause, Lost};
pub use self::member::{GroupPlan, Member, MemberEvent, Membership};
pub use self::position::Position;
pub use self::sink::{Sink, SinkOptions};
pub use self::source::{Isolation, ReadPlan, ReadRange, Source, SourceEvent};
pub use self::topic_id::{NotAnId, TopicId, TopicIds};
use headwater_formats::record::TopicPartition;

use crate::schemas::{NoSchemas, Schemas};

/// A cluster, real or simulated.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Topics, offsets and settings of the cluster.
    fn admin(&self) -> &dyn Admin;

    /// Opens one source for each plan. The sources share one connection to each broker and may be used by different
    /// threads. A topic or partition that does not exist is reported here or by the first poll. If the ranges of all
    /// plans are empty, no request is sent.
    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError>;

    /// Opens a doorbell at the next offset to read of each partition. It rings when a reader of committed records would
    /// find something there, or when the log no longer reaches that offset.
    fn doorbell(&self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError>;

    /// Joins a consumer group, which assigns the partitions of its topics to its members. A member reads its partitions
    /// through separate sources; the group only says which ones. A topic that does not exist is reported here;
    /// [`Member::poll`] returns the first assignment.
    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError>;

    /// Opens a sink.
    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError>;

    /// The schemas of its records.
    fn schemas(&self) -> Arc<dyn Schemas> {
        Arc::new(NoSchemas)
    }
}
