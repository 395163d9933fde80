//! What a share shows of its state: the sizes of its stores, its stream times, what waits for them.

use super::super::inputs::Inputs;
use super::super::job::Job;
use super::Share;
use crate::answer::{StateFacts, StoreFacts, StreamTime};

/// Shortest time between two looks at the state, in ms.
const LOOK_MS: i64 = 1_000;

impl Share {
    /// The facts about its state; `None` if they were asked for a moment ago, or if it keeps no state.
    pub(in super::super) fn facts(&mut self, job: &Job, inputs: &Inputs, now_ms: i64) -> Option<StateFacts> {
        let is_new = self.facts_at_ms.is_none_or(|at_ms| now_ms - at_ms >= LOOK_MS);
        if !is_new || !job.compiled.has_state() {
            return None;
        }
        self.facts_at_ms = Some(now_ms);
        let store = |(changelog, (keys, bytes)): (std::sync::Arc<str>, (usize, usize))| StoreFacts {
            changelog: changelog.to_string(),
            keys: keys as u64,
            bytes: bytes as u64,
        };
        let of_sources = self.notes.iter().filter(|(partition, _)| !inputs.is_exchange(&partition.topic));
        let stream_times = of_sources.filter_map(|(partition, note)| {
            let (topic, partition) = (partition.topic.to_string(), partition.partition);
            Some(StreamTime { topic, partition, time_ms: note.time_ms?, offset: note.time_offset })
        });
        Some(StateFacts {
            stores: self.tasks.sizes(&job.compiled).into_iter().map(store).collect(),
            stream_times: stream_times.collect(),
            pending: self.tasks.pending().map(|pending| pending as u64),
        })
    }
}
