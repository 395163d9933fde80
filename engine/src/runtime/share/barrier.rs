//! The end of an epoch: a barrier passes all tasks of a share, in the order of their stages.

use headwater_connectors::transport::{Admin, TransportError};
use headwater_dataflow::{Clocks, Epoch, Event, TaskId};
use headwater_formats::record::RawBatch;

use super::super::job::Job;
use super::super::query_status::QueryStatus;
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
            let current = self.current.as_ref().and_then(|raw| Some((&raw.origin, next(raw)?)));
            merge.pass_all(admin, current, &mut self.tasks)?;
        }
        let mut clocks = Clocks::default();
        let ticks = job.compiled.waits_for_time() && self.tasks.is_whole();
        for id in self.tasks.ids() {
            if ticks {
                self.tick(id, &clocks, status, now_ms)?;
                clocks.advance_all(self.tasks.get(id)?.clocks());
            }
            self.tasks.get(id)?.handle(&Event::Barrier(epoch)).map_err(fault)?;
            while self.tasks.get(id)?.passes_barrier() {
                self.tasks.get(id)?.advance(now_ms).map_err(fault)?;
                self.perform_all(id, None, status, now_ms)?;
            }
        }
        self.tasks.note_times(&mut self.notes);
        Ok(())
    }

    /// Tells a task the stream times of the stages before it.
    fn tick(&mut self, id: TaskId, clocks: &Clocks, status: &QueryStatus, now_ms: i64) -> Result<(), TransportError> {
        let mut is_left = self.tasks.get(id)?.tick(clocks, now_ms).map_err(fault)?;
        while is_left {
            self.perform_all(id, None, status, now_ms)?;
            is_left = self.tasks.get(id)?.advance(now_ms).map_err(fault)?;
        }
        Ok(())
    }
}
