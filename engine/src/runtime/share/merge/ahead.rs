//! Tables that are read ahead of the streams that are joined with them.
//!
//! A join of a stream with a table remembers the rows that the table had before its latest changes. So a whole batch of a stream can
//! be processed once all tables have been read up to its time, and partitions of streams do not wait for each other. The tables are
//! read no further than that, so that the join has little to remember. Without rows of streams that wait, tables are read to
//! their ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_connectors::transport::TransportError;
use headwater_formats::record::TopicPartition;

use super::super::super::tasks::Tasks;
use super::{First, Input, Merge};

impl Input {
    /// Whether nothing waits, and nothing was to be read when that was asked.
    fn is_exhausted(&self) -> bool {
        self.waiting.is_empty() && (self.is_at_end || self.is_over)
    }

    /// Whether it is not known what comes next.
    fn is_lacking(&self) -> bool {
        self.waiting.is_empty() && !self.is_exhausted()
    }
}

impl Merge {
    /// The input of a group whose rows are next; `None` if one of them has to be read first.
    pub(super) fn first_ahead(
        &self,
        group: &[TopicPartition],
        tasks: &mut Tasks,
    ) -> Result<Option<First>, TransportError> {
        let mut stream: Option<(i64, &TopicPartition)> = None;
        let (mut all_streams_known, mut tables) = (true, Vec::new());
        for partition in group {
            let input = &self.inputs[partition];
            let task = tasks.get(input.id)?;
            match (input.waiting.is_empty(), task.head(input.port)) {
                // A batch whose records were all rejected.
                (false, None) => return Ok(Some(First::all_of(partition))),
                (false, Some(_)) if input.is_stream => {
                    let clock_ms = input.clock_ms.max(input.latest_ms);
                    stream = stream.into_iter().chain([(clock_ms, partition)]).min();
                }
                (false, Some((time_ms, _))) => tables.push((time_ms, partition)),
                (true, _) => all_streams_known &= !(input.is_stream && input.is_lacking()),
            }
        }
        let until_ms = stream.map_or(i64::MAX, |(clock_ms, _)| clock_ms);
        let is_due = |(time_ms, _): &&(i64, &TopicPartition)| *time_ms <= until_ms;
        if let Some((_, partition)) = tables.iter().filter(is_due).min() {
            // Streams that are not known yet may have older rows: the join would have to remember all that is before these changes.
            return Ok(all_streams_known.then(|| First { until_ms, ..First::all_of(partition) }));
        }
        let mut inputs = group.iter().map(|partition| &self.inputs[partition]);
        let lacks_table = inputs.any(|input| !input.is_stream && input.is_lacking());
        let first = stream.filter(|_| !lacks_table);
        Ok(first.map(|(clock_ms, partition)| First { clock_ms, ..First::all_of(partition) }))
    }

    /// The topics of the tables for which rows of streams wait; `None` if none do.
    pub(super) fn lacking_tables(&self) -> Option<BTreeSet<Arc<str>>> {
        let waits = |input: &Input| input.is_stream && !input.waiting.is_empty();
        let mut topics = BTreeSet::new();
        for group in self.groups.iter().filter(|_| self.reads_tables_ahead) {
            let inputs = || group.iter().map(|partition| (partition, &self.inputs[partition]));
            if inputs().any(|(_, input)| waits(input)) {
                let lacking = inputs().filter(|(_, input)| !input.is_stream && input.is_lacking());
                topics.extend(lacking.map(|(partition, _)| partition.topic.clone()));
            }
        }
        Some(topics).filter(|topics| !topics.is_empty())
    }

    /// The rows that were released last are processed.
    pub(in super::super) fn settle(&mut self) {
        for input in self.inputs.values_mut() {
            input.clock_ms = input.clock_ms.max(input.released_ms);
            input.released_ms = i64::MIN;
        }
    }

    /// Before rows of a table are released, tells the joins what the streams have passed.
    pub(super) fn pass(&mut self, partition: &TopicPartition, tasks: &mut Tasks) {
        if self.reads_tables_ahead && self.inputs.get(partition).is_some_and(|input| !input.is_stream) {
            self.passed_ms = self.passed(tasks);
            tasks.pass(self.passed_ms);
        }
    }

    /// Before the end of an epoch, tells the joins what the streams have passed.
    pub(in super::super) fn pass_all(&mut self, tasks: &mut Tasks) {
        if self.reads_tables_ahead {
            self.passed_ms = self.passed_ms.max(self.passed(tasks));
            tasks.pass(self.passed_ms);
        }
    }

    /// The stream time that all streams have passed, except those that were read to their ends.
    fn passed(&self, tasks: &mut Tasks) -> i64 {
        // Rows that come through topics may have been passed by those of other processes.
        if !tasks.is_whole() {
            return i64::MAX;
        }
        // What is left in the exchanges is read first: the sources may have older rows.
        let reads_sources = self.inputs.values().any(|input| !input.is_exchange);
        let mut passed_ms = if reads_sources { i64::MAX } else { i64::MIN };
        for input in self.inputs.values().filter(|input| input.is_stream) {
            let head = tasks.get(input.id).ok().and_then(|task| task.head(input.port));
            let is_done = input.is_exhausted() && input.released_ms == i64::MIN;
            let head_ms = head.filter(|_| input.is_handled).map_or(i64::MIN, |(time_ms, _)| time_ms);
            passed_ms = passed_ms.min(if is_done { i64::MAX } else { input.clock_ms.max(head_ms) });
        }
        passed_ms
    }
}
