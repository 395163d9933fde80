//! Checks every few seconds whether the topic that a query reads was recreated, and whether it has more partitions.
//!
//! Separate from reading, which notices neither: a recreated topic may have a record at the next offset, and a group
//! learns of new partitions only minutes later.

use headwater_connectors::transport::{Admin, Glance, TopicId, TransportError};

/// How often to look, in ms.
const LOOK_MS: i64 = 3_000;

/// What is known about the topic.
pub(super) struct Lookout {
    topic: String,
    looked_at_ms: i64,
    /// The id of the topic when it was first seen.
    id: Option<TopicId>,
    /// How many partitions were assigned, if known.
    partitions: Option<i32>,
    /// The group has not been asked since partitions were assigned: some may have been added between the assignment and the first
    /// look, which then takes them for assigned.
    is_unsure: bool,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// As far as is known, nothing has changed.
    Same,
    /// The topic has more partitions, or may have.
    Grown,
    /// The topic does not exist.
    Missing,
    /// The topic was deleted and created again.
    Other,
}

impl Lookout {
    /// A lookout that knows nothing about the topic yet.
    pub(super) fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), looked_at_ms: i64::MIN, id: None, partitions: None, is_unsure: false }
    }

    /// The id of the topic when it was first seen.
    pub(super) fn id(&self) -> Option<TopicId> {
        self.id
    }

    /// Forgets how many partitions there are, because they are being reassigned. The next look learns it again.
    pub(super) fn forget_partitions(&mut self) {
        self.partitions = None;
        self.is_unsure = true;
    }

    /// Records that the group has checked how many partitions there are.
    pub(super) fn refreshed(&mut self) {
        self.is_unsure = false;
    }

    /// Compares a glance with what was known, and remembers it.
    pub(super) fn learn(&mut self, now: Glance) -> Seen {
        if self.id.zip(now.id).is_some_and(|(known, now)| known != now) {
            return Seen::Other;
        }
        self.id = self.id.or(now.id);
        match *self.partitions.get_or_insert(now.partitions) {
            known if now.partitions > known => Seen::Grown,
            _ => Seen::Same,
        }
    }

    /// Looks at the topic, if it is time. If the cluster does not respond, the next look asks again; reading reports the
    /// error.
    pub(super) fn look(&mut self, admin: &dyn Admin, now_ms: i64) -> Seen {
        if now_ms < self.looked_at_ms.saturating_add(LOOK_MS) {
            return Seen::Same;
        }
        self.looked_at_ms = now_ms;
        let found = admin.glance(&self.topic);
        match self.saw(found) {
            Seen::Same if self.is_unsure => Seen::Grown,
            seen => seen,
        }
    }

    /// Looks at the topic now.
    pub(super) fn look_now(&mut self, admin: &dyn Admin) -> Seen {
        let found = admin.glance_now(&self.topic);
        self.saw(found)
    }

    fn saw(&mut self, found: Result<Option<Glance>, TransportError>) -> Seen {
        match found {
            Ok(Some(now)) => self.learn(now),
            Ok(None) => Seen::Missing,
            Err(error) => {
                tracing::debug!(topic = %self.topic, %error, "could not look at the topic");
                Seen::Same
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::Transport as _;

    use super::*;
    use crate::runtime::for_tests::cluster_with;

    /// Goal: partitions that are added between an assignment and the first look are not overlooked. Method: the topic has grown
    /// when the share opens, and the first attempt to ask the group fails.
    #[test]
    fn the_group_is_asked_after_each_assignment() {
        let cluster = cluster_with("s");
        let mut lookout = Lookout::new("s");
        lookout.forget_partitions();
        cluster.add_partitions("s", 7).expect("a topic");
        let found = cluster.admin().glance("s").expect("it answers").expect("a topic");
        assert_eq!((lookout.learn(found), found.partitions), (Seen::Same, 7));
        assert_eq!(
            [0, 1, LOOK_MS].map(|now_ms| lookout.look(cluster.admin(), now_ms)),
            [Seen::Grown, Seen::Same, Seen::Grown]
        );
        lookout.refreshed();
        assert_eq!(lookout.look(cluster.admin(), 2 * LOOK_MS), Seen::Same);
        cluster.add_partitions("s", 8).expect("a topic");
        assert_eq!(lookout.look(cluster.admin(), 3 * LOOK_MS), Seen::Grown);
    }
}
