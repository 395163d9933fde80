//! A compiled topology: its stages, with the topics that each of them reads and writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::session_state::SessionState;
use headwater_formats::format::FormatError;
use headwater_formats::record::Wanted;
use headwater_language::diagnostic::{Diagnostic, INTERNAL};
use headwater_language::topology::{Action, JoinForm, Node, Topology, VERSION};
use headwater_state::Storage;

use super::materialized::Materialized;
use super::operator::Port;
use super::options::CompileOptions;
use super::output::Placement;
use super::stage::{Input, Stage, stages};
use super::task::Task;

/// A topology that is ready to run. All of its tasks share it, so a clone is cheap.
#[derive(Clone)]
pub struct Compiled {
    stages: Arc<[Arc<Stage>]>,
    stops_on_time: bool,
    merges: bool,
    reads_tables_ahead: bool,
    joins_streams: bool,
    marks_progress: bool,
}

/// One stage of a query for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The index of the stage.
    pub stage: usize,
    /// The number of the partition that it reads of each topic.
    pub partition: i32,
}

/// A topic that a query reads.
#[derive(Clone, Copy, Debug)]
pub struct InputTopic<'a> {
    /// Its name.
    pub topic: &'a Arc<str>,
    /// The index of the stage that reads it.
    pub stage: usize,
    /// The port of the stage's tasks that gets its records.
    pub port: Port,
    /// Whether it is an exchange, which the query also writes.
    pub is_exchange: bool,
    /// Whether its records are the changes of a table.
    pub is_table: bool,
}

impl Compiled {
    /// Compiles a topology with the functions of `state`. Fails if a newer version of the program wrote it, or if one of its
    /// expressions is no longer valid.
    pub fn new(topology: &Topology, state: &SessionState, options: &CompileOptions) -> Result<Self, Vec<Diagnostic>> {
        if topology.version() > VERSION {
            let message = "the query was created by a newer version of Headwater, which this version cannot run";
            return Err(vec![Diagnostic::new(INTERNAL, message)]);
        }
        let stages = stages(topology, state, options)?;
        let joins = |node: &&Node| matches!(node.action, Action::Join(_) | Action::ForeignJoin(_));
        let is_ahead = |node: &Node| matches!(&node.action, Action::Join(join) if join.form == JoinForm::StreamTable);
        let merges = topology.nodes().iter().any(|node| joins(&node));
        let reads_tables_ahead = merges && topology.nodes().iter().filter(joins).all(is_ahead);
        let of_streams =
            |node: &Node| matches!(&node.action, Action::Join(join) if matches!(join.form, JoinForm::Streams { .. }));
        let joins_streams = topology.nodes().iter().any(of_streams);
        let has_exchanges = stages.iter().flat_map(|stage: &Stage| &stage.inputs).any(|input| input.exchange.is_some());
        let stages = stages.into_iter().map(Arc::new).collect();
        let marks_progress = has_exchanges && (merges || topology.has_windows());
        let stops_on_time = options.stops_on_time;
        Ok(Self { stages, stops_on_time, merges, reads_tables_ahead, joins_streams, marks_progress })
    }

    /// The columns of the result; all may be null.
    pub fn result_schema(&self) -> &SchemaRef {
        let result = self.stages.iter().find(|stage| stage.is_last).expect("the last node is in a stage");
        &result.schema
    }

    /// The topics that it reads: those of its sources, then its exchanges.
    pub fn inputs(&self) -> Vec<InputTopic<'_>> {
        let mut inputs: Vec<InputTopic<'_>> = Vec::new();
        for (stage, of_stage) in self.stages.iter().enumerate() {
            for (port, input) in of_stage.inputs.iter().enumerate() {
                let Input { spec, exchange, is_table, .. } = input;
                let (is_exchange, is_table) = (exchange.is_some(), *is_table);
                inputs.push(InputTopic { topic: &spec.topic, stage, port: Port(port), is_exchange, is_table });
            }
        }
        inputs.sort_by_key(|input| input.is_exchange);
        inputs
    }

    /// The topics that it writes: its exchanges and its sink.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().flat_map(|stage| &stage.outputs).map(|written| written.sink.topic.as_str())
    }

    /// The sources whose rows come through an exchange, also those that pass other stages before, each with its index and topic.
    pub fn sources_of(&self, exchange: &str) -> Vec<(i32, Arc<str>)> {
        let inputs = || self.stages.iter().flat_map(|stage| &stage.inputs);
        let read = inputs().find(|input| input.exchange.is_some() && &*input.spec.topic == exchange);
        let is_behind = |number: i32| read.is_some_and(|read| read.sources.contains(&number));
        let behind = inputs().filter(|input| input.exchange.is_none() && is_behind(input.source));
        behind.map(|input| (input.source, input.spec.topic.clone())).collect()
    }

    /// The changelog topics of a stage, in the order of its stores.
    pub fn changelogs(&self, stage: usize) -> &[Arc<str>] {
        &self.stages[stage].changelogs
    }

    /// Whether any of its tasks has stores.
    pub fn has_state(&self) -> bool {
        self.stages.iter().any(|stage| !stage.changelogs.is_empty())
    }

    /// Whether its tasks must be told when stream time advances in partitions whose rows go to other tasks.
    pub fn waits_for_time(&self) -> bool {
        let operators = self.stages.iter().flat_map(|stage| &stage.operators);
        operators.into_iter().any(|wired| wired.operator.waits_for_time())
    }

    /// Whether the records of its inputs must be processed in the order of their event times, which is what joins need. A task
    /// then keeps the rows of [`Event::Records`](super::Event::Records) until [`Task::release`].
    pub fn merges(&self) -> bool {
        self.merges
    }

    /// Whether tasks that read sources tell others through the topics of its exchanges how far they have read them: what joins and
    /// windows wait for.
    pub fn marks_progress(&self) -> bool {
        self.marks_progress
    }

    /// Whether all of its joins are those of a stream with a table, so that changes of tables may be processed before older rows of
    /// streams: these get the rows that the tables had at their times, if the tasks are told what was passed ([`Task::pass`]).
    pub fn reads_tables_ahead(&self) -> bool {
        self.reads_tables_ahead
    }

    /// Whether streams are joined with each other, so that the partitions of all streams with one number share their stream time
    /// ([`Task::reach`]).
    pub fn joins_streams(&self) -> bool {
        self.joins_streams
    }

    /// How the result is read from the state of the query, or the reason why the state does not have all of it.
    pub fn materialized(&self) -> Result<Materialized, &'static str> {
        Materialized::of(&self.stages)
    }

    /// The number of stages.
    pub fn stages(&self) -> usize {
        self.stages.len()
    }

    /// The parts of each record that its tasks need.
    pub fn wanted(&self) -> Result<Wanted, FormatError> {
        let inputs = self.stages.iter().flat_map(|stage| &stage.inputs);
        inputs.map(|input| input.wanted()).try_fold(Wanted::NOTHING, |all, wanted| Ok(all.and(wanted?)))
    }

    /// A new task of a stage, with empty stores in `storage`. `placements` are those of the topics that the query writes.
    pub fn task(
        &self,
        id: TaskId,
        placements: &BTreeMap<String, Placement>,
        storage: &Storage,
    ) -> Result<Task, FormatError> {
        let task = Task::new(&self.stages[id.stage], id.partition, self.stops_on_time, placements, storage)?;
        let task = if self.merges { task.merging() } else { task };
        let task = if self.marks_progress { task.marking_progress() } else { task };
        Ok(if self.waits_for_time() { task.marking_time() } else { task })
    }
}
