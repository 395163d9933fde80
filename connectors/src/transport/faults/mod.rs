//! A transport that wraps another one, cuts its batches and makes its calls fail according to a plan.
//!
//! The plan is asked before every call: see [`Call`]. It may let the call through, refuse it (nothing happened), or
//! make it and lose the reply (it happened, but the caller does not know).
//!
//! ```
//! use std::sync::Arc;
//!
//! use headwater_connectors::transport::Transport;
//! use headwater_connectors::transport::faults::{Call, Fault, FaultyTransport, Plan};
//! use headwater_connectors::transport::memory::MemoryTransport;
//!
//! /// Topics cannot be listed.
//! struct NoTopics;
//!
//! impl Plan for NoTopics {
//!     fn fault(&self, call: Call) -> Option<Fault> {
//!         (call == Call::Topics).then_some(Fault::Refused)
//!     }
//!
//!     fn cut(&self, records: usize) -> usize {
//!         records
//!     }
//! }
//!
//! let cluster = FaultyTransport::new(Arc::new(MemoryTransport::new()), Arc::new(NoTopics));
//! assert_eq!(cluster.admin().topics().unwrap_err().message, "Topics: refused, as planned");
//! assert_eq!(cluster.admin().topic("orders"), Ok(None));
//! ```

mod admin;
mod call;
mod gate;
mod member;
mod reading;
mod sink;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use self::admin::FaultyAdmin;
pub use self::call::{Call, Fault};
use self::gate::Gate;
use self::member::FaultyMember;
use self::reading::{FaultyDoorbell, FaultySource};
use self::sink::FaultySink;
use super::{Admin, Doorbell, GroupPlan, Member, ReadPlan, Sink, SinkOptions, Source, Transport, TransportError};
use crate::schemas::Schemas;
use headwater_formats::record::TopicPartition;

/// What fails, and when.
pub trait Plan: Send + Sync {
    /// Whether this call fails, and how.
    fn fault(&self, call: Call) -> Option<Fault>;

    /// How many of the `records` available a poll returns, at least 1.
    fn cut(&self, records: usize) -> usize;
}

/// A transport that follows a plan.
pub struct FaultyTransport {
    inner: Gate<Arc<dyn Transport>>,
    admin: FaultyAdmin,
}

impl FaultyTransport {
    /// Wraps `inner`, following `plan`.
    pub fn new(inner: Arc<dyn Transport>, plan: Arc<dyn Plan>) -> Self {
        let inner = Gate::new(inner, plan);
        Self { admin: FaultyAdmin(inner.hold(inner.known(Arc::clone))), inner }
    }
}

impl fmt::Debug for FaultyTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.known(|inner| f.debug_struct("FaultyTransport").field("inner", inner).finish_non_exhaustive())
    }
}

impl Transport for FaultyTransport {
    fn admin(&self) -> &dyn Admin {
        &self.admin
    }

    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
        let opened = self.inner.call(Call::OpenSources, |inner| inner.open_sources(plans))?;
        let hold = |source| Box::new(FaultySource::new(self.inner.hold(source))) as Box<dyn Source>;
        Ok(opened.into_iter().map(hold).collect())
    }

    fn doorbell(&self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError> {
        let bell = self.inner.call(Call::OpenDoorbell, |inner| inner.doorbell(offsets))?;
        Ok(Box::new(FaultyDoorbell::new(self.inner.hold(bell))))
    }

    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError> {
        let member = self.inner.call(Call::JoinGroup, |inner| inner.join_group(plan))?;
        Ok(Box::new(FaultyMember(self.inner.hold(member))))
    }

    fn schemas(&self) -> Arc<dyn Schemas> {
        self.inner.known(|inner| inner.schemas())
    }

    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError> {
        let sink = self.inner.call(Call::OpenSink, |inner| inner.open_sink(options))?;
        Ok(Box::new(FaultySink(self.inner.hold(sink))))
    }
}
