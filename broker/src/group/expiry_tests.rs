//! Tests of the expiry of offsets: each drives the groups of a journal by hand, with its own clock.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::super::registry::{Groups, Timeouts};
use super::super::request::{Caller, Join, Leaver, Sync};
use crate::meta::{Change, CommittedOffset, Journal, Membership, PartitionOffset};
use crate::topic_partition::TopicPartition;

const GROUP: &str = "g";
const NOBODY: Caller = Caller { member_id: String::new(), instance_id: None, generation: -1 };

/// The groups of a journal.
struct Stage {
    journal: Arc<Journal>,
    groups: Groups,
}

impl Stage {
    fn new() -> Stage {
        let journal = Arc::new(Journal::in_memory());
        Stage { groups: open(&journal, 0), journal }
    }

    /// Has the next broker open the journal.
    fn restart(&mut self, now_ms: i64) {
        self.groups = open(&self.journal, now_ms);
    }

    fn commit(&self, topic: &str, caller: &Caller, now_ms: i64) {
        self.groups.commit(GROUP, caller, &[offset(topic, Some(now_ms))], now_ms).expect("commits");
    }

    /// A member joins alone, subscribes to topics, and gets its assignment.
    async fn join(&self, protocol_type: &str, metadata: Bytes, now_ms: i64) -> Caller {
        let joined = self.groups.join(GROUP, join(protocol_type, metadata), now_ms).await;
        assert_eq!(joined.error, None);
        let caller = Caller { member_id: joined.member_id, instance_id: None, generation: joined.generation };
        let sync = Sync { caller: caller.clone(), protocol_type: None, protocol: None, assignments: Vec::new() };
        assert_eq!(self.groups.sync(GROUP, sync, now_ms).await.error, None);
        self.groups.handle_timeouts(now_ms);
        caller
    }

    fn leave(&self, caller: &Caller, now_ms: i64) {
        let leaver = Leaver { member_id: caller.member_id.clone(), instance_id: None };
        self.groups.leave(GROUP, &leaver, now_ms).expect("leaves");
        self.groups.handle_timeouts(now_ms);
    }

    /// Deletes what nobody has needed since then, and returns the topics that are left; `None` if the group is gone. The next broker
    /// must find the same.
    fn left(&self, before_ms: i64) -> Option<Vec<String>> {
        self.groups.expire_offsets(before_ms);
        let topics = |groups: &Groups| {
            groups.inspect(GROUP, |view| view.offsets.committed().keys().map(|at| at.topic.clone()).collect())
        };
        let left = topics(&self.groups);
        assert_eq!(topics(&open(&self.journal, 0)), left);
        left
    }
}

fn open(journal: &Arc<Journal>, now_ms: i64) -> Groups {
    let groups = Groups::open(journal, Timeouts::default(), &Arc::new(Notify::new()), now_ms);
    groups.handle_timeouts(now_ms);
    groups
}

fn offset(topic: &str, committed_ms: Option<i64>) -> PartitionOffset {
    let committed = CommittedOffset { offset: 1, leader_epoch: -1, metadata: None, committed_ms };
    PartitionOffset { at: TopicPartition::new(topic, 0), committed }
}

fn join(protocol_type: &str, metadata: Bytes) -> Join {
    Join {
        member_id: String::new(),
        fresh_member_id: "member".to_owned(),
        instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: protocol_type.to_owned(),
        protocols: vec![("range".to_owned(), metadata)],
        id_required: false,
        can_skip_assignment: false,
    }
}

/// The metadata of a consumer that subscribes to the topic `read`.
fn subscription() -> Bytes {
    Bytes::from_static(b"\0\x01\0\0\0\x01\0\x04read\xff\xff\xff\xff")
}

fn topics(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn without_members_ever_the_age_of_each_offset_counts() {
    let mut stage = Stage::new();
    stage.commit("old", &NOBODY, 100);
    stage.commit("new", &NOBODY, 200);
    assert_eq!(stage.left(99), topics(&["new", "old"]));
    assert_eq!(stage.left(100), topics(&["new"]));
    stage.restart(1_000);
    assert_eq!(stage.left(199), topics(&["new"]));
    stage.commit("new", &NOBODY, 300);
    assert_eq!(stage.left(299), topics(&["new"]), "it was committed again");
    assert_eq!(stage.left(300), None);
    assert!(stage.journal.read(|image| image.groups.is_empty()), "nothing is left of the group");
}

#[tokio::test]
async fn with_members_only_topics_that_they_do_not_read_expire() {
    let stage = Stage::new();
    let member = stage.join("consumer", subscription(), 0).await;
    for topic in ["read", "dropped"] {
        stage.commit(topic, &member, 100);
    }
    assert_eq!(stage.left(99), topics(&["dropped", "read"]));
    assert_eq!(stage.left(i64::MAX), topics(&["read"]));
}

/// Nothing is known of what the members of another type read, nor of what those read who just join.
#[tokio::test]
async fn what_may_be_read_does_not_expire() {
    for (protocol_type, metadata) in [("connect", subscription()), ("consumer", Bytes::from_static(b"\0\0"))] {
        let stage = Stage::new();
        let member = stage.join(protocol_type, metadata, 0).await;
        stage.commit("dropped", &member, 0);
        assert_eq!(stage.left(i64::MAX), topics(&["dropped"]), "{protocol_type}");
    }
    let stage = Stage::new();
    stage.commit("dropped", &NOBODY, 0);
    let joining = stage.groups.join(GROUP, join("consumer", subscription()), 0).await;
    assert_eq!(joining.error, None);
    assert_eq!(stage.left(i64::MAX), topics(&["dropped"]));
}

#[tokio::test]
async fn without_members_the_time_counts_from_the_last_one_even_over_restarts() {
    let mut stage = Stage::new();
    let member = stage.join("consumer", subscription(), 0).await;
    stage.commit("read", &member, 100);
    stage.leave(&member, 500);
    stage.restart(900);
    assert_eq!(stage.left(499), topics(&["read"]));
    stage.commit("read", &NOBODY, 600);
    assert_eq!(stage.left(599), topics(&["read"]));
    stage.restart(900);
    assert_eq!(stage.left(600), None);
}

#[tokio::test]
async fn members_of_the_last_broker_count_until_their_sessions_end() {
    let mut stage = Stage::new();
    let member = stage.join("consumer", subscription(), 0).await;
    stage.commit("read", &member, 100);
    for now_ms in [900, 2_000] {
        stage.restart(now_ms);
        assert_eq!(stage.left(now_ms), topics(&["read"]), "its session goes on");
    }
    stage.groups.handle_timeouts(2_000 + 10_000);
    assert_eq!(stage.left(11_999), topics(&["read"]), "the last member was there until now");
    stage.restart(50_000);
    assert_eq!(stage.left(11_999), topics(&["read"]));
    assert_eq!(stage.left(12_000), None);
}

#[test]
fn offsets_of_earlier_versions_count_from_the_first_start() {
    let mut stage = Stage::new();
    let offsets = vec![offset("undated", None)];
    stage.journal.write(Change::OffsetsCommitted { group: GROUP.to_owned(), offsets }).expect("records");
    for now_ms in [500, 900] {
        stage.restart(now_ms);
        assert_eq!(stage.left(499), topics(&["undated"]));
    }
    let kept = stage.journal.read(|image| image.groups[GROUP].membership.clone());
    assert_eq!(kept, Membership { protocol_type: String::new(), empty_since_ms: Some(500) });
    assert_eq!(stage.left(500), None);
}

#[test]
fn what_a_transaction_may_change_does_not_expire() {
    let stage = Stage::new();
    stage.commit("pending", &NOBODY, 0);
    stage.groups.prepare(GROUP, &NOBODY, 7, &[offset("pending", Some(0))], 0).expect("prepares");
    assert_eq!(stage.left(i64::MAX), topics(&["pending"]));
    stage.groups.end(GROUP, 7, &[]);
    assert_eq!(stage.left(i64::MAX), None);
}
