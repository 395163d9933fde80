//! The closed list of things that can happen to what the broker knows.
//!
//! Apart because it is what stands in the journal: a variant may be added, but what was written once
//! must be readable for ever.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::Extent;
use crate::topic_partition::TopicPartition;

/// Where a group goes on in a partition.
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

/// A transaction whose outcome is decided: what is left to do until it has ended everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecidedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) commit: bool,
    pub(crate) partitions: Vec<TopicPartition>,
    /// Offsets by group, only when it commits.
    pub(crate) offsets: BTreeMap<String, Vec<PartitionOffset>>,
}

/// One change. One that this version does not know, or a field of one, is refused and never skipped: what it means
/// for the others is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Change {
    /// The cluster's id, with the version of Headwater that writes what follows and the format that it uses; earlier
    /// versions wrote neither.
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
