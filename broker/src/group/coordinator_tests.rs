//! Tests of the group coordinator: each drives one group by hand, with its own clock.

use super::super::request::{Join, JoinReply};
use super::*;

const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 60_000;

/// A group with a clock, and the replies received so far.
struct Stage {
    group: Group,
    now_ms: i64,
    tokens: u64,
    replies: BTreeMap<Token, Reply>,
}

impl Stage {
    fn new(initial_delay_ms: u64) -> Stage {
        Stage { group: Group::new(initial_delay_ms), now_ms: 0, tokens: 0, replies: BTreeMap::new() }
    }

    fn join(&mut self, join: Join) -> Token {
        let token = self.token();
        self.group.handle_join(join, token, self.now_ms);
        self.drain();
        token
    }

    fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &'static str)]) -> Token {
        let token = self.token();
        let assignments = assignments.iter().map(|(id, text)| ((*id).to_owned(), Bytes::from_static(text.as_bytes())));
        let sync = Sync {
            caller: caller(member, generation),
            protocol_type: None,
            protocol: None,
            assignments: assignments.collect(),
        };
        self.group.handle_sync(sync, token, self.now_ms);
        self.drain();
        token
    }

    fn heartbeat(&mut self, member: &str, generation: i32) -> Result<(), ResponseError> {
        self.group.handle_heartbeat(&caller(member, generation), self.now_ms)
    }

    fn leave(&mut self, member: &str) -> Result<(), ResponseError> {
        let leaver = Leaver { member_id: member.to_owned(), instance_id: None };
        let left = self.group.handle_leave(&leaver, self.now_ms);
        self.drain();
        left
    }

    fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
        while self.group.poll_timeout().is_some_and(|deadline_ms| deadline_ms <= self.now_ms) {
            self.group.handle_timeout(self.now_ms);
        }
        self.drain();
    }

    fn joined(&self, token: Token) -> &JoinReply {
        match &self.replies[&token] {
            Reply::Join(reply) => reply,
            Reply::Sync(_) => panic!("a join gets a join's reply"),
        }
    }

    fn synced(&self, token: Token) -> &SyncReply {
        match &self.replies[&token] {
            Reply::Sync(reply) => reply,
            Reply::Join(_) => panic!("a sync gets a sync's reply"),
        }
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    fn drain(&mut self) {
        while let Some((token, reply)) = self.group.poll_reply() {
            assert!(self.replies.insert(token, reply).is_none(), "one reply to a request");
        }
    }

    /// Members `a` (the leader) and `b` in a stable group; also returns the generation.
    fn stable() -> (Stage, i32) {
        let mut stage = Stage::new(0);
        stage.join(new("a"));
        let b = stage.join(new("b"));
        let a = stage.join(known("a"));
        let generation = stage.joined(a).generation;
        assert_eq!((stage.joined(b).generation, stage.joined(b).leader.as_str()), (generation, "a"));
        stage.sync("b", generation, &[]);
        stage.sync("a", generation, &[("a", "one"), ("b", "two")]);
        assert_eq!(stage.group.state(), GroupState::Stable);
        (stage, generation)
    }
}

fn caller(member: &str, generation: i32) -> Caller {
    Caller { member_id: member.to_owned(), instance_id: None, generation }
}

/// The join request of a new member that will get this id.
fn new(id: &str) -> Join {
    Join {
        member_id: String::new(),
        fresh_member_id: id.to_owned(),
        instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::from_static(b"topics"))],
        id_required: false,
        can_skip_assignment: false,
    }
}

fn known(id: &str) -> Join {
    Join { member_id: id.to_owned(), ..new("unused") }
}

fn static_member(instance: &str, id: &str) -> Join {
    Join { instance_id: Some(instance.to_owned()), ..new(id) }
}

#[test]
fn the_leader_learns_of_all_and_assigns() {
    let mut stage = Stage::new(0);
    let first = stage.join(new("a"));
    assert_eq!(stage.joined(first).generation, 1);
    let b = stage.join(new("b"));
    assert!(!stage.replies.contains_key(&b), "b waits for a");
    assert_eq!(stage.heartbeat("a", 1), Err(ResponseError::RebalanceInProgress));
    let a = stage.join(known("a"));
    let members: Vec<_> = stage.joined(a).members.iter().map(|member| member.member_id.as_str()).collect();
    assert_eq!(members, ["a", "b"]);
    assert!(stage.joined(b).members.is_empty());
    let b = stage.sync("b", 2, &[]);
    assert!(!stage.replies.contains_key(&b), "b waits for the leader");
    let a = stage.sync("a", 2, &[("a", "one"), ("b", "two")]);
    assert_eq!((stage.synced(a).assignment.as_ref(), stage.synced(b).assignment.as_ref()), (&b"one"[..], &b"two"[..]));
    assert_eq!(stage.heartbeat("a", 2), Ok(()));
}

#[test]
fn strangers_and_old_generations_are_refused() {
    let (mut stage, generation) = Stage::stable();
    assert_eq!(stage.heartbeat("x", generation), Err(ResponseError::UnknownMemberId));
    assert_eq!(stage.heartbeat("a", generation - 1), Err(ResponseError::IllegalGeneration));
    let sync = stage.sync("a", generation - 1, &[]);
    assert_eq!(stage.synced(sync).error, Some(ResponseError::IllegalGeneration));
    let join = stage.join(known("x"));
    assert_eq!(stage.joined(join).error, Some(ResponseError::UnknownMemberId));
    assert_eq!(stage.leave("x"), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_group_has_one_type_and_a_common_protocol() {
    let (mut stage, _) = Stage::stable();
    let other_type = Join { protocol_type: "connect".to_owned(), ..new("c") };
    let other_protocol = Join { protocols: vec![("sticky".to_owned(), Bytes::new())], ..new("c") };
    let nothing = Join { protocols: Vec::new(), ..new("c") };
    for join in [other_type, other_protocol, nothing] {
        let join = stage.join(join);
        assert_eq!(stage.joined(join).error, Some(ResponseError::InconsistentGroupProtocol));
    }
    let hasty = stage.join(Join { session_timeout_ms: 0, ..new("c") });
    assert_eq!(stage.joined(hasty).error, Some(ResponseError::InvalidSessionTimeout));
}

#[test]
fn the_protocol_most_prefer_is_taken() {
    let protocols = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Bytes::new())).collect();
    let mut stage = Stage::new(100);
    let joins = [("a", &["x", "range"][..]), ("b", &["range", "sticky"]), ("c", &["sticky", "range"])];
    let joins = joins.map(|(id, names)| stage.join(Join { protocols: protocols(names), ..new(id) }));
    stage.wait(100);
    assert_eq!(stage.joined(joins[0]).protocol.as_deref(), Some("range"));
}

#[test]
fn a_new_member_comes_back_with_the_id_it_was_given() {
    let mut stage = Stage::new(0);
    let first = stage.join(Join { id_required: true, ..new("a") });
    assert_eq!(stage.joined(first).error, Some(ResponseError::MemberIdRequired));
    assert_eq!(stage.joined(first).member_id, "a");
    let second = stage.join(Join { id_required: true, ..known("a") });
    assert_eq!((stage.joined(second).error, stage.joined(second).generation), (None, 1));
}

#[test]
fn an_id_that_is_not_taken_up_holds_nobody_up_for_ever() {
    let (mut stage, generation) = Stage::stable();
    stage.join(Join { id_required: true, ..new("c") });
    let a = stage.join(known("a"));
    let b = stage.join(known("b"));
    assert!(!stage.replies.contains_key(&a), "the group waits for c");
    stage.wait(i64::from(SESSION_MS));
    assert_eq!((stage.joined(a).generation, stage.joined(b).generation), (generation + 1, generation + 1));
}

#[test]
fn one_who_is_not_heard_of_is_given_up() {
    let (mut stage, generation) = Stage::stable();
    stage.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(stage.heartbeat("b", generation), Ok(()));
    stage.wait(1);
    assert_eq!(stage.heartbeat("b", generation), Err(ResponseError::RebalanceInProgress));
    let b = stage.join(known("b"));
    assert_eq!((stage.joined(b).leader.as_str(), stage.joined(b).generation), ("b", generation + 1));
}

#[test]
fn one_who_does_not_join_again_is_left_behind() {
    let (mut stage, generation) = Stage::stable();
    stage.leave("a").expect("is a member");
    assert_eq!(stage.heartbeat("b", generation), Err(ResponseError::RebalanceInProgress));
    let c = stage.join(new("c"));
    assert!(!stage.replies.contains_key(&c), "c waits for b");
    for _ in 0..12 {
        stage.wait(i64::from(REBALANCE_MS) / 12);
        let _ = stage.heartbeat("b", generation); // stays alive, but does not join
    }
    assert_eq!((stage.joined(c).leader.as_str(), stage.joined(c).generation), ("c", generation + 1));
    assert_eq!(stage.heartbeat("b", generation + 1), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_group_that_all_have_left_is_empty() {
    let (mut stage, _) = Stage::stable();
    stage.leave("a").expect("is a member");
    stage.leave("b").expect("is a member");
    assert_eq!((stage.group.state(), stage.group.is_empty()), (GroupState::Empty, true));
    assert_eq!(stage.group.poll_timeout(), None);
}

#[test]
fn a_rebalance_during_sync_sends_those_who_wait_back() {
    let (mut stage, _) = Stage::stable();
    stage.join(new("c"));
    stage.join(known("a"));
    let b = stage.join(known("b"));
    let generation = stage.joined(b).generation;
    let waiting = stage.sync("b", generation, &[]);
    stage.join(new("d"));
    assert_eq!(stage.synced(waiting).error, Some(ResponseError::RebalanceInProgress));
}

#[test]
fn a_join_sent_again_takes_the_place_of_the_first() {
    let (mut stage, _) = Stage::stable();
    let first = stage.join(new("c"));
    assert!(!stage.replies.contains_key(&first));
    let one = stage.join(known("a"));
    let again = stage.join(known("a"));
    assert_eq!(stage.joined(one).error, Some(ResponseError::RebalanceInProgress));
    stage.join(known("b"));
    assert_eq!(stage.joined(again).error, None);
}

#[test]
fn the_first_generation_may_wait_for_more_members() {
    let mut stage = Stage::new(3_000);
    let a = stage.join(new("a"));
    stage.wait(2_999);
    let b = stage.join(new("b"));
    assert!(stage.replies.is_empty());
    stage.wait(1);
    assert_eq!((stage.joined(a).generation, stage.joined(b).generation), (1, 1));
}

#[test]
fn a_static_member_takes_its_place_without_a_rebalance() {
    for (can_skip, leader, skips) in [(true, "new", true), (false, "old", false)] {
        let mut stage = Stage::new(0);
        let old = stage.join(static_member("i", "old"));
        let generation = stage.joined(old).generation;
        stage.sync("old", generation, &[("old", "all")]);
        let back = stage.join(Join { can_skip_assignment: can_skip, ..static_member("i", "new") });
        let reply = stage.joined(back);
        assert_eq!((reply.error, reply.generation, reply.member_id.as_str()), (None, generation, "new"));
        assert_eq!((reply.leader.as_str(), reply.skip_assignment), (leader, skips));
        let sync = stage.sync("new", generation, &[]);
        assert_eq!(stage.synced(sync).assignment.as_ref(), b"all");
        let fenced = Caller { instance_id: Some("i".to_owned()), ..caller("old", generation) };
        assert_eq!(stage.group.handle_heartbeat(&fenced, 0), Err(ResponseError::FencedInstanceId));
    }
}

#[test]
fn a_static_member_that_changes_its_mind_starts_a_rebalance() {
    let mut stage = Stage::new(0);
    stage.join(static_member("i", "old"));
    stage.sync("old", 1, &[("old", "all")]);
    let protocols = vec![("range".to_owned(), Bytes::from_static(b"other topics"))];
    let back = stage.join(Join { protocols, ..static_member("i", "new") });
    assert_eq!(stage.joined(back).generation, 2);
}

#[test]
fn a_static_member_stays_over_a_rebalance_until_its_session_ends() {
    let mut stage = Stage::new(0);
    stage.join(static_member("i", "s"));
    stage.sync("s", 1, &[("s", "all")]);
    let dynamic = stage.join(Join { rebalance_timeout_ms: 1_000, ..new("d") });
    stage.group.members.get_mut("s").expect("is a member").rebalance_timeout_ms = 1_000;
    stage.wait(i64::from(SESSION_MS) + i64::from(REBALANCE_MS));
    assert_eq!(stage.joined(dynamic).error, None);
    assert!(stage.group.members().all(|member| member.id != "s"));
}

#[test]
fn a_static_member_may_be_sent_away_by_its_instance() {
    let mut stage = Stage::new(0);
    stage.join(static_member("i", "s"));
    let by_instance =
        |instance: &str, member: &str| Leaver { member_id: member.to_owned(), instance_id: Some(instance.to_owned()) };
    assert_eq!(stage.group.handle_leave(&by_instance("x", ""), 0), Err(ResponseError::UnknownMemberId));
    assert_eq!(stage.group.handle_leave(&by_instance("i", "other"), 0), Err(ResponseError::FencedInstanceId));
    assert_eq!(stage.group.handle_leave(&by_instance("i", ""), 0), Ok(()));
    assert!(stage.group.is_empty());
}

#[test]
fn offsets_are_committed_by_members_or_by_anyone_when_nobody_is_in() {
    let (mut stage, generation) = Stage::stable();
    let mut commit = |member: &str, generation, in_transaction| {
        stage.group.handle_commit(&caller(member, generation), in_transaction, 0)
    };
    assert_eq!(commit("a", generation, false), Ok(()));
    assert_eq!(commit("a", generation - 1, false), Err(ResponseError::IllegalGeneration));
    assert_eq!(commit("x", generation, false), Err(ResponseError::UnknownMemberId));
    assert_eq!(commit("", -1, false), Err(ResponseError::UnknownMemberId));
    assert_eq!(commit("", -1, true), Ok(()));
    assert_eq!(Group::new(0).handle_commit(&caller("", -1), false, 0), Ok(()));
}
