//! Whose a topic is: the users', or that of Headwater or Kafka, whose records nobody else may write.

/// How the names of Headwater's own topics begin.
pub const OWN_TOPICS: &str = "_headwater-";

/// Who keeps state of its own in a topic; none for a topic of users.
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
