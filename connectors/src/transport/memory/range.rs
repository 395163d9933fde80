//! Kafka's `range` assignment of a topic's partitions: each member gets consecutive partitions, and the first members
//! get one more.

use std::ops::Range;

/// The consecutive partitions of each of `members`, in their order.
pub(super) fn shares(partitions: i32, members: usize) -> impl Iterator<Item = Range<i32>> {
    let members = i32::try_from(members).unwrap_or(i32::MAX).max(1);
    let (each, more) = (partitions / members, partitions % members);
    let start = move |member: i32| member * each + member.min(more);
    (0..members).map(move |member| start(member)..start(member + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_have_one_more() {
        assert_eq!(shares(8, 3).collect::<Vec<_>>(), [0..3, 3..6, 6..8]);
        assert_eq!(shares(2, 3).collect::<Vec<_>>(), [0..1, 1..2, 2..2]);
        assert_eq!(shares(4, 2).collect::<Vec<_>>(), [0..2, 2..4]);
    }
}
