//! The closed list of changes to the metadata.
//!
//! Separate because it is the format of the journal: variants can be added, but whatever was written once must stay
//! readable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::{Compacted, Extent};
use crate::topic_partition::TopicPartition;

/// A committed offset: where a group continues in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Option<String>,
}

/// A committed offset with its partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionOffset {
    #[serde(flatten)]
    pub(crate) at: TopicPartition,
    #[serde(flatten)]
    pub(crate) committed: CommittedOffset,
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
    TransactionBegun {
        transactional_id: String,
    },
    TransactionDecided {
        transactional_id: String,
        ended: DecidedTransaction,
    },
    TransactionEnded {
        transactional_id: String,
    },
}
