//! The end of an epoch: a barrier passes all tasks of a share, in the order of their stages.

use headwater_connectors::transport::{Admin, TransportError};
use headwater_dataflow::{Clocks, Epoch};
use headwater_formats::record::RawBatch;

use super::super::job::Job;
use super::super::query_status::QueryStatus;
use super::super::turns::{Turn, Turns};
use super::{Share, fault};

impl Share {
    /// Passes the barrier of an epoch through all tasks, and performs what they emit before it.
    pub(in super::super) fn barrier(
        &mut self,
        epoch: Epoch,
        admin: &dyn Admin,
        job: &Job,
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        self.begin(job, now_ms)?;
        if let Some(merge) = &mut self.merge {
            let next = |raw: &RawBatch| self.moved.get(&raw.origin).or(raw.offsets.first()).copied();
            let current = self.current.first().and_then(|raw| Some((&raw.origin, next(raw)?)));
            merge.pass_all(admin, current, &mut self.tasks)?;
        }
        if job.query.topology.has_windows() {
            self.hold_windows(admin)?;
        }
        let mut clocks = Clocks::default();
        // Sources may have been read further than the rows that are left in the topics of exchanges.
        let learns = job.query.topology.has_windows() && self.tasks.is_whole() && !self.has_left_rows();
        for stage in self.tasks.by_stage() {
            let mut turns = Turns::new();
            for id in stage {
                let task = self.tasks.get(id)?;
                let is_left = learns && task.tick(&clocks, now_ms).map_err(fault)?;
                if learns {
                    clocks.advance_all(task.clocks());
                }
                turns.insert(id, Turn::barrier(epoch, is_left));
            }
            self.take_turns(turns, &[], None, status, now_ms)?;
        }
        self.tasks.note_times(&mut self.notes);
        Ok(())
    }
}
