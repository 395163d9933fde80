//! From the number of an API to its handler.
//!
//! Separate because every request is found in this one list, in the order of the documentation. A request is answered
//! in one of three ways: immediately; on a thread that may block on the disk; or after waiting for an event.

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::answer::Answer;
use super::fetched::write_fetched;
use super::wire::{Route, WireError, read_body, write_answer};
use crate::api::{
    self, Call, absent, cluster, configs, consumer_groups, fetch, group_admin, group_offsets, log_dirs, membership,
    offsets, produce, quorum, topics, transaction_admin, transactions, versions,
};
use crate::log::Slice;

type Answered = Result<Option<Answer>, WireError>;

/// Answers a request; `None` if the client wants no response.
pub(super) async fn answer(call: &Call, route: Route, frame: Bytes) -> Answered {
    let ask = Ask { call, route, frame };
    match route.key {
        ApiKey::Produce => ask.produce().await,
        ApiKey::Fetch => {
            let request = ask.read()?;
            write_fetched(route, fetch::fetch(call, request).await).map(Some)
        }
        ApiKey::JoinGroup => {
            let request = ask.read()?;
            ask.write(&membership::join(call, request).await)
        }
        ApiKey::SyncGroup => {
            let request = ask.read()?;
            ask.write(&membership::sync(call, request).await)
        }
        ApiKey::ApiVersions => ask.api_versions(),
        _ => answer_directly(ask).await,
    }
}

async fn answer_directly(ask: Ask<'_>) -> Answered {
    match ask.route.key {
        ApiKey::ListOffsets => ask.on_disk(offsets::list).await,
        ApiKey::Metadata => ask.on_disk(cluster::metadata).await,
        ApiKey::OffsetCommit => ask.on_disk(group_offsets::commit).await,
        ApiKey::OffsetFetch => ask.at_once(group_offsets::fetch),
        ApiKey::FindCoordinator => ask.at_once(cluster::find_coordinator),
        ApiKey::Heartbeat => ask.at_once(membership::heartbeat),
        ApiKey::LeaveGroup => ask.at_once(membership::leave),
        ApiKey::ConsumerGroupHeartbeat => ask.at_once(consumer_groups::heartbeat),
        ApiKey::ConsumerGroupDescribe => ask.at_once(consumer_groups::describe),
        ApiKey::DescribeGroups => ask.at_once(group_admin::describe),
        ApiKey::ListGroups => ask.at_once(group_admin::list),
        ApiKey::CreateTopics => ask.on_disk(topics::create).await,
        ApiKey::DeleteTopics => ask.on_disk(topics::delete).await,
        ApiKey::DeleteRecords => ask.on_disk(topics::delete_records).await,
        ApiKey::InitProducerId => ask.on_disk(transactions::init_producer_id).await,
        ApiKey::OffsetForLeaderEpoch => ask.at_once(offsets::for_leader_epoch),
        ApiKey::AddPartitionsToTxn => ask.on_disk(transactions::add_partitions).await,
        ApiKey::AddOffsetsToTxn => ask.on_disk(transactions::add_offsets).await,
        ApiKey::EndTxn => ask.on_disk(transactions::end).await,
        ApiKey::TxnOffsetCommit => ask.at_once(transactions::commit_offsets),
        ApiKey::DescribeConfigs => ask.at_once(configs::describe),
        ApiKey::AlterConfigs => ask.on_disk(configs::alter).await,
        ApiKey::DescribeLogDirs => ask.on_disk(log_dirs::describe).await,
        ApiKey::CreatePartitions => ask.on_disk(topics::create_partitions).await,
        ApiKey::DeleteGroups => ask.on_disk(group_admin::delete).await,
        ApiKey::IncrementalAlterConfigs => ask.on_disk(configs::alter_incrementally).await,
        ApiKey::OffsetDelete => ask.on_disk(group_offsets::delete).await,
        ApiKey::ListPartitionReassignments => ask.at_once(absent::reassignments),
        ApiKey::ElectLeaders => ask.at_once(absent::elect_leaders),
        ApiKey::DescribeClientQuotas => ask.at_once(absent::quotas),
        ApiKey::DescribeUserScramCredentials => ask.at_once(absent::credentials),
        ApiKey::DescribeAcls => ask.at_once(absent::access_lists),
        ApiKey::ListConfigResources => ask.at_once(absent::config_resources),
        ApiKey::DescribeQuorum => ask.at_once(quorum::describe),
        ApiKey::DescribeCluster => ask.at_once(cluster::describe),
        ApiKey::DescribeProducers => ask.at_once(transaction_admin::describe_producers),
        ApiKey::DescribeTransactions => ask.at_once(transaction_admin::describe_transactions),
        ApiKey::ListTransactions => ask.at_once(transaction_admin::list_transactions),
        key => Err(WireError::Unsupported { key: key as i16, version: ask.route.version }),
    }
}

/// A request that is being dispatched.
struct Ask<'a> {
    call: &'a Call,
    route: Route,
    frame: Bytes,
}

impl Ask<'_> {
    fn read<T: Decodable>(&self) -> Result<T, WireError> {
        read_body(&mut self.frame.clone(), self.route)
    }

    fn write<T: Encodable>(&self, answer: &T) -> Answered {
        self.write_version(answer, self.route.version)
    }

    fn write_version<T: Encodable>(&self, answer: &T, version: i16) -> Answered {
        let frame = write_answer(self.route, answer, version)?;
        Ok(Some(Answer::new(vec![Slice::Bytes(frame.freeze())])))
    }

    fn at_once<Q: Decodable, A: Encodable>(self, handle: impl FnOnce(&Call, Q) -> A) -> Answered {
        let request = self.read()?;
        self.write(&handle(self.call, request))
    }

    async fn on_disk<Q, A>(self, handle: impl FnOnce(&Call, Q) -> A + Send + 'static) -> Answered
    where
        Q: Decodable + Send + 'static,
        A: Encodable + Send + 'static,
    {
        let request: Q = self.read()?;
        let call = self.call.clone();
        let answer = api::on_disk(&self.call.core, move || handle(&call, request)).await;
        self.write(&answer)
    }

    async fn produce(self) -> Answered {
        let request: kafka_protocol::messages::ProduceRequest = self.read()?;
        let wants_answer = request.acks != 0;
        let answer = self.on_disk(produce::produce).await?;
        Ok(answer.filter(|_| wants_answer))
    }

    /// An unsupported version of ApiVersions is answered in version 0, with the supported versions.
    fn api_versions(self) -> Answered {
        let known = super::API_VERSIONS.offers(self.route.version);
        let version = if known { self.route.version } else { 0 };
        self.write_version(&versions::versions(known), version)
    }
}
