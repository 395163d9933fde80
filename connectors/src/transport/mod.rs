//! Where records come from and go to: [`Source`], [`Sink`] and [`Admin`], in batches both ways, and [`Member`], which
//! says whose partitions are whose.
//!
//! All calls block the calling thread for at most the timeout they are given (or the transport's
//! own, which is named where there is one); asynchronous callers use a blocking thread. Nothing
//! above this room knows which transport it talks to: `memory` for simulation and tests, `kafka`
//! for the rest (the embedded broker speaks the Kafka protocol too).
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

/// A cluster, real or simulated.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Topics, offsets and settings of the cluster.
    fn admin(&self) -> &dyn Admin;

    /// Opens one source for each plan. The sources share one connection to each broker and may be
    /// driven by different threads. A topic or partition that does not exist is reported here or by the first
    /// poll. Plans whose ranges are all empty send no request.
    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError>;

    /// Opens a doorbell at the next offset to read of each partition. It rings when a reader of committed records would
    /// find something there, or when the log no longer reaches that offset.
    fn doorbell(&self, places: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError>;

    /// Joins a consumer group, which assigns the partitions of its topics to its members. A member reads its partitions
    /// through sources of its own; the group only says which they are. A topic that does not exist is reported here;
    /// the first partitions are returned by [`Member::poll`].
    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError>;

    /// Opens a sink.
    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError>;
}
