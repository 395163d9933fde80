//! Where a query goes on: the committed offsets of its group, or where it begins without them.

use std::collections::BTreeMap;

use headwater_connectors::record::TopicPartition;
use headwater_connectors::transport::{Admin, Isolation, Member, ReadRange, TransportError, TransportErrorKind};

use super::goal::Goal;

/// Where each partition is read from.
pub(super) struct Start {
    /// What is to be read.
    pub(super) ranges: Vec<ReadRange>,
    /// Offsets to be committed before anything else, of a query that begins at the end.
    pub(super) first: BTreeMap<TopicPartition, i64>,
}

impl Start {
    /// Looks where the group's last commit was. Without one the query begins at the end when it `starts_late`, otherwise
    /// at the first record. With a goal the ranges end there.
    pub(super) fn find(
        admin: &dyn Admin,
        member: &dyn Member,
        topic: &str,
        partitions: &[TopicPartition],
        starts_late: bool,
        goal: Option<&Goal>,
    ) -> Result<Self, TransportError> {
        let committed = member.committed(partitions)?;
        let marks = admin.watermarks(topic, Isolation::ReadCommitted)?;
        let mut start = Self { ranges: Vec::new(), first: BTreeMap::new() };
        for partition in partitions {
            let mark = usize::try_from(partition.partition).ok().and_then(|p| marks.get(p)).copied();
            let mark = mark.ok_or_else(|| missing(partition))?;
            let begin = match committed.get(partition).and_then(Option::as_ref) {
                Some(place) => place.offset,
                None if starts_late => {
                    start.first.insert(partition.clone(), mark.end);
                    mark.end
                }
                None => mark.start,
            };
            let end = goal.map(|goal| goal.end(partition).unwrap_or(mark.end).max(begin));
            start.ranges.push(ReadRange { partition: partition.clone(), start: begin, end });
        }
        Ok(start)
    }
}

fn missing(partition: &TopicPartition) -> TransportError {
    TransportError { kind: TransportErrorKind::Other, message: format!("{partition} does not exist"), setting: None }
}
