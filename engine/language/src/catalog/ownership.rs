//! The owner of a topic: users, or Headwater or Kafka, whose topics nobody else may write to.

/// The prefix of the names of Headwater's own topics.
pub const OWN_TOPICS: &str = "_headwater-";

/// The system that keeps its state in a topic; none for a topic of users.
pub fn owner_of(topic: &str) -> Option<&'static str> {
    let owners = [(OWN_TOPICS, "Headwater"), ("__", "Kafka")];
    owners.into_iter().find(|(prefix, _)| topic.starts_with(prefix)).map(|(_, owner)| owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_owners_by_their_names() {
        assert_eq!(owner_of("_headwater-default__command_topic"), Some("Headwater"));
        assert_eq!(owner_of("__consumer_offsets"), Some("Kafka"));
        for users in ["orders", "_orders", "headwater-x", "a__b", "_schemas"] {
            assert_eq!(owner_of(users), None, "{users}");
        }
    }
}
