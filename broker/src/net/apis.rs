//! The APIs that the broker supports, with their versions: this list is shown to clients, and requests are checked
//! against it.
//!
//! Separate because it is a table. Some APIs stop below Kafka's newest version: Fetch 12, AddPartitionsToTxn 3 and
//! EndTxn 3 are the last versions without topic ids, mandatory fetch sessions and the second transaction protocol. All
//! clients negotiate down to them. The lower bounds are those of the codecs, because some clients look only at the
//! upper bounds.

use kafka_protocol::messages::ApiKey;

/// An API with its supported versions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) min: i16,
    pub(crate) max: i16,
    /// The minimum version shown to clients. It is lower than `min` only for Produce, because librdkafka 2.0 sends
    /// everything uncompressed if a broker does not support Produce 0. No client sends those versions.
    pub(crate) advertised_min: i16,
}

/// ApiVersions; a request in an unsupported version is answered in version 0.
pub(crate) const API_VERSIONS: Api = api(ApiKey::ApiVersions, 0, 4);

/// All APIs, sorted by number.
pub(crate) const APIS: &[Api] = &[
    Api { advertised_min: 0, ..api(ApiKey::Produce, 3, 9) },
    api(ApiKey::Fetch, 4, 12),
    api(ApiKey::ListOffsets, 1, 7),
    api(ApiKey::Metadata, 0, 12),
    api(ApiKey::OffsetCommit, 2, 9),
    api(ApiKey::OffsetFetch, 1, 9),
    api(ApiKey::FindCoordinator, 0, 4),
    api(ApiKey::JoinGroup, 0, 9),
    api(ApiKey::Heartbeat, 0, 4),
    api(ApiKey::LeaveGroup, 0, 5),
    api(ApiKey::SyncGroup, 0, 5),
    api(ApiKey::DescribeGroups, 0, 6),
    api(ApiKey::ListGroups, 0, 5),
    API_VERSIONS,
    api(ApiKey::CreateTopics, 2, 7),
    api(ApiKey::DeleteTopics, 1, 6),
    api(ApiKey::DeleteRecords, 0, 2),
    api(ApiKey::InitProducerId, 0, 4),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4),
    api(ApiKey::AddPartitionsToTxn, 0, 3),
    api(ApiKey::AddOffsetsToTxn, 0, 3),
    api(ApiKey::EndTxn, 0, 3),
    api(ApiKey::TxnOffsetCommit, 0, 3),
    api(ApiKey::DescribeAcls, 1, 3),
    api(ApiKey::DescribeConfigs, 1, 4),
    api(ApiKey::AlterConfigs, 0, 2),
    api(ApiKey::DescribeLogDirs, 1, 4),
    api(ApiKey::CreatePartitions, 0, 3),
    api(ApiKey::DeleteGroups, 0, 2),
    api(ApiKey::ElectLeaders, 0, 2),
    api(ApiKey::IncrementalAlterConfigs, 0, 1),
    api(ApiKey::ListPartitionReassignments, 0, 0),
    api(ApiKey::OffsetDelete, 0, 0),
    api(ApiKey::DescribeClientQuotas, 0, 1),
    api(ApiKey::DescribeUserScramCredentials, 0, 0),
    api(ApiKey::DescribeQuorum, 0, 2),
    api(ApiKey::DescribeCluster, 0, 1),
    api(ApiKey::DescribeProducers, 0, 0),
    api(ApiKey::DescribeTransactions, 0, 0),
    api(ApiKey::ListTransactions, 0, 1),
    api(ApiKey::ConsumerGroupHeartbeat, 0, 1),
    api(ApiKey::ConsumerGroupDescribe, 0, 1),
    api(ApiKey::ListConfigResources, 0, 1),
];

const fn api(key: ApiKey, min: i16, max: i16) -> Api {
    Api { key, min, max, advertised_min: min }
}

impl Api {
    /// The API with a number, if it is supported.
    pub(crate) fn find(key: i16) -> Option<&'static Api> {
        APIS.iter().find(|api| api.key as i16 == key)
    }

    pub(crate) fn offers(&self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_within_what_the_codecs_can() {
        assert!(APIS.windows(2).all(|pair| (pair[0].key as i16) < (pair[1].key as i16)));
        for api in APIS {
            let can = api.key.valid_versions();
            assert!(can.min <= api.min && api.max <= can.max, "{:?}", api.key);
            let shaped = super::super::shapes::shape(api.key).is_some();
            assert!(shaped || api.key == ApiKey::ApiVersions, "{:?} has no shape", api.key);
        }
    }
}
