//! Tests of the coordinator of KIP-848: each drives one group by hand, with its own clock and its own topics.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::*;

const SESSION_MS: i64 = 45_000;
const REBALANCE_MS: i32 = 60_000;

impl Catalog for BTreeMap<&'static str, TopicShape> {
    fn shape(&self, topic: &str) -> Option<TopicShape> {
        self.get(topic).copied()
    }

    fn names(&self) -> Vec<String> {
        self.keys().map(|name| (*name).to_owned()).collect()
    }
}

/// A group with a clock, and the topics that there are: `t`, with four partitions.
struct Stage {
    group: ConsumerGroup,
    topics: BTreeMap<&'static str, TopicShape>,
    now_ms: i64,
}

impl Stage {
    fn new() -> Stage {
        let topics = [("t", TopicShape { id: Uuid::from_u128(1), partitions: 4 })].into();
        Stage { group: ConsumerGroup::new(SESSION_MS as u64, None), topics, now_ms: 0 }
    }

    fn send(&mut self, beat: &Heartbeat) -> Result<HeartbeatReply, ResponseError> {
        self.group.handle_heartbeat(beat, &self.topics, self.now_ms).map_err(|refusal| refusal.error)
    }

    /// A heartbeat that must succeed: the epoch, and the numbers of the assigned partitions of `t` if they are news.
    fn beat(&mut self, beat: &Heartbeat) -> (i32, Option<Vec<i32>>) {
        let reply = self.send(beat).expect("is answered");
        (reply.epoch, reply.assignment.map(|partitions| partitions.into_iter().map(|(_, number)| number).collect()))
    }

    fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
        self.group.handle_timeout(self.now_ms);
    }

    /// Members `a` and `b` that have reached the epoch 2 and own two partitions each.
    fn of_two() -> Stage {
        let mut stage = Stage::new();
        assert_eq!(stage.beat(&joining("a")), (1, Some(vec![0, 1, 2, 3])));
        assert_eq!(stage.beat(&joining("b")), (2, Some(vec![])));
        assert_eq!(stage.beat(&owning("a", 1, 0..4)), (1, Some(vec![2, 3])));
        assert_eq!(stage.beat(&owning("a", 1, 2..4)), (2, None));
        assert_eq!(stage.beat(&still("b", 2)), (2, Some(vec![0, 1])));
        stage
    }
}

fn joining(id: &str) -> Heartbeat {
    Heartbeat {
        member_id: id.to_owned(),
        rebalance_timeout_ms: Some(REBALANCE_MS),
        topics: Some(["t".to_owned()].into()),
        owned: Some(Partitions::new()),
        ..Heartbeat::default()
    }
}

fn of_instance(id: &str, epoch: i32) -> Heartbeat {
    let instance_id = Some("i".to_owned());
    if epoch == 0 { Heartbeat { instance_id, ..joining(id) } } else { Heartbeat { instance_id, ..still(id, epoch) } }
}

/// A heartbeat without anything new.
fn still(id: &str, epoch: i32) -> Heartbeat {
    Heartbeat { member_id: id.to_owned(), epoch, ..Heartbeat::default() }
}

fn owning(id: &str, epoch: i32, numbers: std::ops::Range<i32>) -> Heartbeat {
    let owned = numbers.map(|number| (Uuid::from_u128(1), number)).collect();
    Heartbeat { owned: Some(owned), ..still(id, epoch) }
}

#[test]
fn a_partition_goes_to_its_next_reader_when_the_former_one_has_given_it_up() {
    let mut stage = Stage::new();
    assert_eq!(stage.beat(&joining("a")), (1, Some(vec![0, 1, 2, 3])));
    assert_eq!((stage.group.state_name(), stage.beat(&still("a", 1))), ("Stable", (1, None)));
    assert_eq!(stage.beat(&joining("b")), (2, Some(vec![])), "all belong to a");
    assert_eq!(stage.beat(&owning("a", 1, 0..4)), (1, Some(vec![2, 3])), "a must give two up");
    for _ in 0..2 {
        assert_eq!(stage.beat(&still("b", 2)), (2, None), "a has not said that it has");
        assert_eq!(stage.beat(&still("a", 1)), (1, None));
        assert_eq!(stage.beat(&owning("a", 1, 1..4)), (1, None), "it has one of them");
        assert_eq!(stage.group.state_name(), "Reconciling");
    }
    assert_eq!(stage.beat(&owning("a", 1, 2..4)), (2, None));
    assert_eq!(stage.beat(&still("b", 2)), (2, Some(vec![0, 1])));
    assert_eq!(stage.group.state_name(), "Stable");
    assert_eq!(stage.beat(&still("b", LEAVING)), (LEAVING, None));
    assert_eq!((stage.group.state_name(), stage.beat(&still("a", 2))), ("Assigning", (3, Some(vec![0, 1, 2, 3]))));
}

#[test]
fn the_epochs_of_others_are_fenced() {
    let mut stage = Stage::of_two();
    for (beat, error) in [
        (still("a", 3), ResponseError::FencedMemberEpoch),
        (still("a", 1), ResponseError::FencedMemberEpoch),
        (owning("a", 1, 0..4), ResponseError::FencedMemberEpoch),
        (still("x", 2), ResponseError::UnknownMemberId),
        (still("x", LEAVING), ResponseError::UnknownMemberId),
        (of_instance("a", 2), ResponseError::UnknownMemberId),
    ] {
        assert_eq!(stage.send(&beat), Err(error), "{beat:?}");
    }
    assert_eq!(stage.beat(&owning("a", 1, 2..4)), (2, None), "the reply with the new epoch may have been lost");
    assert_eq!(stage.beat(&joining("a")), (2, Some(vec![2, 3])), "who was fenced begins again");
}

#[test]
fn members_that_fall_silent_or_do_not_let_go_are_removed() {
    let mut stage = Stage::of_two();
    stage.wait(SESSION_MS - 1);
    stage.beat(&still("a", 2));
    stage.wait(1);
    assert_eq!(stage.beat(&still("a", 2)), (3, Some(vec![0, 1, 2, 3])));
    assert_eq!(stage.send(&still("b", 2)), Err(ResponseError::UnknownMemberId));
    assert_eq!(stage.beat(&joining("b")), (4, Some(vec![])));
    for _ in 0..3 {
        stage.beat(&owning("a", 3, 0..4));
        stage.beat(&still("b", 4));
        stage.wait(i64::from(REBALANCE_MS) / 3);
    }
    assert_eq!(stage.send(&owning("a", 3, 0..4)), Err(ResponseError::UnknownMemberId));
    assert_eq!(stage.beat(&still("b", 4)), (5, Some(vec![0, 1, 2, 3])));
    stage.wait(SESSION_MS);
    assert_eq!((stage.group.state_name(), stage.group.poll_timeout()), ("Empty", None));
    assert_eq!(stage.group.empty_since_ms(), Some(stage.now_ms));
}

#[test]
fn a_static_member_comes_back_to_its_partitions() {
    let mut stage = Stage::new();
    stage.beat(&of_instance("old", 0));
    for id in ["new", "old"] {
        assert_eq!(stage.send(&of_instance(id, 0)), Err(ResponseError::UnreleasedInstanceId), "as in Kafka");
    }
    assert_eq!(stage.beat(&of_instance("old", AWAY)), (AWAY, None));
    assert_eq!(stage.beat(&joining("b")), (2, Some(vec![])), "the partitions are kept for it");
    assert_eq!(stage.beat(&of_instance("new", 0)), (2, Some(vec![2, 3])), "what it had, without those of b");
    assert_eq!(stage.send(&of_instance("old", 1)), Err(ResponseError::FencedInstanceId));
    assert_eq!(stage.beat(&still("b", 2)), (2, Some(vec![0, 1])));
    stage.beat(&of_instance("new", AWAY));
    stage.wait(SESSION_MS - 1);
    stage.beat(&still("b", 2));
    stage.wait(1);
    assert_eq!(stage.beat(&still("b", 2)), (3, Some(vec![0, 1, 2, 3])), "it has not come back");
}

#[test]
fn topics_that_grow_come_and_go_are_assigned_anew() {
    let mut stage = Stage::new();
    let pattern = Some("t.*".to_owned());
    assert_eq!(stage.beat(&Heartbeat { topics: None, pattern, ..joining("a") }), (1, Some(vec![0, 1, 2, 3])));
    let topic = |id, partitions| TopicShape { id: Uuid::from_u128(id), partitions };
    stage.topics.insert("t", topic(1, 5));
    assert_eq!(stage.beat(&still("a", 1)), (2, Some(vec![0, 1, 2, 3, 4])));
    stage.topics.extend([("t2", topic(2, 1)), ("not", topic(3, 1))]);
    assert_eq!(stage.beat(&still("a", 2)), (3, Some(vec![0, 1, 2, 3, 4, 0])));
    assert_eq!(stage.group.topic_name(Uuid::from_u128(2)), Some("t2"));
    assert_eq!(stage.group.subscribed_topics(), ["t".to_owned(), "t2".to_owned()].into());
    stage.topics.insert("t", topic(4, 1));
    stage.beat(&still("a", 3));
    let owned = Some([(Uuid::from_u128(2), 0)].into());
    let reply = stage.send(&Heartbeat { owned, ..still("a", 3) }).expect("is answered");
    let expected: Partitions = [(Uuid::from_u128(2), 0), (Uuid::from_u128(4), 0)].into();
    assert_eq!((reply.epoch, reply.assignment), (4, Some(expected)), "a new topic of the same name is another one");
}

#[test]
fn the_assignor_that_most_prefer_is_used() {
    let mut stage = Stage::new();
    let range = |id: &str| Heartbeat { assignor: Some("range".to_owned()), ..joining(id) };
    stage.beat(&joining("a"));
    assert_eq!(stage.group.assignor(), Assignor::Uniform);
    stage.beat(&range("b"));
    assert_eq!(stage.group.assignor(), Assignor::Range);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut stage = Stage::new();
    for beat in [
        joining(""),
        Heartbeat { instance_id: Some(String::new()), ..joining("a") },
        Heartbeat { rack_id: Some(String::new()), ..joining("a") },
        Heartbeat { rebalance_timeout_ms: None, ..joining("a") },
        Heartbeat { owned: None, ..joining("a") },
        Heartbeat { owned: owning("a", 0, 0..1).owned, ..joining("a") },
        Heartbeat { topics: None, ..joining("a") },
        Heartbeat { topics: Some(BTreeSet::new()), pattern: Some(String::new()), ..joining("a") },
        still("a", AWAY),
        still("a", AWAY - 1),
    ] {
        assert_eq!(stage.send(&beat), Err(ResponseError::InvalidRequest), "{beat:?}");
    }
    let assignor = Heartbeat { assignor: Some("sticky".to_owned()), ..joining("a") };
    assert_eq!(stage.send(&assignor), Err(ResponseError::UnsupportedAssignor));
    let pattern = Heartbeat { pattern: Some("(".to_owned()), ..joining("a") };
    assert_eq!(stage.send(&pattern), Err(ResponseError::InvalidRegularExpression));
    assert!(stage.group.is_empty());
}

#[test]
fn offsets_are_committed_and_read_by_members_in_their_epoch() {
    let stage = Stage::of_two();
    let commit = |id: &str, generation, in_transaction| {
        let caller = Caller { member_id: id.to_owned(), instance_id: None, generation };
        stage.group.check_commit(&caller, in_transaction)
    };
    assert_eq!(commit("a", 2, false), Ok(()));
    assert_eq!(commit("a", 1, false), Err(ResponseError::StaleMemberEpoch));
    assert_eq!(commit("x", 2, false), Err(ResponseError::UnknownMemberId));
    assert_eq!(commit("", -1, false), Err(ResponseError::UnknownMemberId));
    assert_eq!((commit("", -1, true), commit("a", 1, true)), (Ok(()), Err(ResponseError::StaleMemberEpoch)));
    assert_eq!(stage.group.check_member("b", 2), Ok(()));
    assert_eq!(stage.group.check_member("b", 3), Err(ResponseError::StaleMemberEpoch));
}

#[test]
fn an_administrator_removes_members() {
    let mut stage = Stage::of_two();
    let leaver = |id: &str, instance: Option<&str>| Leaver {
        member_id: id.to_owned(),
        instance_id: instance.map(str::to_owned),
    };
    stage.beat(&of_instance("s", 0));
    for (leaver, result) in [
        (leaver("x", None), Err(ResponseError::UnknownMemberId)),
        (leaver("", Some("x")), Err(ResponseError::UnknownMemberId)),
        (leaver("a", Some("i")), Err(ResponseError::FencedInstanceId)),
        (leaver("", Some("i")), Ok(())),
        (leaver("b", None), Ok(())),
    ] {
        assert_eq!(stage.group.handle_leave(&leaver, 0), result, "{leaver:?}");
    }
    assert_eq!(stage.group.members().map(|member| member.id.as_str()).collect::<Vec<_>>(), ["a"]);
}

/// A client that does what it is told, and tells what it owns.
struct Client {
    id: String,
    epoch: i32,
    owned: Partitions,
    /// What it was told last, and has not done yet.
    told: Option<Partitions>,
    /// Whether it must repeat everything, because a reply was lost.
    repeats: bool,
}

impl Client {
    fn beat(&self) -> Heartbeat {
        let all = Heartbeat { owned: Some(self.owned.clone()), epoch: self.epoch, ..joining(&self.id) };
        let news = Heartbeat { owned: Some(self.owned.clone()), ..still(&self.id, self.epoch) };
        if self.repeats || self.epoch == 0 { all } else { news }
    }

    /// Takes one step: gives up what it must, and only then takes over what is new.
    fn act(&mut self) {
        let Some(told) = &self.told else { return };
        if self.owned.is_subset(told) {
            self.owned.extend(told);
            self.told = None;
        } else {
            self.owned = &self.owned & told;
        }
    }

    fn hear(&mut self, reply: Result<HeartbeatReply, ResponseError>, is_lost: bool) {
        self.repeats = is_lost;
        match reply {
            Ok(_) if is_lost => {}
            Ok(reply) => {
                self.epoch = reply.epoch;
                self.told = reply.assignment.or(self.told.take());
            }
            Err(ResponseError::FencedMemberEpoch | ResponseError::UnknownMemberId) => {
                (self.epoch, self.told) = (0, None);
                self.owned.clear();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Goal: a partition never has two readers, and in the end every one has one. Method: clients come and go, heartbeats come in any order,
/// and some replies are lost.
#[test]
fn a_partition_never_has_two_readers() {
    for seed in 0..100 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut stage = Stage::new();
        stage.topics.insert("t", TopicShape { id: Uuid::from_u128(1), partitions: random.random_range(1..12) });
        let mut clients: Vec<Client> = Vec::new();
        for step in 0..200 {
            let is_calm = step >= 120;
            if !is_calm && random.random_bool(0.06) {
                let id = format!("member{step}");
                clients.push(Client { id, epoch: 0, owned: Partitions::new(), told: None, repeats: false });
            }
            if !is_calm && clients.len() > 1 && random.random_bool(0.04) {
                let gone = clients.swap_remove(random.random_range(0..clients.len()));
                let _ = stage.send(&still(&gone.id, LEAVING)); // unknown if it has not joined yet
            }
            let Some(at) = (0..clients.len()).collect::<Vec<_>>().choose(&mut random).copied() else { continue };
            clients[at].act();
            let reply = stage.send(&clients[at].beat());
            clients[at].hear(reply, !is_calm && random.random_bool(0.2));
            let owned: Vec<_> = clients.iter().flat_map(|client| client.owned.iter().copied()).collect();
            let distinct: Partitions = owned.iter().copied().collect();
            assert_eq!(owned.len(), distinct.len(), "seed {seed}, step {step}");
        }
        for _ in 0..6 {
            for client in &mut clients {
                client.act();
                let reply = stage.send(&client.beat());
                client.hear(reply, false);
                client.act();
            }
        }
        let owned: usize = clients.iter().map(|client| client.owned.len()).sum();
        let expected = if clients.is_empty() { 0 } else { stage.topics["t"].partitions as usize };
        assert_eq!(
            (owned, clients.is_empty() || stage.group.state_name() == "Stable"),
            (expected, true),
            "seed {seed}"
        );
    }
}
