//! The closed list of changes to the metadata.
//!
//! Separate because it is the format of the journal: variants can be added, but whatever was written once must stay
//! readable.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::kept_members::KeptMembers;
use crate::log::{Compacted, Extent};
use crate::topic_partition::TopicPartition;

/// A committed offset: where a group continues in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Option<String>,
    /// When it was committed, in ms since the Unix epoch; earlier versions did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) committed_ms: Option<i64>,
}

/// A committed offset with its partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionOffset {
    #[serde(flatten)]
    pub(crate) at: TopicPartition,
    #[serde(flatten)]
    pub(crate) committed: CommittedOffset,
}

/// Whether a group has members, as far as it decides when committed offsets expire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    /// The protocol type of the members; empty if there never were any.
    pub(crate) protocol_type: String,
    /// When the last member left, in ms since the Unix epoch; `None` while there are members, or if there never were any.
    pub(crate) empty_since_ms: Option<i64>,
}

/// What belongs to a transaction that is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenTransaction {
    /// When it began, in ms since the Unix epoch.
    pub(crate) since_ms: i64,
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// Its groups, with the offsets to commit.
    pub(crate) groups: BTreeMap<String, BTreeMap<TopicPartition, CommittedOffset>>,
}

/// A transaction whose outcome is decided, with what remains to be done until it has ended everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecidedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) commit: bool,
    pub(crate) partitions: Vec<TopicPartition>,
    /// The offsets to commit, by group; empty if the transaction is aborted.
    pub(crate) offsets: BTreeMap<String, Vec<PartitionOffset>>,
}

/// A change. A change or field that this version does not know is an error and never skipped, because later changes may
/// depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Change {
    /// The id of the cluster, with the version of Headwater that writes what follows and the format that it uses.
    /// Earlier versions wrote only the id.
    ClusterNamed {
        id: String,
        #[serde(default)]
        version: Option<String>,
        #[serde(default)]
        format: u32,
    },
    /// The broker runs on a machine that was started with this id.
    MachineStarted {
        boot_id: String,
    },
    TopicCreated {
        name: String,
        id: Uuid,
        partitions: i32,
        settings: BTreeMap<String, String>,
    },
    TopicDeleted {
        name: String,
    },
    PartitionsAdded {
        name: String,
        partitions: i32,
    },
    SettingsChanged {
        name: String,
        settings: BTreeMap<String, String>,
    },
    LogStartMoved {
        name: String,
        partition: i32,
        offset: i64,
    },
    LogExtended {
        name: String,
        partition: i32,
        extent: Extent,
    },
    LogCompacted {
        name: String,
        partition: i32,
        compacted: Compacted,
    },
    OffsetsCommitted {
        group: String,
        offsets: Vec<PartitionOffset>,
    },
    OffsetsDeleted {
        group: String,
        partitions: Vec<TopicPartition>,
    },
    /// The first member of a group has joined, or the last one has left.
    GroupMembersChanged {
        group: String,
        membership: Membership,
    },
    /// The partitions of a classic group are assigned to these members.
    GroupMembersKept {
        group: String,
        kept: KeptMembers,
    },
    GroupDeleted {
        group: String,
    },
    ProducerIdsReserved {
        next: i64,
    },
    ProducerInitialized {
        transactional_id: String,
        producer_id: i64,
        producer_epoch: i16,
        timeout_ms: i32,
    },
    /// A transaction has begun. Earlier versions wrote this, and nothing about what belongs to the transaction.
    TransactionBegun {
        transactional_id: String,
    },
    /// Partitions and groups were added to a transaction, which begins with the first ones.
    TransactionExtended {
        transactional_id: String,
        since_ms: i64,
        partitions: Vec<TopicPartition>,
        groups: Vec<String>,
    },
    /// An open transaction got offsets to commit.
    TransactionOffsetsAdded {
        transactional_id: String,
        group: String,
        offsets: Vec<PartitionOffset>,
    },
    TransactionDecided {
        transactional_id: String,
        ended: DecidedTransaction,
    },
    TransactionEnded {
        transactional_id: String,
    },
}
