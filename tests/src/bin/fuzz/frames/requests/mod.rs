//! Valid requests of every API in every version, as the bodies of frames: what mutations start from.
//!
//! Most fields are filled, with names that exist, so that a request which is still valid after a mutation does something. One file
//! for each family of APIs, as in the broker.

mod cluster;
mod configs;
mod consumer_groups;
mod groups;
mod records;
mod topics;
mod transactions;

use std::error::Error;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, GroupId, ProducerId, RequestHeader, TopicName, TransactionalId};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};

pub use self::records::{batch, fetch_request, produce_request};

/// The topic that requests are about; it has two partitions.
pub const TOPIC: &str = "target";
/// The group that they are about.
pub const GROUP: &str = "group";
/// The transactional id that they are about.
pub const TRANSACTIONAL_ID: &str = "writer";

type Failure = Box<dyn Error + Send + Sync>;
/// Whether requests could be encoded.
type Added = Result<(), Failure>;

/// A producer that the broker knows.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
}

/// Several requests of an API in one version.
pub fn of(key: i16, version: i16, known: Known) -> Result<Vec<Bytes>, Failure> {
    let api = ApiKey::try_from(key).map_err(|()| format!("API {key} is unknown"))?;
    let mut requests = Requests { version, known, bodies: Vec::new() };
    add(api, &mut requests).map_err(|error| format!("{api:?} {version}: {error}"))?;
    Ok(requests.bodies)
}

/// Adds the requests of an API, in the order of their numbers.
fn add(api: ApiKey, to: &mut Requests) -> Added {
    match api {
        ApiKey::Produce => records::produce(to),
        ApiKey::Fetch => records::fetch(to),
        ApiKey::ListOffsets => records::list_offsets(to),
        ApiKey::Metadata => cluster::metadata(to),
        ApiKey::OffsetCommit => groups::offset_commit(to),
        ApiKey::OffsetFetch => groups::offset_fetch(to),
        ApiKey::FindCoordinator => cluster::find_coordinator(to),
        ApiKey::JoinGroup => groups::join_group(to),
        ApiKey::Heartbeat => groups::heartbeat(to),
        ApiKey::LeaveGroup => groups::leave_group(to),
        ApiKey::SyncGroup => groups::sync_group(to),
        ApiKey::DescribeGroups => groups::describe_groups(to),
        ApiKey::ListGroups => groups::list_groups(to),
        ApiKey::ApiVersions => cluster::api_versions(to),
        ApiKey::CreateTopics => topics::create_topics(to),
        ApiKey::DeleteTopics => topics::delete_topics(to),
        ApiKey::DeleteRecords => topics::delete_records(to),
        ApiKey::InitProducerId => transactions::init_producer_id(to),
        ApiKey::OffsetForLeaderEpoch => records::offset_for_leader_epoch(to),
        ApiKey::AddPartitionsToTxn => transactions::add_partitions(to),
        ApiKey::AddOffsetsToTxn => transactions::add_offsets(to),
        ApiKey::EndTxn => transactions::end(to),
        ApiKey::TxnOffsetCommit => transactions::offset_commit(to),
        ApiKey::DescribeAcls => cluster::describe_acls(to),
        ApiKey::DescribeConfigs => configs::describe(to),
        ApiKey::AlterConfigs => configs::alter(to),
        ApiKey::DescribeLogDirs => topics::describe_log_dirs(to),
        ApiKey::CreatePartitions => topics::create_partitions(to),
        ApiKey::DeleteGroups => groups::delete_groups(to),
        ApiKey::ElectLeaders => topics::elect_leaders(to),
        ApiKey::IncrementalAlterConfigs => configs::alter_incrementally(to),
        ApiKey::ListPartitionReassignments => topics::list_reassignments(to),
        ApiKey::OffsetDelete => groups::offset_delete(to),
        _ => add_newer(api, to),
    }
}

fn add_newer(api: ApiKey, to: &mut Requests) -> Added {
    match api {
        ApiKey::DescribeClientQuotas => cluster::describe_client_quotas(to),
        ApiKey::DescribeUserScramCredentials => cluster::describe_user_scram_credentials(to),
        ApiKey::DescribeQuorum => cluster::describe_quorum(to),
        ApiKey::DescribeCluster => cluster::describe_cluster(to),
        ApiKey::DescribeProducers => transactions::describe_producers(to),
        ApiKey::DescribeTransactions => transactions::describe(to),
        ApiKey::ListTransactions => transactions::list(to),
        ApiKey::ConsumerGroupHeartbeat => consumer_groups::heartbeat(to),
        ApiKey::ConsumerGroupDescribe => consumer_groups::describe(to),
        ApiKey::ListConfigResources => configs::list_resources(to),
        _ => Err("there is no request of this API".into()),
    }
}

/// The requests of an API in one version, being collected.
struct Requests {
    version: i16,
    known: Known,
    bodies: Vec<Bytes>,
}

impl Requests {
    fn add<Q: Request>(&mut self, request: &Q) -> Added {
        self.bodies.push(encode(self.version, request)?);
        Ok(())
    }

    fn producer_id(&self) -> ProducerId {
        ProducerId(self.known.producer_id)
    }
}

/// The body of a frame: header and request.
pub fn encode<Q: Request>(version: i16, request: &Q) -> Result<Bytes, Failure> {
    let key = ApiKey::try_from(Q::KEY).map_err(|()| "the API is unknown")?;
    let header = RequestHeader::default()
        .with_request_api_key(Q::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(text("fuzz")));
    let mut body = BytesMut::new();
    header.encode(&mut body, key.request_header_version(version))?;
    request.encode(&mut body, version)?;
    Ok(body.freeze())
}

/// A text.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic() -> TopicName {
    TopicName(text(TOPIC))
}

fn group() -> GroupId {
    GroupId(text(GROUP))
}

fn transactional_id() -> TransactionalId {
    TransactionalId(text(TRANSACTIONAL_ID))
}
