//! Looks every few seconds at the topic that a query reads: whether it is still the one, and whether it has more partitions.
//!
//! Apart from reading, which notices neither: a topic that is created again may have records at the offset that is next, and
//! a group hears of new partitions minutes later.

use headwater_connectors::transport::{Admin, Glance, TopicId, TransportError};

/// How often it looks, in ms.
const LOOK_MS: i64 = 3_000;

/// What is known of the topic.
pub(super) struct Lookout {
    topic: String,
    looked_at_ms: i64,
    /// Of the topic that was first seen.
    id: Option<TopicId>,
    /// As many as were shared out, where that is known.
    partitions: Option<i32>,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// All is as it was, as far as it can be told.
    Same,
    /// The topic has more partitions.
    Grown,
    /// The topic is not there.
    Missing,
    /// Another topic has its name.
    Other,
}

impl Lookout {
    /// Nothing is known yet.
    pub(super) fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), looked_at_ms: i64::MIN, id: None, partitions: None }
    }

    /// The topic that was first seen.
    pub(super) fn id(&self) -> Option<TopicId> {
        self.id
    }

    /// The topic is shared out anew: how many partitions it has then is learned by the next look.
    pub(super) fn forget_partitions(&mut self) {
        self.partitions = None;
    }

    /// What is so now, compared with what was known.
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

    /// Looks, if it is time. A cluster that does not answer is asked the next time: whoever reads finds out what ails it.
    pub(super) fn look(&mut self, admin: &dyn Admin, now_ms: i64) -> Seen {
        if now_ms < self.looked_at_ms.saturating_add(LOOK_MS) {
            return Seen::Same;
        }
        self.looked_at_ms = now_ms;
        let found = admin.glance(&self.topic);
        self.saw(found)
    }

    /// Looks at the topic as it is at this moment.
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
