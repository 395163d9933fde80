//! The topics that the members of a classic group subscribe to.
//!
//! Separate because the group does not know its members' metadata, except here: that of consumers says which topics they read.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};

use super::coordinator::Group;

/// The protocol type of consumers; other members, such as the workers of Kafka Connect, have metadata of their own.
pub(super) const CONSUMER: &str = "consumer";

/// The topics that the members of a consumer group subscribe to; `None` if the metadata of a member cannot be read.
pub(super) fn subscribed_topics(group: &Group) -> Option<BTreeSet<String>> {
    if group.protocol_type() != CONSUMER {
        return None;
    }
    let mut topics = BTreeSet::new();
    for member in group.members() {
        topics.extend(subscribed(member.metadata(group.protocol()))?);
    }
    Some(topics)
}

/// The topics in a consumer's subscription: in every version, a list after the version number. The bytes come from a client, so no
/// length in them is trusted.
pub(super) fn subscribed(mut metadata: Bytes) -> Option<Vec<String>> {
    let _version = metadata.try_get_i16().ok()?;
    let count = metadata.try_get_i32().ok()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        let name = (length <= metadata.len()).then(|| metadata.split_to(length))?;
        topics.push(String::from_utf8_lossy(&name).into_owned());
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_read_as_a_whole_or_not_at_all() {
        let read = |bytes: &'static [u8]| subscribed(Bytes::from_static(bytes));
        assert_eq!(read(b"\0\x03\0\0\0\x02\0\x01a\0\x02bcrest"), Some(vec!["a".to_owned(), "bc".to_owned()]));
        assert_eq!(read(b"\0\0\0\0\0\0"), Some(Vec::new()));
        for cut in [&b"\0\0\x7f\xff\xff\xff\0\x01a"[..], b"\0\0\0\0\0\x01\x7f\xffa", b"\0\0\0\0\0\x01\xff\xffa", b"\0"]
        {
            assert_eq!(read(cut), None);
        }
    }
}
