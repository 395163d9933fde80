//! A transport that does what another one does, with batches cut and calls failing as a plan says.
//!
//! The plan is asked before each call. It may let it through, refuse it (nothing has happened), or let
//! it through and lose the reply (it has happened, and the caller does not know).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Admin, Doorbell, GroupPlan, Member, MemberEvent, Membership, Position, ReadPlan, Sink, SinkOptions, Source,
    SourceEvent, Transport, TransportError,
};
use crate::record::{OutBatch, RawBatch, TopicPartition};

/// A call that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A sink is opened.
    OpenSink,
    /// Sources are opened.
    OpenSources,
    /// A group is joined.
    Join,
    /// A group is asked.
    Member,
    /// A source is asked.
    Poll,
    /// A transaction begins.
    Begin,
    /// Records are written.
    Write,
    /// A transaction is committed.
    Commit,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused.
    Refused,
    /// It is done and its reply is lost.
    ReplyLost,
}

/// What goes wrong, and when.
pub trait Plan: Send + Sync {
    /// Whether this call fails.
    fn fault(&self, call: Call) -> Option<Fault>;

    /// How many of so many records that are there a poll gives, at least 1.
    fn cut(&self, records: usize) -> usize;
}

/// A transport under a plan.
pub struct Twisted {
    inner: Arc<dyn Transport>,
    plan: Arc<dyn Plan>,
}

impl Twisted {
    /// Does what `inner` does, as far as `plan` lets it.
    pub fn new(inner: Arc<dyn Transport>, plan: Arc<dyn Plan>) -> Self {
        Self { inner, plan }
    }
}

impl fmt::Debug for Twisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twisted").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Makes a call under a plan.
fn twist<T>(
    plan: &Arc<dyn Plan>,
    call: Call,
    make: impl FnOnce() -> Result<T, TransportError>,
) -> Result<T, TransportError> {
    match plan.fault(call) {
        None => make(),
        Some(Fault::Refused) => Err(failed(call, "refused")),
        Some(Fault::ReplyLost) => {
            make()?;
            Err(failed(call, "reply lost"))
        }
    }
}

fn failed(call: Call, how: &str) -> TransportError {
    TransportError::timeout(format!("{call:?}: {how}, as planned"))
}

impl Transport for Twisted {
    fn admin(&self) -> &dyn Admin {
        self.inner.admin()
    }

    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
        let inner = twist(&self.plan, Call::OpenSources, || self.inner.open_sources(plans))?;
        let wrap = |inner| Box::new(TwistedSource { inner, plan: self.plan.clone(), rest: None }) as Box<dyn Source>;
        Ok(inner.into_iter().map(wrap).collect())
    }

    fn doorbell(&self, places: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError> {
        self.inner.doorbell(places)
    }

    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError> {
        let inner = twist(&self.plan, Call::Join, || self.inner.join_group(plan))?;
        Ok(Box::new(TwistedMember { inner, plan: self.plan.clone() }))
    }

    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError> {
        let inner = twist(&self.plan, Call::OpenSink, || self.inner.open_sink(options))?;
        Ok(Box::new(TwistedSink { inner, plan: self.plan.clone() }))
    }
}

struct TwistedSource {
    inner: Box<dyn Source>,
    plan: Arc<dyn Plan>,
    /// What was cut off the last batch.
    rest: Option<RawBatch>,
}

impl Source for TwistedSource {
    fn poll(&mut self, timeout: Duration) -> Result<SourceEvent, TransportError> {
        let Self { inner, plan, rest } = self;
        let whole = match rest.take() {
            Some(rest) => rest,
            None => match twist(plan, Call::Poll, || inner.poll(timeout))? {
                SourceEvent::Batch(batch) => batch,
                other => return Ok(other),
            },
        };
        let count = plan.cut(whole.len()).clamp(1, whole.len());
        *rest = (count < whole.len()).then(|| slice(&whole, count, whole.len() - count));
        Ok(SourceEvent::Batch(slice(&whole, 0, count)))
    }
}

fn slice(raw: &RawBatch, start: usize, length: usize) -> RawBatch {
    RawBatch {
        origin: raw.origin.clone(),
        offsets: raw.offsets.slice(start, length),
        timestamps_ms: raw.timestamps_ms.slice(start, length),
        keys: raw.keys.as_ref().map(|c| c.slice(start, length)),
        values: raw.values.as_ref().map(|c| c.slice(start, length)),
        value_nulls: raw.value_nulls.as_ref().map(|c| c.slice(start, length)),
        headers: raw.headers.as_ref().map(|c| c.slice(start, length)),
        payload_bytes: raw.payload_bytes,
    }
}

struct TwistedMember {
    inner: Box<dyn Member>,
    plan: Arc<dyn Plan>,
}

impl Member for TwistedMember {
    fn poll(&mut self, timeout: Duration) -> Result<Option<MemberEvent>, TransportError> {
        let Self { inner, plan } = self;
        twist(plan, Call::Member, || inner.poll(timeout))
    }

    fn release(&mut self) -> Result<(), TransportError> {
        self.inner.release()
    }

    fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) -> Result<(), TransportError> {
        let Self { inner, plan } = self;
        twist(plan, Call::Commit, || inner.commit(offsets))
    }

    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError> {
        twist(&self.plan, Call::Member, || self.inner.committed(partitions))
    }

    fn refresh(&mut self) -> Result<(), TransportError> {
        self.inner.refresh()
    }

    fn membership(&self) -> Membership {
        self.inner.membership()
    }
}

struct TwistedSink {
    inner: Box<dyn Sink>,
    plan: Arc<dyn Plan>,
}

impl Sink for TwistedSink {
    fn write(&mut self, batch: &OutBatch) -> Result<(), TransportError> {
        let Self { inner, plan } = self;
        twist(plan, Call::Write, || inner.write(batch))
    }

    fn flush(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.inner.flush(timeout)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        let Self { inner, plan } = self;
        twist(plan, Call::Begin, || inner.begin())
    }

    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError> {
        let Self { inner, plan } = self;
        twist(plan, Call::Commit, || inner.commit(membership, offsets, timeout))
    }

    fn abort(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.inner.abort(timeout)
    }
}
