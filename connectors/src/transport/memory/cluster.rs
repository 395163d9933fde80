//! The state of a simulated cluster: topics, transactional ids and groups. It changes only by calls, never by time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_formats::record::{RecordLimits, TopicPartition, partitioner};

use super::group::{Group, MemberGeneration, MemberId};
use super::log::{Log, Record, TransactionId};
use crate::transport::{
    GroupPlan, Membership, NewTopic, Position, TopicId, TopicInfo, TransportError, TransportErrorKind,
};

/// The setting with the maximum size of a record, in bytes.
const BYTES_MAX: &str = "max.message.bytes";

/// The state of a cluster.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// The timestamp of records that are written without one, in ms.
    pub now_ms: i64,
    topics: BTreeMap<String, Topic>,
    topics_made: u128,
    owners: BTreeMap<String, Owner>,
    transactions_begun: TransactionId,
    groups: BTreeMap<String, Group>,
}

#[derive(Debug)]
struct Topic {
    id: TopicId,
    info: TopicInfo,
    settings: BTreeMap<String, String>,
    logs: Vec<Log>,
    /// Number of records without a key so far, which are distributed round-robin.
    keyless: usize,
    /// Values that contain these bytes are rejected.
    refused: Option<Vec<u8>>,
}

/// The owner of a transactional id, and the open transaction if there is one.
#[derive(Debug, Default)]
struct Owner {
    epoch: u64,
    open: Option<Transaction>,
}

#[derive(Debug)]
struct Transaction {
    id: TransactionId,
    written: BTreeSet<TopicPartition>,
}

/// The right to write with a transactional id, until someone else acquires it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub transactional_id: String,
    epoch: u64,
}

impl Cluster {
    /// All topics by name.
    pub(super) fn topics(&self) -> Vec<TopicInfo> {
        self.topics.values().map(|topic| topic.info.clone()).collect()
    }

    /// One topic.
    pub(super) fn topic(&self, name: &str) -> Option<&TopicInfo> {
        self.topics.get(name).map(|topic| &topic.info)
    }

    /// The settings of a topic.
    pub(super) fn settings(&self, topic: &str) -> Result<&BTreeMap<String, String>, TransportError> {
        self.topics.get(topic).map(|topic| &topic.settings).ok_or_else(|| TransportError::unknown_topic(topic))
    }

    /// Changes a setting of a topic.
    pub(super) fn set(&mut self, topic: &str, name: &str, value: &str) -> Result<(), TransportError> {
        let found = self.topics.get_mut(topic).ok_or_else(|| TransportError::unknown_topic(topic))?;
        found.settings.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Makes a topic reject values that contain these bytes.
    pub(super) fn refuse(&mut self, topic: &str, bytes: &[u8]) -> Result<(), TransportError> {
        self.topics.get_mut(topic).ok_or_else(|| TransportError::unknown_topic(topic))?.refused = Some(bytes.to_vec());
        Ok(())
    }

    /// The limits of a topic for its records, from its settings.
    pub(super) fn limits(&self, topic: &str) -> Result<RecordLimits, TransportError> {
        let settings = self.settings(topic)?;
        let bytes = settings.get(BYTES_MAX).and_then(|bytes| bytes.parse().ok());
        let deletes = settings.get("cleanup.policy").is_none_or(|policy| policy.contains("delete"));
        Ok(RecordLimits {
            bytes_max: bytes,
            batch_bytes_max: bytes,
            retention_ms: settings.get("retention.ms").and_then(|ms| ms.parse().ok()).filter(|ms| *ms >= 0 && deletes),
            needs_key: settings.get("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            ..RecordLimits::default()
        })
    }

    /// Fails when a topic rejects a record.
    fn check_taken(&self, topic: &str, record: &Record) -> Result<(), TransportError> {
        let limits = self.limits(topic)?;
        let length = |payload: &Option<Vec<u8>>| payload.as_ref().map_or(0, Vec::len);
        let bytes = length(&record.key) + length(&record.value);
        let refused = self.topics.get(topic).and_then(|topic| topic.refused.as_deref());
        let holds = |bytes: &[u8]| record.value.as_ref().is_some_and(|v| v.windows(bytes.len()).any(|w| w == bytes));
        let why = if limits.bytes_max.is_some_and(|most| bytes > most) {
            "message size too large"
        } else if limits.needs_key && record.key.is_none() {
            "invalid record: it has no key"
        } else if refused.is_some_and(holds) {
            "invalid record"
        } else {
            return Ok(());
        };
        Err(TransportError::refused(format!("a record could not be written to topic \"{topic}\": {why}")))
    }

    /// Creates a topic.
    pub(super) fn create(&mut self, new: &NewTopic) -> Result<(), TransportError> {
        if self.topics.contains_key(&new.name) {
            let fact = format!("topic \"{}\" already exists", new.name);
            return Err(TransportError::new(TransportErrorKind::TopicExists, fact));
        }
        let partitions = usize::try_from(new.partitions).ok().filter(|partitions| *partitions > 0);
        let partitions = partitions
            .ok_or_else(|| TransportError::invalid(format!("topic \"{}\" needs at least one partition", new.name)))?;
        let info =
            TopicInfo { name: new.name.clone(), partitions: new.partitions, replicas: new.replicas.unwrap_or(1) };
        let logs = std::iter::repeat_with(Log::default).take(partitions).collect();
        self.topics_made += 1;
        let id = TopicId(self.topics_made);
        let settings = new.settings.clone();
        self.topics.insert(new.name.clone(), Topic { id, info, settings, logs, keyless: 0, refused: None });
        Ok(())
    }

    /// The id of a topic.
    pub(super) fn topic_id(&self, name: &str) -> Result<TopicId, TransportError> {
        self.topics.get(name).map(|topic| topic.id).ok_or_else(|| TransportError::unknown_topic(name))
    }

    /// Adds partitions until there are `partitions` of them.
    pub(super) fn grow(&mut self, name: &str, partitions: i32) -> Result<(), TransportError> {
        let topic = self.topics.get_mut(name).ok_or_else(|| TransportError::unknown_topic(name))?;
        let wanted = usize::try_from(partitions).unwrap_or(0).max(topic.logs.len());
        topic.logs.resize_with(wanted, Log::default);
        topic.info.partitions = topic.info.partitions.max(partitions);
        Ok(())
    }

    /// Drops the committed offsets of a group, as when they expire.
    pub(super) fn forget_offsets(&mut self, group: &str) {
        self.group(group).forget_offsets();
    }

    /// Begins a rebalance when the group's topics have new partitions.
    pub(super) fn refresh(&mut self, group: &str) {
        let partitions = |topic: &str| self.topics.get(topic).map_or(0, |topic| topic.info.partitions);
        if let Some(group) = self.groups.get_mut(group) {
            group.refresh(partitions);
            group.settle(partitions);
        }
    }

    /// Deletes a topic and its records.
    pub(super) fn delete(&mut self, name: &str) -> Result<(), TransportError> {
        self.topics.remove(name).map(drop).ok_or_else(|| TransportError::unknown_topic(name))
    }

    /// The logs of a topic.
    pub(super) fn logs(&self, topic: &str) -> Result<&[Log], TransportError> {
        self.topics.get(topic).map(|topic| topic.logs.as_slice()).ok_or_else(|| TransportError::unknown_topic(topic))
    }

    /// The log of a partition.
    pub(super) fn log(&self, partition: &TopicPartition) -> Result<&Log, TransportError> {
        let logs = self.logs(&partition.topic)?;
        let at = usize::try_from(partition.partition).ok();
        at.and_then(|at| logs.get(at)).ok_or_else(|| no_partition(partition))
    }

    /// The log of a partition, for changes.
    pub(super) fn log_mut(&mut self, partition: &TopicPartition) -> Result<&mut Log, TransportError> {
        let topic =
            self.topics.get_mut(&*partition.topic).ok_or_else(|| TransportError::unknown_topic(&partition.topic))?;
        let at = usize::try_from(partition.partition).ok();
        at.and_then(|at| topic.logs.get_mut(at)).ok_or_else(|| no_partition(partition))
    }

    /// The partition of a record that does not name one.
    pub(super) fn partition_for(&mut self, topic: &str, key: Option<&[u8]>) -> Result<i32, TransportError> {
        let topic = self.topics.get_mut(topic).ok_or_else(|| TransportError::unknown_topic(topic))?;
        let partitions = topic.info.partitions;
        Ok(match key {
            Some(key) => partitioner::partition_of(key, partitions),
            None => {
                topic.keyless += 1;
                let at = (topic.keyless - 1) % topic.logs.len();
                i32::try_from(at).expect("less than the number of partitions")
            }
        })
    }

    /// Appends a record, in the transaction that is open under `claim` if there is one.
    pub(super) fn append(
        &mut self,
        claim: Option<&Claim>,
        partition: &TopicPartition,
        record: Record,
    ) -> Result<(), TransportError> {
        self.log(partition)?;
        self.check_taken(&partition.topic, &record)?;
        let transaction = match claim {
            None => None,
            Some(claim) => {
                let open = self.owner(claim)?.open.as_mut();
                let open =
                    open.ok_or_else(|| TransportError::invalid("records cannot be written: no transaction has begun"))?;
                open.written.insert(partition.clone());
                Some(open.id)
            }
        };
        self.log_mut(partition)?.append(record, transaction);
        Ok(())
    }

    /// Acquires a transactional id; an open transaction of its former owner is aborted.
    pub(super) fn claim(&mut self, transactional_id: String) -> Claim {
        let owner = self.owners.entry(transactional_id.clone()).or_default();
        owner.epoch += 1;
        let (epoch, left) = (owner.epoch, owner.open.take());
        if let Some(transaction) = left {
            self.end(transaction, false);
        }
        Claim { transactional_id, epoch }
    }

    /// Begins a transaction.
    pub(super) fn begin(&mut self, claim: &Claim) -> Result<(), TransportError> {
        let id = self.transactions_begun + 1;
        let owner = self.owner(claim)?;
        if owner.open.is_some() {
            return Err(TransportError::invalid("a transaction cannot begin: a transaction is already open"));
        }
        owner.open = Some(Transaction { id, written: BTreeSet::new() });
        self.transactions_begun = id;
        Ok(())
    }

    /// Commits the open transaction together with `offsets`. If this fails, nothing is committed and the transaction
    /// stays open.
    pub(super) fn commit(
        &mut self,
        claim: &Claim,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
    ) -> Result<(), TransportError> {
        self.check_open(claim)?;
        self.check_member(membership, offsets)?;
        self.group(membership.group()).commit(offsets);
        self.finish(claim, true)
    }

    /// Commits offsets outside of any transaction.
    pub(super) fn commit_outside(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
    ) -> Result<(), TransportError> {
        self.check_member(membership, offsets)?;
        self.group(membership.group()).commit(offsets);
        Ok(())
    }

    /// Aborts the open transaction.
    pub(super) fn abort(&mut self, claim: &Claim) -> Result<(), TransportError> {
        self.finish(claim, false)
    }

    /// Adds a member to a group.
    pub(super) fn join(&mut self, plan: &GroupPlan, process: &Arc<str>) -> Result<MemberId, TransportError> {
        self.check_topics(plan)?;
        let member = self.group(&plan.group).join(plan.topics.clone(), Arc::clone(process));
        self.settle(&plan.group);
        Ok(member)
    }

    /// Removes a member.
    pub(super) fn leave(&mut self, group: &str, member: MemberId) {
        self.group(group).leave(member);
        self.settle(group);
    }

    /// Confirms that a member released what was revoked; false if nothing was.
    pub(super) fn release(&mut self, group: &str, member: MemberId) -> bool {
        let released = self.group(group).release(member);
        self.settle(group);
        released
    }

    /// Ends the sessions of a process in every group.
    pub(super) fn expire(&mut self, process: &str) {
        let names: Vec<_> = self.groups.keys().cloned().collect();
        for name in names {
            self.group(&name).expire(process);
            self.settle(&name);
        }
    }

    /// Fails when a topic of the plan does not exist.
    pub(super) fn check_topics(&self, plan: &GroupPlan) -> Result<(), TransportError> {
        plan.topics.iter().try_for_each(|topic| self.logs(topic).map(drop))
    }

    /// A group, created on first use.
    pub(super) fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    /// The position committed under a group.
    pub(super) fn committed(&self, group: &str, partition: &TopicPartition) -> Option<Position> {
        self.groups.get(group)?.offset(partition)
    }

    /// Number of members of a group.
    pub(super) fn members(&self, group: &str) -> usize {
        self.groups.get(group).map_or(0, Group::members)
    }

    /// The groups with members or offsets.
    pub(super) fn groups(&self) -> BTreeSet<String> {
        self.groups.iter().filter(|(_, group)| !group.is_empty()).map(|(name, _)| name.clone()).collect()
    }

    /// Deletes a group; returns false if it has members.
    pub(super) fn delete_group(&mut self, name: &str) -> bool {
        let is_deleted = self.members(name) == 0;
        if is_deleted {
            self.groups.remove(name);
        }
        is_deleted
    }

    fn settle(&mut self, group: &str) {
        let partitions = |topic: &str| self.topics.get(topic).map_or(0, |topic| topic.info.partitions);
        if let Some(group) = self.groups.get_mut(group) {
            group.settle(partitions);
        }
    }

    fn check_open(&mut self, claim: &Claim) -> Result<(), TransportError> {
        let open = self.owner(claim)?.open.as_ref();
        open.map(drop).ok_or_else(|| TransportError::invalid("no transaction has begun"))
    }

    /// As in Kafka, the group is checked only when there are offsets; a member without an assignment fails the check.
    fn check_member(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
    ) -> Result<(), TransportError> {
        let current = match membership.member::<Option<MemberGeneration>>()? {
            None => true,
            Some(None) => false,
            Some(Some(member)) => offsets.is_empty() || self.group(membership.group()).is_current(*member),
        };
        let fact = || format!("the member is not part of the current generation of group \"{}\"", membership.group());
        current.then_some(()).ok_or_else(|| TransportError::fenced(fact()))
    }

    fn finish(&mut self, claim: &Claim, committed: bool) -> Result<(), TransportError> {
        self.check_open(claim)?;
        if let Some(transaction) = self.owner(claim)?.open.take() {
            self.end(transaction, committed);
        }
        Ok(())
    }

    fn end(&mut self, transaction: Transaction, committed: bool) {
        for partition in &transaction.written {
            // A topic that was deleted meanwhile needs no marker.
            if let Ok(log) = self.log_mut(partition) {
                log.end_transaction(transaction.id, committed);
            }
        }
    }

    fn owner(&mut self, claim: &Claim) -> Result<&mut Owner, TransportError> {
        let owner = self.owners.get_mut(&claim.transactional_id).expect("a claim is created together with its owner");
        match owner.epoch == claim.epoch {
            true => Ok(owner),
            false => {
                let fact = format!("transactional id \"{}\" was acquired by another process", claim.transactional_id);
                Err(TransportError::fenced(fact))
            }
        }
    }
}

fn no_partition(partition: &TopicPartition) -> TransportError {
    TransportError::invalid(format!("topic \"{}\" does not have partition {}", partition.topic, partition.partition))
}
