//! Local snapshots of the stores of a share.

use std::sync::Arc;

use headwater_connectors::transport::{Transport, TransportError};
use headwater_dataflow::{Epoch, TaskId};
use headwater_formats::record::TopicPartition;

use super::super::job::Job;
use super::super::restore::Restore;
use super::super::snapshots::{Keeper, Marks, Shelf};
use super::Share;

/// A keeper of the stores of these tasks.
pub(super) fn keeper(shelf: Shelf, transport: &Arc<dyn Transport>, job: &Job, tasks: &[TaskId], now_ms: i64) -> Keeper {
    let stores = tasks.iter().flat_map(|id| {
        let changelogs = job.compiled.changelogs(id.stage).iter().enumerate();
        changelogs.map(|(store, topic)| (TopicPartition::new(topic.clone(), id.partition), *id, store))
    });
    Keeper::new(shelf, transport, job.in_threads, stores, now_ms)
}

impl Share {
    /// Counts what was read from the changelogs: the snapshots do not have it.
    pub(super) fn restored(&mut self, restore: &Restore) {
        if let Some(keeper) = &mut self.keeper {
            restore.read().for_each(|(changelog, records)| keeper.count(changelog, records));
        }
    }

    /// Records that an epoch was sealed.
    pub(in super::super) fn sealed(&mut self, epoch: Epoch) {
        if let Some(keeper) = &mut self.keeper {
            keeper.sealed(epoch);
        }
    }

    /// Dumps the stores if it is time and this epoch, which was committed, is the last one that was sealed.
    pub(in super::super) fn keep(&mut self, epoch: Epoch, now_ms: i64) -> Result<(), TransportError> {
        match &mut self.keeper {
            Some(keeper) if self.committing.is_empty() => keeper.committed(epoch, &mut self.tasks, now_ms),
            _ => Ok(()),
        }
    }

    /// Begins the dump with which a share ends: reads the ends of its changelogs. `None` if nothing is worth it.
    pub(in super::super) fn begin_last_dump(&mut self, now_ms: i64) -> Result<Option<Marks>, TransportError> {
        match &mut self.keeper {
            Some(keeper) if self.restore.is_none() => keeper.begin_last(&mut self.tasks, now_ms),
            _ => Ok(None),
        }
    }

    /// Writes the dump with which a share ends, after a commit that followed its begin.
    pub(in super::super) fn dump_last(&mut self, marks: &Marks) -> Result<(), TransportError> {
        let is_open = self.is_open();
        match &mut self.keeper {
            Some(keeper) if !is_open => keeper.dump_last(marks, &mut self.tasks),
            _ => Ok(()),
        }
    }
}
