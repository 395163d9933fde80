//! Settings of a query that are not part of its topology.

/// The settings that decide how a topology runs.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// The prefix of the names of the topics that belong to the query alone.
    pub own_topics: String,
    /// Whether a record without a valid event time stops the query; otherwise it is skipped.
    pub stops_on_time: bool,
    /// Whether every change of a group is emitted; otherwise only the last one before each commit.
    pub emits_every_change: bool,
}

impl CompileOptions {
    /// The full name of an exchange's topic.
    pub fn own_topic(&self, name: &str) -> String {
        format!("{}{name}", self.own_topics)
    }

    /// The full name of a store's changelog topic.
    pub fn changelog(&self, store: &str) -> String {
        format!("{}{store}-changelog", self.own_topics)
    }
}
