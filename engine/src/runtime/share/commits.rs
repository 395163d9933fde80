//! The commits of a share that are in progress, and the positions that are committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_connectors::transport::{Position, TransportError};
use headwater_dataflow::Epoch;
use headwater_formats::record::TopicPartition;

use super::super::outbox::Ending;
use super::super::query_status::Tally;
use super::Share;

/// A commit that was handed to the outbox.
pub(in super::super) struct Committing {
    pub(in super::super) epoch: Epoch,
    pub(in super::super) offsets: BTreeMap<TopicPartition, Position>,
    pub(in super::super) tally: Tally,
}

impl Share {
    /// Adds a commit that is about to be handed to the outbox. Returns what has readers wait once others may see it.
    pub(in super::super) fn begin_commit(&mut self, commit: Committing) -> Ending {
        self.committing.push_back(commit);
        // A share is shown no longer once it is dropped, even if its outbox still has this.
        let shown = self.shown.as_ref().map(Arc::downgrade);
        Box::new(move || {
            if let Some(shown) = shown.and_then(|shown| shown.upgrade()) {
                shown.end_commit();
            }
        })
    }

    /// Makes the state of an epoch visible, which was committed with these positions.
    pub(in super::super) fn apply(
        &mut self,
        epoch: Epoch,
        positions: &BTreeMap<TopicPartition, Position>,
    ) -> Result<(), TransportError> {
        self.position(positions);
        match &self.shown {
            Some(shown) => shown.commit(positions, || self.tasks.committed(epoch)),
            None => self.tasks.committed(epoch),
        }?;
        self.tasks.settle()
    }

    fn position(&mut self, positions: &BTreeMap<TopicPartition, Position>) {
        let offsets = positions.iter().map(|(partition, position)| (partition.clone(), position.offset));
        self.positioned.extend(offsets);
    }

    /// Records the positions after transaction markers, which are committed without any change of the state.
    pub(in super::super) fn passed_markers(&mut self, positions: &BTreeMap<TopicPartition, Position>) {
        self.position(positions);
        self.shown.iter().for_each(|shown| shown.pass(positions));
    }

    /// Whether a commit is in progress.
    pub(in super::super) fn is_committing(&self) -> bool {
        !self.committing.is_empty()
    }

    /// The positions to commit: offsets with their notes.
    pub(in super::super) fn positions(
        &self,
        offsets: BTreeMap<TopicPartition, i64>,
    ) -> BTreeMap<TopicPartition, Position> {
        let note = |partition: &TopicPartition| self.notes.get(partition).copied().unwrap_or_default().to_string();
        let position = |(partition, next)| {
            let position = Position::new(next, &note(&partition).into());
            (partition, position)
        };
        offsets.into_iter().map(position).collect()
    }
}
