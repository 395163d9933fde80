//! A well-behaved client that stays connected all the time: it checks that it still gets right answers, and clears away what
//! damaged requests have validly created.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, CreateTopicsRequest, DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest,
    GroupId, InitProducerIdRequest, LeaveGroupRequest, ListGroupsRequest, MetadataRequest, ResponseHeader, TopicName,
    TransactionalId,
};
use kafka_protocol::protocol::{Decodable, Request};

use super::mutation::{CORRELATION_ID, framed};
use super::requests::{Known, TOPIC, TRANSACTIONAL_ID, batch, encode, fetch_request, produce_request, text};

type Failure = Box<dyn Error + Send + Sync>;

/// Its own topic, whose name is too far from those in requests.
const OWN_TOPIC: &str = "of-the-witness";
/// Maximum time for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Where the bytes of a batch begin that a broker does not change.
const BATCH_KEPT_FROM: usize = 16;
/// The longest timeout of a transaction.
const TRANSACTION_TIMEOUT_MS: i32 = 900_000;

/// The client.
#[derive(Debug)]
pub struct Witness {
    socket: TcpStream,
    correlation_id: i32,
    /// The end of its topic.
    end: i64,
}

impl Witness {
    /// Connects, and creates its topic and the one that requests are about.
    pub fn open(address: SocketAddr) -> Result<Self, Failure> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_MAX))?;
        let mut witness = Self { socket, correlation_id: 0, end: 0 };
        witness.create(OWN_TOPIC, 1)?;
        witness.create(TOPIC, 2)?;
        Ok(witness)
    }

    /// Every API and version that the broker offers.
    pub fn offered(&mut self) -> Result<Vec<(i16, i16)>, Failure> {
        let apis = self.call(0, &ApiVersionsRequest::default())?.api_keys;
        Ok(apis
            .iter()
            .flat_map(|api| (api.min_version..=api.max_version).map(|version| (api.api_key, version)))
            .collect())
    }

    /// A transactional producer.
    pub fn producer(&mut self) -> Result<Known, Failure> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(TRANSACTIONAL_ID))))
            .with_transaction_timeout_ms(TRANSACTION_TIMEOUT_MS);
        let answer = self.call(2, &request)?;
        succeeded("InitProducerId", answer.error_code)?;
        Ok(Known { producer_id: answer.producer_id.0, producer_epoch: answer.producer_epoch })
    }

    /// Checks that its topic exists, that a record can be written to it, and that it is read back.
    pub fn check(&mut self) -> Result<(), Failure> {
        let own = MetadataRequestTopic::default().with_name(Some(TopicName(text(OWN_TOPIC))));
        let metadata = self.call(9, &MetadataRequest::default().with_topics(Some(vec![own])))?;
        let partitions: Vec<usize> = metadata.topics.iter().map(|topic| topic.partitions.len()).collect();
        if partitions != [1] {
            return Err(format!("wrong metadata: {metadata:?}").into());
        }
        let written = batch(1, None, false)?;
        self.write(written.clone())?;
        let read = self.read()?;
        if read.get(BATCH_KEPT_FROM..) != written.get(BATCH_KEPT_FROM..) {
            return Err(format!("{written:?} was written, and {read:?} read").into());
        }
        self.end += 1;
        Ok(())
    }

    fn write(&mut self, batch: Bytes) -> Result<(), Failure> {
        let answer = self.call(9, &produce_request(TopicName(text(OWN_TOPIC)), batch))?;
        let answer = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let answer = answer.ok_or("an answer to a write without a partition")?;
        succeeded("Produce", answer.error_code)?;
        match answer.base_offset == self.end {
            true => Ok(()),
            false => Err(format!("written at {} and not at {}", answer.base_offset, self.end).into()),
        }
    }

    fn read(&mut self) -> Result<Bytes, Failure> {
        let answer = self.call(11, &fetch_request(TopicName(text(OWN_TOPIC)), self.end))?;
        let answer = answer.responses.first().and_then(|topic| topic.partitions.first());
        let answer = answer.ok_or("an answer to a fetch without a partition")?;
        succeeded("Fetch", answer.error_code)?;
        Ok(answer.records.clone().unwrap_or_default())
    }

    /// Deletes all topics except its own, and all groups, and creates the topic of the requests anew. What others create meanwhile
    /// may stay.
    pub fn clear(&mut self) -> Result<(), Failure> {
        let topics = self.call(9, &MetadataRequest::default().with_topics(None))?.topics;
        let names = topics.into_iter().filter_map(|topic| topic.name).filter(|name| name.as_str() != OWN_TOPIC);
        self.call(5, &DeleteTopicsRequest::default().with_topic_names(names.collect()).with_timeout_ms(1_000))?;
        let groups = self.call(3, &ListGroupsRequest::default())?.groups;
        let ids: Vec<GroupId> = groups.into_iter().map(|group| group.group_id).collect();
        for group in self.call(4, &DescribeGroupsRequest::default().with_groups(ids.clone()))?.groups {
            let members =
                group.members.into_iter().map(|member| MemberIdentity::default().with_member_id(member.member_id));
            self.call(3, &LeaveGroupRequest::default().with_group_id(group.group_id).with_members(members.collect()))?;
        }
        self.call(2, &DeleteGroupsRequest::default().with_groups_names(ids))?;
        self.create(TOPIC, 2)
    }

    /// Creates a topic; it may have been created by others.
    fn create(&mut self, name: &str, partitions: i32) -> Result<(), Failure> {
        const ALREADY_EXISTS: i16 = 36;
        let created = CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let answer = self.call(4, &CreateTopicsRequest::default().with_topics(vec![created]).with_timeout_ms(1_000))?;
        let codes = answer.topics.iter().map(|topic| topic.error_code).filter(|code| *code != ALREADY_EXISTS);
        succeeded("CreateTopics", codes.sum())
    }

    fn call<Q: Request>(&mut self, version: i16, request: &Q) -> Result<Q::Response, Failure> {
        let api = ApiKey::try_from(Q::KEY).map_err(|()| "an unknown API")?;
        self.correlation_id += 1;
        let mut body = encode(version, request)?.to_vec();
        body[CORRELATION_ID].copy_from_slice(&self.correlation_id.to_be_bytes());
        self.socket.write_all(&framed(body.len() as i32, &body))?;
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).map_err(|error| format!("no answer to {api:?}: {error}"))?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.socket.read_exact(&mut answer)?;
        let mut answer = Bytes::from(answer);
        let header = ResponseHeader::decode(&mut answer, api.response_header_version(version))?;
        if header.correlation_id != self.correlation_id {
            return Err(format!("an answer to {} and not to {}", header.correlation_id, self.correlation_id).into());
        }
        Ok(Q::Response::decode(&mut answer, version)?)
    }
}

fn succeeded(what: &str, code: i16) -> Result<(), Failure> {
    if code == 0 { Ok(()) } else { Err(format!("{what} failed with error {code}").into()) }
}
