//! Tables that are read ahead of the streams that are joined with them.
//!
//! A join of a stream with a table remembers the rows that the table had before its latest changes. So a whole batch of a stream can
//! be processed once all tables have been read up to its time, and partitions of streams do not wait for each other. The tables are
//! read no further than that, so that the join has little to remember. Without rows of streams that wait, tables are read to
//! their ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_connectors::transport::{Admin, TransportError};
use headwater_dataflow::{Port, Task};
use headwater_formats::record::TopicPartition;

use super::super::super::tasks::Tasks;
use super::{First, Group, Merge, Run};

/// What waits in a group.
struct Heads<'g> {
    /// The stream whose first batch ends first, and the stream time at which it does.
    stream: Option<(i64, &'g TopicPartition)>,
    /// The tables, with the times of their first rows.
    tables: Vec<(i64, &'g TopicPartition)>,
    /// Whether each stream has rows that wait or is at its end.
    are_streams_known: bool,
}

impl Merge {
    /// The input of a group whose rows are next; `None` if one of them has to be read first. The topics of tables for which rows
    /// of streams wait are added to `blocking`.
    pub(super) fn first_ahead(
        &self,
        group: &Group,
        tasks: &mut Tasks,
        blocking: &mut BTreeSet<Arc<str>>,
    ) -> Result<Option<First>, TransportError> {
        let Heads { stream, tables, are_streams_known } = match self.heads(group, tasks)? {
            Ok(heads) => heads,
            Err(first) => return Ok(Some(first)),
        };
        let until_ms = stream.map_or(i64::MAX, |(clock_ms, _)| clock_ms);
        let due = tables.iter().filter(|(time_ms, _)| *time_ms <= until_ms).min();
        if let Some((_, partition)) = due.filter(|(_, partition)| !self.comes_from_elsewhere(partition)) {
            // Streams that are not known yet may have older rows: the join would have to remember all that is before these changes.
            return Ok(are_streams_known.then(|| First { until_ms, ..First::all_of(partition) }));
        }
        let Some((clock_ms, partition)) = stream else {
            return self.first_without_stream(due.map(|(_, partition)| *partition), tasks);
        };
        for table in group.partitions.iter().filter(|partition| !self.inputs[*partition].is_stream) {
            let input = &self.inputs[table];
            let is_known = match self.comes_from_elsewhere(table) {
                true => self.has_passed(table, clock_ms, group.asked.as_ref(), tasks)?,
                false => !input.is_lacking(),
            };
            match (is_known, input.waiting.is_empty()) {
                (true, _) => {}
                (false, false) => return Ok(Some(First::all_of(table))),
                (false, true) => drop(blocking.insert(table.topic.clone())),
            }
        }
        let is_next = blocking.is_empty();
        Ok(is_next.then(|| First { clock_ms, ..First::all_of(partition) }))
    }

    /// What waits in a group, or the first batch without rows.
    fn heads<'g>(&self, group: &'g Group, tasks: &mut Tasks) -> Result<Result<Heads<'g>, First>, TransportError> {
        let mut heads = Heads { stream: None, tables: Vec::new(), are_streams_known: true };
        let left = self.left_of_streams(group, tasks);
        for partition in &group.partitions {
            let input = &self.inputs[partition];
            match (input.waiting.is_empty(), tasks.get(input.id)?.head(input.port)) {
                // A batch whose records were all rejected.
                (false, None) => return Ok(Err(First::all_of(partition))),
                (false, Some(_)) if input.is_stream && left.is_some_and(|stage| input.id.stage != stage) => {}
                (false, Some(_)) if input.is_stream => {
                    let clock_ms = input.clock_ms.max(input.latest_ms);
                    heads.stream = heads.stream.into_iter().chain([(clock_ms, partition)]).min();
                }
                (false, Some((time_ms, _))) => heads.tables.push((time_ms, partition)),
                (true, _) => heads.are_streams_known &= !(input.is_stream && input.is_lacking()),
            }
        }
        Ok(Ok(heads))
    }

    /// The last stage for which an exchange has rows of streams that are left from when they passed through its topic: they come before
    /// those of the sources, which pass in memory.
    fn left_of_streams(&self, group: &Group, tasks: &Tasks) -> Option<usize> {
        let inputs = group.partitions.iter().map(|partition| &self.inputs[partition]).filter(|_| tasks.is_whole());
        inputs
            .filter(|it| it.is_exchange && it.is_stream && !(it.is_over && it.waiting.is_empty()))
            .map(|it| it.id.stage)
            .max()
    }

    /// The rows of a table from elsewhere, while no rows of streams wait: they are next once the streams have passed them.
    fn first_without_stream(
        &self,
        table: Option<&TopicPartition>,
        tasks: &mut Tasks,
    ) -> Result<Option<First>, TransportError> {
        let Some(partition) = table else { return Ok(None) };
        let input = &self.inputs[partition];
        let is_passed = self.passed_elsewhere(input.id, tasks)? >= input.latest_ms;
        Ok(is_passed.then(|| First::all_of(partition)))
    }

    /// The rows that were released last are processed.
    pub(super) fn settle(&mut self) {
        for input in self.inputs.values_mut() {
            input.clock_ms = input.clock_ms.max(input.released_ms);
            input.released_ms = i64::MIN;
        }
    }

    /// Before rows are released, tells the joins what the streams have passed.
    pub(super) fn pass(&mut self, run: &Run, tasks: &mut Tasks) -> Result<(), TransportError> {
        let Some(input) = self.inputs.get(&run.batch.origin) else { return Ok(()) };
        if !tasks.is_whole() {
            if input.is_exchange {
                let passed_ms = self.passed_elsewhere(input.id, tasks)?;
                tasks.get(input.id)?.pass(passed_ms);
            }
        } else if !self.reads_tables_ahead {
            let passed_ms = self.passed_beside(Some(run.batch.origin.partition), tasks)?.min(run.passed_ms(tasks)?);
            tasks.pass(passed_ms);
        } else if !input.is_stream {
            self.passed_ms = self.passed(tasks);
            tasks.pass(self.passed_ms);
        }
        Ok(())
    }

    /// Before the end of an epoch, tells the joins what the streams have passed, and what reads sources how far they were read.
    /// `current` is the next offset of the partition whose batch is not processed yet.
    pub(in super::super) fn pass_all(
        &mut self,
        admin: &dyn Admin,
        current: Option<(&TopicPartition, i64)>,
        tasks: &mut Tasks,
    ) -> Result<(), TransportError> {
        if current.is_none() {
            self.settle();
        }
        if !tasks.is_whole() {
            return self.pass_elsewhere(admin, current, tasks);
        }
        if self.reads_tables_ahead {
            self.passed_ms = self.passed_ms.max(self.passed(tasks));
            tasks.pass(self.passed_ms);
        } else if self.joins_streams {
            // What is known suffices if the cluster does not answer.
            if let Err(error) = self.ask(admin) {
                tracing::debug!(%error, "could not ask for the ends of the inputs of a join");
            }
            let passed_ms = self.passed_beside(None, tasks)?;
            tasks.pass(passed_ms);
        }
        Ok(())
    }

    /// The stream time that all partitions of streams have passed, except those that were read to their ends and those with this
    /// number, which share their stream time.
    fn passed_beside(&self, number: Option<i32>, tasks: &mut Tasks) -> Result<i64, TransportError> {
        // What is left in the exchanges is read first: the sources may have older rows.
        let mut passed_ms = if self.reads_sources() { i64::MAX } else { i64::MIN };
        for (partition, input) in self.inputs.iter().filter(|_| self.joins_streams) {
            if input.is_stream && Some(partition.partition) != number && !input.is_exhausted() {
                passed_ms = passed_ms.min(next_ms(tasks.get(input.id)?, input.port));
            }
        }
        Ok(passed_ms)
    }

    /// Whether sources are read, and not what is left in exchanges alone.
    fn reads_sources(&self) -> bool {
        self.inputs.values().any(|input| !input.is_exchange)
    }

    /// The stream time that all streams have passed, except those that were read to their ends.
    fn passed(&self, tasks: &mut Tasks) -> i64 {
        let mut passed_ms = if self.reads_sources() { i64::MAX } else { i64::MIN };
        for input in self.inputs.values().filter(|input| input.is_stream) {
            let head = tasks.get(input.id).ok().and_then(|task| task.head(input.port));
            let is_done = input.is_exhausted() && input.released_ms == i64::MIN;
            let head_ms = head.filter(|_| input.is_handled).map_or(i64::MIN, |(time_ms, _)| time_ms);
            passed_ms = passed_ms.min(match (is_done, input.is_exchange) {
                (true, _) => i64::MAX,
                (false, false) => input.clock_ms.max(head_ms),
                // It has rows of several partitions of sources.
                (false, true) => i64::MIN,
            });
        }
        passed_ms
    }
}

impl Run {
    /// The stream time that its own rows have passed. Those of a stream that is joined with itself reach one side before the other: what
    /// the first side may not drop yet is at least the stream time of the first row.
    fn passed_ms(&self, tasks: &mut Tasks) -> Result<i64, TransportError> {
        let (id, port) = self.reader;
        let task = tasks.get(id)?;
        Ok(if task.is_shared(port) { next_ms(task, port) } else { i64::MAX })
    }
}

/// The stream time of the next row of an input, or that which the rows before it have reached.
fn next_ms(task: &Task, port: Port) -> i64 {
    let next = [task.stream_time_ms(port), task.head(port).map(|(time_ms, _)| time_ms)];
    next.into_iter().flatten().max().unwrap_or(i64::MIN)
}
