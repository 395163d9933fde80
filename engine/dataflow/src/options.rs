//! What is decided about a query besides its topology.

use headwater_language::topology::changelog_topic;

/// What the settings of a query decide about how it runs.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// What the names of the topics begin with that belong to the query alone.
    pub own_topics: String,
    /// A record without a readable event time stops the query; otherwise it is skipped.
    pub stops_on_time: bool,
    /// A group that changes several times between two commits is emitted each time; otherwise once.
    pub emits_every_change: bool,
}

impl CompileOptions {
    /// The topic of an exchange.
    pub fn own_topic(&self, name: &str) -> String {
        format!("{}{name}", self.own_topics)
    }

    /// The changelog topic of a store.
    pub fn changelog(&self, store: &str) -> String {
        changelog_topic(&self.own_topics, store)
    }
}
