//! A member of a consumer group, with its own client that reads nothing.
//!
//! librdkafka serves the group on its own thread and reports events through callbacks of [`Rebalances`], which run inside
//! `poll`. Only the eager protocol has the steps that [`Member`] promises: everything is revoked before anything is
//! assigned.
//!
//! [`Rebalances`]: super::rebalances::Rebalances

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_formats::record::TopicPartition;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::connection::{self, ANSWER_TIMEOUT, SERVED_MAX, while_changing};
use super::context::{Context, Watch};
use super::properties::{Properties, Role, invalid};
use super::{committed, errors};
use crate::transport::{GroupPlan, Member, MemberEvent, Membership, Position, TransportError, TransportErrorKind};

/// Maximum single wait, so that callbacks are served regularly.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// How long a broker may not know a topic before the topic counts as deleted: brokers learn of a new topic one after
/// the other.
const GONE_MAX: Duration = Duration::from_secs(3);

/// A member of a group.
pub(super) struct KafkaMember {
    consumer: BaseConsumer<Context>,
    watch: Arc<Watch>,
    plan: GroupPlan,
    doing: String,
    /// When a broker said that it does not know one of the topics.
    topic_missed_at: Option<Instant>,
}

impl KafkaMember {
    /// Creates the client and starts to join the group.
    pub(super) fn join(properties: &Properties, plan: GroupPlan) -> Result<Self, TransportError> {
        check_eager(properties)?;
        let doing = format!("group \"{}\" could not be joined", plan.group);
        let (consumer, watch) =
            connection::open::<BaseConsumer<Context>>(properties, &Role::Member(plan.group.clone()))?;
        let topics: Vec<&str> = plan.topics.iter().map(|topic| &**topic).collect();
        consumer.subscribe(&topics).map_err(|error| errors::call_failed(&doing, &error))?;
        Ok(Self { consumer, watch, plan, doing, topic_missed_at: None })
    }

    /// Serves what arrived, waiting at most `wait` for something. With a broker down, much of it is log lines, which
    /// must not delay the group's events.
    fn next_event(&mut self, wait: Duration) -> Result<Option<Result<MemberEvent, TransportError>>, TransportError> {
        for wait in [wait].into_iter().chain([Duration::ZERO; SERVED_MAX]) {
            if let Some(Err(error)) = self.consumer.poll(wait) {
                self.check(&error)?;
            }
            if let Some(event) = self.watch.rebalances().take_event() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Errors that end the membership. librdkafka reconnects and finds a new coordinator by itself.
    fn check(&mut self, error: &KafkaError) -> Result<(), TransportError> {
        let Some(code) = error.rdkafka_error_code() else { return Ok(()) };
        match errors::kind_of(code) {
            TransportErrorKind::UnknownTopic => {
                self.topic_missed_at.get_or_insert_with(Instant::now);
                Ok(())
            }
            _ if is_temporary(code) => Ok(()),
            _ => Err(errors::failed(&self.doing, code)),
        }
    }

    /// Looks up the topics when one of them has been missing for a while.
    fn check_topics(&mut self) -> Result<(), TransportError> {
        if self.topic_missed_at.is_none_or(|at| at.elapsed() < GONE_MAX) {
            return Ok(());
        }
        for topic in &self.plan.topics {
            let found = self.consumer.fetch_metadata(Some(topic), ANSWER_TIMEOUT);
            let code = found.ok().and_then(|found| found.topics().first().and_then(|topic| topic.error()));
            if code.is_some_and(|code| errors::kind_of(code.into()) == TransportErrorKind::UnknownTopic) {
                return Err(TransportError::unknown_topic(topic));
            }
        }
        self.topic_missed_at = None;
        Ok(())
    }
}

impl Member for KafkaMember {
    fn poll(&mut self, timeout: Duration) -> Result<Option<MemberEvent>, TransportError> {
        let begun = Instant::now();
        loop {
            let left = timeout.saturating_sub(begun.elapsed());
            if let Some(event) = self.next_event(left.min(WAIT_MAX))? {
                return event.map(Some);
            }
            self.check_topics()?;
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    fn release(&mut self) -> Result<(), TransportError> {
        if !self.watch.rebalances().release() {
            return Err(TransportError::invalid(format!(
                "no partitions are revoked from this member of group \"{}\"",
                self.plan.group
            )));
        }
        let doing = format!("the partitions of group \"{}\" could not be released", self.plan.group);
        self.consumer.unassign().map_err(|error| errors::call_failed(&doing, &error))
    }

    fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) -> Result<(), TransportError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let doing = format!("the offsets of group \"{}\" could not be committed", self.plan.group);
        let committed = committed::list(offsets)
            .and_then(|list| while_changing(ANSWER_TIMEOUT, || self.consumer.commit(&list, CommitMode::Sync)));
        committed.map_err(|error| errors::call_failed(&doing, &error))
    }

    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError> {
        let found = while_changing(ANSWER_TIMEOUT, || committed::of_group(&self.consumer, partitions));
        found.map_err(|error| {
            let mut failed = errors::call_failed(&committed::doing(&self.plan.group), &error);
            let told = failed.kind == TransportErrorKind::Timeout && self.watch.add_cause(&mut failed);
            if told { failed } else { committed::held_back(failed) }
        })
    }

    fn refresh(&mut self) -> Result<(), TransportError> {
        // librdkafka checks the metadata of its topics only when it receives the metadata of all topics.
        let doing = format!("the topics of group \"{}\" could not be looked up", self.plan.group);
        let found = self.consumer.fetch_metadata(None, ANSWER_TIMEOUT);
        found.map(drop).map_err(|error| errors::call_failed(&doing, &error))
    }

    fn membership(&self) -> Membership {
        Membership::of_member(&self.plan.group, self.watch.rebalances().generation())
    }
}

impl Drop for KafkaMember {
    /// The client closes itself when it is dropped, and waits until everything is released.
    fn drop(&mut self) {
        let releasing = {
            let mut rebalances = self.watch.rebalances();
            rebalances.leave();
            rebalances.release()
        };
        if releasing && let Err(error) = self.consumer.unassign() {
            tracing::debug!(group = self.plan.group, %error, "partitions were not released");
        }
    }
}

/// Errors that librdkafka recovers from by itself: it finds the coordinator again, or rejoins.
fn is_temporary(code: Code) -> bool {
    let connection = matches!(
        errors::kind_of(code),
        TransportErrorKind::Unreachable
            | TransportErrorKind::Timeout
            | TransportErrorKind::Authentication
            | TransportErrorKind::Tls
    );
    let group = matches!(
        code,
        Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::NotCoordinator
            | Code::WaitingForCoordinator
            | Code::RebalanceInProgress
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::PollExceeded
    );
    connection || group
}

/// Rejects protocols that revoke partitions one by one.
fn check_eager(properties: &Properties) -> Result<(), TransportError> {
    let bad = [("partition.assignment.strategy", "cooperative"), ("group.protocol", "consumer")];
    for (name, mark) in bad {
        if let Some(value) = properties.value(name).filter(|value| value.to_lowercase().contains(mark)) {
            let fact = format!("\"{name}\"=\"{value}\" cannot be used with persistent queries: their groups rebalance");
            return Err(invalid(name, format!("{fact} by the assignor range or roundrobin of the classic protocol")));
        }
    }
    Ok(())
}
