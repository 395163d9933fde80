//! The metadata: the sum of all changes.
//!
//! Separate because it does no I/O. The journal is replayed into an image at start, and an image is turned back into
//! changes when the journal is rewritten; both must give the same image.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::change::{Change, CommittedOffset, DecidedTransaction, Membership, OpenTransaction, PartitionOffset};
use super::kept_members::KeptMembers;
use crate::log::{Compacted, Extent};
use crate::topic_partition::TopicPartition;

/// Everything that the broker knows besides records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) cluster: Option<ClusterImage>,
    /// The id of the machine's start under which the last broker ran.
    pub(crate) boot_id: Option<String>,
    pub(crate) topics: BTreeMap<String, TopicImage>,
    pub(crate) groups: BTreeMap<String, GroupImage>,
    pub(crate) next_producer_id: i64,
    pub(crate) transactional_ids: BTreeMap<String, TransactionalIdImage>,
    /// Topics that were deleted since the journal was last rewritten: their folders can be removed, unlike those of
    /// unknown topics.
    pub(crate) deleted_topics: BTreeSet<Uuid>,
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterImage {
    pub(crate) id: String,
    /// The version of Headwater that last wrote to the journal, and the format that it used.
    pub(crate) version: Option<String>,
    pub(crate) format: u32,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicImage {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    pub(crate) settings: BTreeMap<String, String>,
    /// The start offsets of logs that do not start at 0, by partition.
    pub(crate) log_starts: BTreeMap<i32, i64>,
    /// The extents of logs, by partition.
    pub(crate) log_extents: BTreeMap<i32, Extent>,
    /// What compaction has done to logs, by partition.
    pub(crate) log_compacted: BTreeMap<i32, Compacted>,
}

impl TopicImage {
    /// A new topic.
    pub(crate) fn new(id: Uuid, partitions: i32, settings: BTreeMap<String, String>) -> TopicImage {
        let (log_starts, log_extents, log_compacted) = Default::default();
        TopicImage { id, partitions, settings, log_starts, log_extents, log_compacted }
    }
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupImage {
    pub(crate) membership: Membership,
    /// The members of a classic group when partitions were assigned last; `None` if it has none.
    pub(crate) kept: Option<KeptMembers>,
    /// The committed offsets.
    pub(crate) offsets: BTreeMap<TopicPartition, CommittedOffset>,
}

/// A transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransactionalIdImage {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) timeout_ms: i32,
    /// Whether an earlier version has begun a transaction that is not decided yet.
    pub(crate) begun: bool,
    /// A transaction that is not decided yet.
    pub(crate) open: Option<OpenTransaction>,
    /// A transaction that was decided but may not have ended everywhere.
    pub(crate) decided: Option<DecidedTransaction>,
}

impl GroupImage {
    /// When the last member has left, none is kept.
    fn change_members(&mut self, membership: Membership) {
        self.kept.take_if(|_| membership.empty_since_ms.is_some());
        self.membership = membership;
    }
}

impl OpenTransaction {
    fn extend(&mut self, since_ms: i64, partitions: Vec<TopicPartition>, groups: Vec<String>) {
        self.since_ms = since_ms;
        self.partitions.extend(partitions);
        for group in groups {
            self.groups.entry(group).or_default();
        }
    }

    fn add_offsets(&mut self, group: String, offsets: Vec<PartitionOffset>) {
        let known = self.groups.entry(group).or_default();
        known.extend(offsets.into_iter().map(|offset| (offset.at, offset.committed)));
    }
}

impl TransactionalIdImage {
    /// A transactional id without a transaction.
    pub(crate) fn new(producer_id: i64, producer_epoch: i16, timeout_ms: i32) -> TransactionalIdImage {
        TransactionalIdImage { producer_id, producer_epoch, timeout_ms, begun: false, open: None, decided: None }
    }
}

impl Image {
    /// Applies a change. A change to something that does not exist has no effect.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::ClusterNamed { id, version, format } => self.cluster = Some(ClusterImage { id, version, format }),
            Change::MachineStarted { boot_id } => self.boot_id = Some(boot_id),
            Change::TopicCreated { name, id, partitions, settings } => {
                self.topics.insert(name, TopicImage::new(id, partitions, settings));
            }
            Change::TopicDeleted { name } => self.delete_topic(&name),
            Change::PartitionsAdded { name, partitions } => {
                self.change_topic(&name, |topic| topic.partitions = partitions)
            }
            Change::SettingsChanged { name, settings } => self.change_topic(&name, |topic| topic.settings = settings),
            Change::LogStartMoved { name, partition, offset } => self.change_topic(&name, |topic| {
                topic.log_starts.insert(partition, offset);
            }),
            Change::LogExtended { name, partition, extent } => self.change_topic(&name, |topic| {
                topic.log_extents.insert(partition, extent);
            }),
            Change::LogCompacted { name, partition, compacted } => self.change_topic(&name, |topic| {
                topic.log_compacted.insert(partition, compacted);
            }),
            Change::OffsetsCommitted { group, offsets } => self.commit(group, offsets),
            Change::OffsetsDeleted { group, partitions } => {
                let offsets = &mut self.groups.entry(group).or_default().offsets;
                for at in &partitions {
                    offsets.remove(at);
                }
            }
            Change::GroupMembersChanged { group, membership } => {
                self.groups.entry(group).or_default().change_members(membership);
            }
            Change::GroupMembersKept { group, kept } => {
                self.groups.entry(group).or_default().kept = Some(kept).filter(|kept| !kept.members.is_empty());
            }
            Change::GroupDeleted { group } => {
                self.groups.remove(&group);
            }
            Change::ProducerIdsReserved { next } => self.next_producer_id = next,
            Change::ProducerInitialized { transactional_id, producer_id, producer_epoch, timeout_ms } => {
                let image = TransactionalIdImage::new(producer_id, producer_epoch, timeout_ms);
                self.transactional_ids.insert(transactional_id, image);
            }
            Change::TransactionBegun { transactional_id } => {
                self.change_transaction(&transactional_id, |image| image.begun = true);
            }
            Change::TransactionExtended { transactional_id, since_ms, partitions, groups } => {
                self.change_open(&transactional_id, |open| open.extend(since_ms, partitions, groups));
            }
            Change::TransactionOffsetsAdded { transactional_id, group, offsets } => {
                self.change_open(&transactional_id, |open| open.add_offsets(group, offsets));
            }
            Change::TransactionDecided { transactional_id, ended } => self.decide(&transactional_id, ended),
            Change::TransactionEnded { transactional_id } => self.end(&transactional_id),
        }
    }

    /// The shortest list of changes that produces this image.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let mut changes: Vec<Change> = self.cluster.iter().map(cluster_change).collect();
        changes.extend(self.boot_id.clone().map(|boot_id| Change::MachineStarted { boot_id }));
        changes.push(Change::ProducerIdsReserved { next: self.next_producer_id });
        changes.extend(self.topics.iter().flat_map(|(name, topic)| topic_changes(name, topic)));
        changes.extend(self.groups.iter().flat_map(|(id, group)| group_changes(id, group)));
        changes.extend(self.transactional_ids.iter().flat_map(|(id, image)| transaction_changes(id, image)));
        changes
    }

    fn change_topic(&mut self, name: &str, change: impl FnOnce(&mut TopicImage)) {
        if let Some(topic) = self.topics.get_mut(name) {
            change(topic);
        }
    }

    fn change_transaction(&mut self, id: &str, change: impl FnOnce(&mut TransactionalIdImage)) {
        if let Some(image) = self.transactional_ids.get_mut(id) {
            change(image);
        }
    }

    fn change_open(&mut self, id: &str, change: impl FnOnce(&mut OpenTransaction)) {
        self.change_transaction(id, |image| change(image.open.get_or_insert_default()));
    }

    /// Committed offsets are deleted with their topic; otherwise a new topic of the same name would inherit them.
    fn delete_topic(&mut self, name: &str) {
        self.deleted_topics.extend(self.topics.remove(name).map(|topic| topic.id));
        for group in self.groups.values_mut() {
            group.offsets.retain(|at, _| at.topic != name);
        }
        for open in self.transactional_ids.values_mut().filter_map(|image| image.open.as_mut()) {
            open.partitions.retain(|at| at.topic != name);
            open.groups.values_mut().for_each(|offsets| offsets.retain(|at, _| at.topic != name));
        }
    }

    fn commit(&mut self, group: String, offsets: Vec<PartitionOffset>) {
        let known = self.groups.entry(group).or_default();
        known.offsets.extend(offsets.into_iter().map(|offset| (offset.at, offset.committed)));
    }

    fn decide(&mut self, transactional_id: &str, ended: DecidedTransaction) {
        self.change_transaction(transactional_id, |image| {
            image.producer_id = ended.producer_id;
            image.producer_epoch = ended.producer_epoch;
            (image.begun, image.open) = (false, None);
            image.decided = Some(ended);
        });
    }

    fn end(&mut self, transactional_id: &str) {
        let decided = self.transactional_ids.get_mut(transactional_id).and_then(|image| image.decided.take());
        for (group, offsets) in decided.map(|ended| ended.offsets).unwrap_or_default() {
            self.commit(group, offsets);
        }
    }
}

fn cluster_change(cluster: &ClusterImage) -> Change {
    let ClusterImage { id, version, format } = cluster.clone();
    Change::ClusterNamed { id, version, format }
}

fn topic_changes(name: &str, topic: &TopicImage) -> Vec<Change> {
    let TopicImage { id, partitions, settings, log_starts, log_extents, log_compacted } = topic.clone();
    let mut changes = vec![Change::TopicCreated { name: name.to_owned(), id, partitions, settings }];
    let moved = |(partition, offset)| Change::LogStartMoved { name: name.to_owned(), partition, offset };
    changes.extend(log_starts.into_iter().map(moved));
    let extended = |(partition, extent)| Change::LogExtended { name: name.to_owned(), partition, extent };
    changes.extend(log_extents.into_iter().map(extended));
    let compacted = |(partition, compacted)| Change::LogCompacted { name: name.to_owned(), partition, compacted };
    changes.extend(log_compacted.into_iter().map(compacted));
    changes
}

fn group_changes(id: &str, image: &GroupImage) -> Vec<Change> {
    let GroupImage { membership, kept, offsets } = image.clone();
    let offset = |(at, committed)| PartitionOffset { at, committed };
    let offsets = offsets.into_iter().map(offset).collect();
    let mut changes = vec![Change::OffsetsCommitted { group: id.to_owned(), offsets }];
    let had_members = membership != Membership::default();
    changes.extend(had_members.then(|| Change::GroupMembersChanged { group: id.to_owned(), membership }));
    changes.extend(kept.map(|kept| Change::GroupMembersKept { group: id.to_owned(), kept }));
    changes
}

fn transaction_changes(id: &str, image: &TransactionalIdImage) -> Vec<Change> {
    let TransactionalIdImage { producer_id, producer_epoch, timeout_ms, begun, open, decided } = image.clone();
    let transactional_id = id.to_owned();
    let mut changes = vec![Change::ProducerInitialized {
        transactional_id: transactional_id.clone(),
        producer_id,
        producer_epoch,
        timeout_ms,
    }];
    changes.extend(begun.then(|| Change::TransactionBegun { transactional_id: transactional_id.clone() }));
    changes.extend(open.into_iter().flat_map(|open| open_changes(id, open)));
    changes.extend(decided.map(|ended| Change::TransactionDecided { transactional_id, ended }));
    changes
}

fn open_changes(id: &str, open: OpenTransaction) -> Vec<Change> {
    let OpenTransaction { since_ms, partitions, groups } = open;
    let (partitions, names) = (partitions.into_iter().collect(), groups.keys().cloned().collect());
    let transactional_id = id.to_owned();
    let mut changes = vec![Change::TransactionExtended { transactional_id, since_ms, partitions, groups: names }];
    let with_offsets = groups.into_iter().filter(|(_, offsets)| !offsets.is_empty());
    changes.extend(with_offsets.map(|(group, offsets)| {
        let offsets = offsets.into_iter().map(|(at, committed)| PartitionOffset { at, committed }).collect();
        Change::TransactionOffsetsAdded { transactional_id: id.to_owned(), group, offsets }
    }));
    changes
}

#[cfg(test)]
mod tests {
    use super::super::kept_members::{KeptBytes, KeptMember};
    use super::*;

    fn offset(topic: &str, offset: i64) -> PartitionOffset {
        let committed = CommittedOffset { offset, leader_epoch: -1, metadata: None, committed_ms: Some(7) };
        PartitionOffset { at: TopicPartition::new(topic, 0), committed }
    }

    fn initialized(id: &str, producer_id: i64, producer_epoch: i16) -> Change {
        Change::ProducerInitialized { transactional_id: id.to_owned(), producer_id, producer_epoch, timeout_ms: 60_000 }
    }

    fn kept_members() -> KeptMembers {
        let member = KeptMember {
            id: "m".to_owned(),
            instance_id: Some("i".to_owned()),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: 1,
            rebalance_timeout_ms: 2,
            protocols: vec![("range".to_owned(), KeptBytes(vec![0, 0xff].into()))],
            assignment: KeptBytes(vec![0xfe].into()),
        };
        KeptMembers {
            generation: 3,
            protocol_type: "consumer".to_owned(),
            protocol: Some("range".to_owned()),
            leader: "m".to_owned(),
            members: vec![member],
        }
    }

    fn filled() -> Image {
        let mut image = Image::default();
        let ended = DecidedTransaction {
            producer_id: 5,
            producer_epoch: 1,
            commit: true,
            partitions: vec![TopicPartition::new("a", 0)],
            offsets: [("g".to_owned(), vec![offset("a", 9)])].into(),
        };
        for change in [
            Change::ClusterNamed { id: "c".to_owned(), version: Some("0.1.0".to_owned()), format: 1 },
            Change::ProducerIdsReserved { next: 1_000 },
            Change::TopicCreated { name: "a".to_owned(), id: Uuid::nil(), partitions: 2, settings: BTreeMap::new() },
            Change::LogStartMoved { name: "a".to_owned(), partition: 1, offset: 4 },
            Change::LogExtended {
                name: "a".to_owned(),
                partition: 1,
                extent: Extent { last_segment: 3, end: 7, bound: 9 },
            },
            Change::LogCompacted {
                name: "a".to_owned(),
                partition: 0,
                compacted: Compacted { round: 2, next_offset: 7, ..Compacted::default() },
            },
            Change::OffsetsCommitted { group: "g".to_owned(), offsets: vec![offset("a", 3), offset("b", 4)] },
            Change::GroupMembersChanged {
                group: "g".to_owned(),
                membership: Membership { protocol_type: "consumer".to_owned(), empty_since_ms: Some(8) },
            },
            Change::GroupMembersKept { group: "h".to_owned(), kept: kept_members() },
            initialized("t", 5, 1),
            Change::TransactionDecided { transactional_id: "t".to_owned(), ended },
            initialized("u", 6, 0),
            Change::TransactionBegun { transactional_id: "u".to_owned() },
            Change::MachineStarted { boot_id: "b".to_owned() },
            initialized("v", 7, 0),
            Change::TransactionExtended {
                transactional_id: "v".to_owned(),
                since_ms: 11,
                partitions: vec![TopicPartition::new("a", 1), TopicPartition::new("b", 0)],
                groups: vec!["g".to_owned(), "h".to_owned()],
            },
            Change::TransactionOffsetsAdded {
                transactional_id: "v".to_owned(),
                group: "g".to_owned(),
                offsets: vec![offset("a", 5)],
            },
        ] {
            image.apply(change);
        }
        image
    }

    #[test]
    fn an_image_is_the_sum_of_its_changes() {
        let image = filled();
        let mut again = Image::default();
        image.changes().into_iter().for_each(|change| again.apply(change));
        assert_eq!(again, image);
    }

    #[test]
    fn offsets_of_a_transaction_count_when_it_has_ended() {
        let mut image = filled();
        assert_eq!(image.groups["g"].offsets[&TopicPartition::new("a", 0)].offset, 3);
        image.apply(Change::TransactionEnded { transactional_id: "t".to_owned() });
        assert_eq!(image.groups["g"].offsets[&TopicPartition::new("a", 0)].offset, 9);
    }

    #[test]
    fn a_topic_takes_its_committed_offsets_with_it() {
        let mut image = filled();
        image.apply(Change::TopicDeleted { name: "a".to_owned() });
        let left: Vec<_> = image.groups["g"].offsets.keys().map(|at| at.topic.as_str()).collect();
        assert_eq!(left, ["b"]);
        let open = image.transactional_ids["v"].open.as_ref().expect("is open");
        assert_eq!(open.partitions, [TopicPartition::new("b", 0)].into());
        assert!(open.groups["g"].is_empty());
    }

    #[test]
    fn members_are_kept_until_the_last_one_has_left() {
        let mut image = filled();
        assert_eq!(image.groups["h"].kept, Some(kept_members()));
        let change = Change::GroupMembersKept { group: "h".to_owned(), kept: kept_members() };
        let line = serde_json::to_string(&change).expect("is written");
        assert_eq!(serde_json::from_str::<Change>(&line).expect("is read"), change);
        let membership = Membership { protocol_type: "consumer".to_owned(), empty_since_ms: Some(9) };
        image.apply(Change::GroupMembersChanged { group: "h".to_owned(), membership });
        assert_eq!(image.groups["h"].kept, None);
    }
}
