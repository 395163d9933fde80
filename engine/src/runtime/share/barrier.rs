//! The end of an epoch: a barrier passes all tasks of a share, in the order of their stages.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Admin, Isolation, TransportError, Watermarks};
use headwater_dataflow::{Clocks, Epoch};
use headwater_formats::record::RawBatch;

use super::super::job::Job;
use super::super::query_status::QueryStatus;
use super::super::start::mark;
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
        if self.tasks.is_whole() && job.query.topology.has_windows() {
            let held_ms = self.held_ms(admin);
            self.tasks.hold(held_ms);
        }
        let mut clocks = Clocks::default();
        let ticks = job.compiled.waits_for_time() && self.tasks.is_whole();
        for stage in self.tasks.by_stage() {
            let mut turns = Turns::new();
            for id in stage {
                let is_left = ticks && self.tasks.get(id)?.tick(&clocks, now_ms).map_err(fault)?;
                if ticks {
                    clocks.advance_all(self.tasks.get(id)?.clocks());
                }
                turns.insert(id, Turn::barrier(epoch, is_left));
            }
            self.take_turns(turns, &[], None, status, now_ms)?;
        }
        self.tasks.note_times(&mut self.notes);
        Ok(())
    }

    /// The lowest stream time of a source's partition that has records which were not read yet; `None` if there is no such partition.
    /// Nothing is asked if there is one partition alone, which is not behind others. If the cluster does not answer, any partition
    /// may have more records.
    fn held_ms(&self, admin: &dyn Admin) -> Option<i64> {
        let sources = || self.tasks.stream_times().filter(|(partition, _)| !self.exchanges.contains(&partition.topic));
        if sources().count() < 2 {
            return None;
        }
        let mut ends: BTreeMap<&str, Vec<Watermarks>> = BTreeMap::new();
        let mut held_ms: Option<i64> = None;
        for (partition, time_ms) in sources() {
            if held_ms.is_some_and(|held_ms| held_ms <= time_ms) {
                continue;
            }
            let asked = || admin.watermarks(&partition.topic, Isolation::ReadCommitted).unwrap_or_default();
            let marks = ends.entry(&partition.topic).or_insert_with(asked);
            let known = [&self.moved, &self.passed, &self.positioned].map(|offsets| offsets.get(partition).copied());
            let next = known.into_iter().flatten().max().unwrap_or(0);
            if mark(marks, partition).map_or(true, |marks| next < marks.end) {
                held_ms = Some(time_ms);
            }
        }
        held_ms
    }
}
